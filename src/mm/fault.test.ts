import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ARCH_NAMES,
  BASE,
  FETCH,
  READ,
  WRITE,
  designsOn,
  forbidsFetch,
  testMachine,
} from '../../test/machine.js';

for (const arch of ARCH_NAMES) {
  for (const design of designsOn(arch)) {
    describe(`a fault on ${arch} under ${design.name}`, () => {
      it('maps the zero page for a read of anonymous memory, which rss does not count', async () => {
        const m = await testMachine({ arch, design });
        m.map(BASE, 4);
        assert.ok(m.touch(BASE, READ));
        const [mapped] = m.vm.mappedPages(m.memory, m.cpu.mm);
        assert.equal(mapped.pfn, m.vm.ZERO_PFN);
        assert.equal(mapped.entry & m.vm.PTE_WRITE, 0);
        assert.equal(m.counts().rss, 0);
        m.audit();
      });

      it('maps a page of zeros for a write, and counts it', async () => {
        const m = await testMachine({ arch, design });
        m.map(BASE, 4);
        assert.ok(m.vm.storeUser(m.cpu, BASE + 8, 42) >= 0);
        const into = [0];
        m.vm.loadUser(m.cpu, BASE + 8, into);
        assert.equal(into[0], 42);
        m.vm.loadUser(m.cpu, BASE + 12, into);
        assert.equal(into[0], 0);
        assert.deepEqual([m.counts().rss, m.counts().anonRss], [1, 1]);
        m.audit();
      });

      it('copies the zero page when it is written to after a read', async () => {
        const m = await testMachine({ arch, design });
        m.map(BASE, 1);
        m.touch(BASE, READ);
        m.vm.storeUser(m.cpu, BASE, 7);
        assert.equal(m.event('fault_cow'), 1);
        assert.deepEqual([m.counts().rss, m.counts().anonRss], [1, 1]);
        assert.equal(m.memory.words[m.vm.frameOf(m.vm.ZERO_PFN)], 0);
        m.audit();
      });

      it('maps a file page read-only, and copies it when a private mapping writes', async () => {
        const m = await testMachine({ arch, design });
        const file = m.vm.openFile(m.cpu, 8, 0);
        const flags = m.vm.MAP_PRIVATE | m.vm.MAP_FIXED;
        m.vm.sysMmap(m.cpu, BASE, 8 * m.page, 3, flags, file, 0, 0);
        const into = [0];
        m.vm.loadUser(m.cpu, BASE + 5 * m.page + 4, into);
        assert.equal(into[0], 5, 'the page of the file at that index');
        assert.deepEqual([m.counts().rss, m.counts().anonRss], [1, 0]);
        m.vm.storeUser(m.cpu, BASE + 5 * m.page, 9);
        m.vm.loadUser(m.cpu, BASE + 5 * m.page + 4, into);
        assert.equal(into[0], 5, 'the rest of the copy');
        assert.deepEqual([m.counts().rss, m.counts().anonRss], [1, 1]);
        m.audit();
      });

      it('sets accessed on a read and dirty on a write, by the MMU or a fault', async () => {
        const m = await testMachine({ arch, design });
        const file = m.vm.openFile(m.cpu, 1, 0);
        const flags = m.vm.MAP_SHARED | m.vm.MAP_FIXED;
        m.vm.sysMmap(m.cpu, BASE, m.page, 3, flags, file, 0, 0);
        m.touch(BASE, READ);
        const ptep = m.vm.walk(m.cpu, BASE);
        m.memory.words[ptep] &= ~m.vm.PTE_ACCESSED;
        m.cpu.tlb.drop(-1);
        m.touch(BASE, READ);
        assert.notEqual(m.memory.words[ptep] & m.vm.PTE_ACCESSED, 0);
        assert.equal(m.memory.words[ptep] & m.vm.PTE_DIRTY, 0);
        m.touch(BASE, WRITE);
        assert.notEqual(m.memory.words[ptep] & m.vm.PTE_DIRTY, 0);
        m.audit();
      });

      it('is refused outside of any mapping and against the permissions', async () => {
        const m = await testMachine({ arch, design });
        m.map(BASE, 1, 1);
        assert.ok(!m.touch(BASE + m.page, READ));
        assert.ok(!m.touch(BASE, WRITE));
        assert.ok(m.touch(BASE, READ));
        assert.equal(m.touch(BASE, FETCH), !forbidsFetch(arch));
        m.audit();
      });

      it('returns VM_FAULT_OOM when memory is full, and loses nothing', async () => {
        const m = await testMachine({ arch, design, frames: 64 });
        m.map(BASE, 256);
        let touched = 0;
        while (touched < 256 && m.touch(BASE + touched * m.page, WRITE)) touched++;
        assert.ok(touched > 30 && touched < 64, `${touched} pages`);
        const result = m.vm.touchUser(m.cpu, BASE + touched * m.page, WRITE);
        assert.equal(m.vm.userFault(result), m.vm.VM_FAULT_OOM);
        assert.equal(m.counts().rss, touched);
        m.audit();
        m.vm.exitTask(m.cpu);
        assert.deepEqual(m.vm.audit(m.memory), []);
      });
    });
  }
}

describe('fault-around', () => {
  it('maps the cached pages of the aligned window, cut to the mapping', async () => {
    const m = await testMachine();
    const file = m.vm.openFile(m.cpu, 64, 0);
    for (let index = 0; index < 64; index++) {
      m.vm.warmCachePage(m.cpu, file, index, m.vm.PG_uptodate);
    }
    const flags = m.vm.MAP_PRIVATE | m.vm.MAP_FIXED;
    // Starts 4 pages into a window of 16: the window then starts with the mapping.
    const start = BASE + 4 * m.page;
    m.vm.sysMmap(m.cpu, start, 40 * m.page, 1, flags, file, 10, 0);
    m.touch(start + 2 * m.page, READ);
    const pages = (): number[] =>
      m.vm.mappedPages(m.memory, m.cpu.mm).map(({ address }) => (address - start) / m.page);
    assert.deepEqual(
      pages(),
      Array.from({ length: 16 }, (_, page) => page),
    );
    // Page 30 lies in the window that begins at the aligned page 28.
    m.touch(start + 30 * m.page, READ);
    assert.deepEqual(
      pages().slice(16),
      Array.from({ length: 12 }, (_, page) => 28 + page),
    );
    assert.equal(m.counts().rss, 28);
    m.audit();
  });

  it('leaves out pages that are not cached, not up to date, or mark read-ahead', async () => {
    const m = await testMachine();
    const file = m.vm.openFile(m.cpu, 16, 0);
    for (const index of [0, 1, 3]) m.vm.warmCachePage(m.cpu, file, index, m.vm.PG_uptodate);
    m.vm.warmCachePage(m.cpu, file, 2, m.vm.PG_uptodate | m.vm.PG_readahead);
    m.vm.warmCachePage(m.cpu, file, 4, 0);
    m.vm.sysMmap(m.cpu, BASE, 16 * m.page, 1, m.vm.MAP_PRIVATE | m.vm.MAP_FIXED, file, 0, 0);
    m.touch(BASE, READ);
    const pages = m.vm.mappedPages(m.memory, m.cpu.mm).map(({ address }) => address - BASE);
    assert.deepEqual(
      pages,
      [0, 1, 3].map((page) => page * m.page),
    );
    m.audit();
  });

  it('stops at the end of the file, and a touch beyond is a SIGBUS', async () => {
    const m = await testMachine();
    const file = m.vm.openFile(m.cpu, 3, 0);
    m.vm.sysMmap(m.cpu, BASE, 8 * m.page, 1, m.vm.MAP_PRIVATE | m.vm.MAP_FIXED, file, 0, 0);
    assert.ok(m.touch(BASE + 2 * m.page, READ));
    const beyond = m.vm.touchUser(m.cpu, BASE + 3 * m.page, READ);
    assert.equal(m.vm.vmFaultName(m.vm.userFault(beyond)), 'VM_FAULT_SIGBUS');
    m.audit();
  });
});
