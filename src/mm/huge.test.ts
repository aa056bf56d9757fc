import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RIGHT_DESIGNS, READ, WRITE, testMachine, type TestMachine } from '../../test/machine.js';

const FRAMES = 4000;
/** On a boundary of huge pages of both formats that have them. */
const HUGE_BASE = 0x4000_0000;

/** Maps so many huge pages, as madvise asks. */
function mapHuge(m: TestMachine, count: number): void {
  m.map(HUGE_BASE, count * m.vm.HUGE_PAGES);
  const bytes = count * m.vm.HUGE_SIZE;
  assert.equal(m.vm.sysMadvise(m.cpu, HUGE_BASE, bytes, m.vm.MADV_HUGEPAGE), 0);
}

for (const arch of ['i386', 'x86_64'] as const) {
  for (const design of RIGHT_DESIGNS) {
    describe(`a huge page on ${arch} under ${design.name}`, () => {
      it('is mapped by one write fault, counted in rss page by page', async () => {
        const m = await testMachine({ arch, design, frames: FRAMES });
        mapHuge(m, 1);
        assert.ok(m.touch(HUGE_BASE + 5 * m.page, WRITE));
        const pages = m.vm.HUGE_PAGES;
        assert.deepEqual([m.counts().rss, m.counts().anonRss], [pages, pages]);
        assert.ok(m.touch(HUGE_BASE + (pages - 1) * m.page, WRITE));
        assert.equal(m.event('pgfault'), 1);
        m.audit();
      });

      it('of zeros is shared by all reads, counted by none, and replaced by a write', async () => {
        const m = await testMachine({ arch, design, frames: FRAMES });
        mapHuge(m, 1);
        assert.ok(m.touch(HUGE_BASE, READ));
        assert.equal(m.counts().rss, 0);
        assert.ok(m.touch(HUGE_BASE + m.page, WRITE));
        assert.equal(m.counts().rss, m.vm.HUGE_PAGES);
        m.audit();
      });

      it('is split by an munmap of a part, and its memory goes with the rest', async () => {
        const m = await testMachine({ arch, design, frames: FRAMES });
        const free = m.vm.readZone(m.memory, 0).freePages;
        mapHuge(m, 1);
        m.vm.storeUser(m.cpu, HUGE_BASE + 8 * m.page, 3);
        m.vm.sysMunmap(m.cpu, HUGE_BASE, 4 * m.page);
        assert.equal(m.counts().rss, m.vm.HUGE_PAGES - 4);
        m.audit();
        const into = [0];
        m.vm.loadUser(m.cpu, HUGE_BASE + 8 * m.page, into);
        assert.equal(into[0], 3);
        m.vm.sysMunmap(m.cpu, HUGE_BASE, m.vm.HUGE_SIZE);
        assert.equal(m.counts().rss, 0);
        m.vm.lruAddDrain(m.cpu);
        m.audit();
        assert.ok(
          free - m.vm.readZone(m.memory, 0).freePages < 64,
          'only lists of free frames differ',
        );
      });

      it('is split by an mprotect of a part', async () => {
        const m = await testMachine({ arch, design, frames: FRAMES });
        mapHuge(m, 1);
        m.touch(HUGE_BASE, WRITE);
        m.vm.sysMprotect(m.cpu, HUGE_BASE, m.page, 1);
        assert.equal(m.touch(HUGE_BASE, WRITE), false);
        assert.ok(m.touch(HUGE_BASE + m.page, WRITE));
        assert.equal(m.event('pgfault'), 1);
        m.audit();
      });

      it('is shared by fork, and a write to any page of it is not seen by the other side', async () => {
        for (const page of [0, 1, 511]) {
          const m = await testMachine({ arch, design, frames: FRAMES });
          mapHuge(m, 1);
          const address = HUGE_BASE + page * m.page;
          m.vm.storeUser(m.cpu, address, 1);
          const child = m.vm.sysFork(m.cpu, 2);
          m.vm.storeUser(m.cpu, address, 2);
          m.audit();
          m.vm.switchTo(m.cpu, child);
          const into = [0];
          m.vm.loadUser(m.cpu, address, into);
          assert.equal(into[0], 1);
          m.vm.exitTask(m.cpu);
          m.audit();
        }
      });

      it('moves as a whole to an aligned place, and page by page elsewhere', async () => {
        const m = await testMachine({ arch, design, frames: FRAMES });
        mapHuge(m, 1);
        m.vm.storeUser(m.cpu, HUGE_BASE + m.page, 9);
        const flags = m.vm.MREMAP_MAYMOVE | m.vm.MREMAP_FIXED;
        const bytes = m.vm.HUGE_SIZE;
        for (const target of [HUGE_BASE + 4 * bytes, HUGE_BASE + 8 * bytes + m.page]) {
          const from = target === HUGE_BASE + 4 * bytes ? HUGE_BASE : HUGE_BASE + 4 * bytes;
          assert.equal(m.vm.sysMremap(m.cpu, from, bytes, bytes, flags, target), target);
          const into = [0];
          m.vm.loadUser(m.cpu, target + m.page, into);
          assert.equal(into[0], 9);
          m.audit();
        }
      });

      it('gives way to small pages where no block is free', async () => {
        const m = await testMachine({ arch, design, frames: 300 });
        mapHuge(m, 1);
        assert.ok(m.touch(HUGE_BASE, WRITE));
        assert.equal(m.counts().rss, 1);
        m.audit();
      });
    });
  }
}
