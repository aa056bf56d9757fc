/** mmap, munmap, mprotect, mremap, brk, stacks and exec on one address space. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EEXIST, EINVAL, ENOMEM } from '../base/errno.js';
import { BASE, READ, WRITE, testMachine, type TestMachine } from '../../test/machine.js';

/** Start, end and flags of each VMA, in pages from BASE. */
function maps(m: TestMachine): [number, number, number][] {
  const { vm, memory } = m;
  const found: [number, number, number][] = [];
  for (let vma = memory.words[m.cpu.mm + vm.Mm.mmap]; vma !== 0;) {
    const start = (memory.wides[(vma + vm.Vma.vmStart) / 2] - BASE) / m.page;
    const end = (memory.wides[(vma + vm.Vma.vmEnd) / 2] - BASE) / m.page;
    found.push([start, end, memory.words[vma + vm.Vma.vmFlags] & 7]);
    vma = memory.words[vma + vm.Vma.vmNext];
  }
  return found;
}

describe('mmap', () => {
  it('merges neighbours that are alike and splits what it overlays', async () => {
    const m = await testMachine();
    m.map(BASE, 4);
    m.map(BASE + 4 * m.page, 4);
    assert.deepEqual(maps(m), [[0, 8, 3]]);
    m.map(BASE + 2 * m.page, 2, 1);
    assert.deepEqual(maps(m), [
      [0, 2, 3],
      [2, 4, 1],
      [4, 8, 3],
    ]);
    m.audit();
  });

  it('places a mapping in the highest gap that holds it', async () => {
    const m = await testMachine();
    const flags = m.vm.MAP_PRIVATE | m.vm.MAP_ANONYMOUS;
    const map = (pages: number): number =>
      m.vm.sysMmap(m.cpu, 0, pages * m.page, 3, flags, 0, 0, 0);
    const first = map(4);
    const second = map(2);
    assert.equal(second, first - 2 * m.page);
    m.vm.sysMunmap(m.cpu, first, 2 * m.page);
    assert.equal(map(2), first, 'the gap is used');
    assert.equal(map(3), second - 3 * m.page, 'a larger one goes below');
    m.audit();
  });

  it('refuses what cannot be', async () => {
    const m = await testMachine();
    const fixed = m.vm.MAP_PRIVATE | m.vm.MAP_ANONYMOUS | m.vm.MAP_FIXED;
    const noReplace = m.vm.MAP_PRIVATE | m.vm.MAP_ANONYMOUS | m.vm.MAP_FIXED_NOREPLACE;
    assert.equal(m.vm.sysMmap(m.cpu, BASE, 0, 3, fixed, 0, 0, 0), -EINVAL);
    assert.equal(m.vm.sysMmap(m.cpu, BASE + 1, m.page, 3, fixed, 0, 0, 0), -EINVAL);
    assert.equal(m.vm.sysMmap(m.cpu, m.vm.TASK_SIZE, m.page, 3, fixed, 0, 0, 0), -ENOMEM);
    m.map(BASE, 2);
    assert.equal(m.vm.sysMmap(m.cpu, BASE, m.page, 3, noReplace, 0, 0, 0), -EEXIST);
    const huge = m.vm.MAP_PRIVATE | m.vm.MAP_ANONYMOUS;
    assert.equal(m.vm.sysMmap(m.cpu, 0, m.vm.TASK_SIZE, 3, huge, 0, 0, 0), -ENOMEM);
    m.audit();
  });
});

describe('munmap', () => {
  it('frees pages and the tables that nobody else needs', async () => {
    const m = await testMachine();
    m.map(BASE, 4);
    m.touch(BASE, WRITE);
    const before = m.counts().tables;
    // A second leaf table, 2 MiB further.
    const far = BASE + m.vm.LEVEL_SPAN[1];
    m.map(far, 1);
    m.touch(far, WRITE);
    assert.equal(m.counts().tables, before + 1);
    m.vm.sysMunmap(m.cpu, far, m.page);
    assert.equal(m.counts().tables, before);
    m.vm.sysMunmap(m.cpu, BASE, 4 * m.page);
    assert.deepEqual([m.counts().tables, m.counts().rss, m.counts().totalVm], [1, 0, 0]);
    assert.ok(!m.touch(BASE, READ), 'and no TLB remembers');
    m.audit();
  });

  it('keeps a table that the neighbour uses', async () => {
    const m = await testMachine();
    m.map(BASE, 4);
    m.touch(BASE, WRITE);
    m.touch(BASE + 3 * m.page, WRITE);
    const { tables } = m.counts();
    m.vm.sysMunmap(m.cpu, BASE, 2 * m.page);
    assert.deepEqual([m.counts().tables, m.counts().rss], [tables, 1]);
    m.audit();
  });

  it('leaves the high-water mark of rss', async () => {
    const m = await testMachine();
    m.map(BASE, 9);
    for (let page = 0; page < 9; page++) m.touch(BASE + page * m.page, WRITE);
    m.vm.sysMunmap(m.cpu, BASE, 9 * m.page);
    assert.deepEqual([m.counts().rss, m.counts().hiwaterRss], [0, 9]);
  });
});

describe('mprotect', () => {
  it('takes write away and gives it back without a fault to an exclusive page', async () => {
    const m = await testMachine();
    m.map(BASE, 3);
    m.touch(BASE + m.page, WRITE);
    m.vm.sysMprotect(m.cpu, BASE + m.page, m.page, 1);
    assert.deepEqual(maps(m), [
      [0, 1, 3],
      [1, 2, 1],
      [2, 3, 3],
    ]);
    assert.ok(!m.touch(BASE + m.page, WRITE));
    const faults = m.event('pgfault');
    m.vm.sysMprotect(m.cpu, BASE + m.page, m.page, 3);
    assert.deepEqual(maps(m), [[0, 3, 3]]);
    assert.ok(m.touch(BASE + m.page, WRITE));
    assert.equal(m.event('pgfault'), faults);
    m.audit();
  });

  it('keeps pages of an inaccessible mapping', async () => {
    const m = await testMachine();
    m.map(BASE, 1);
    m.vm.storeUser(m.cpu, BASE, 5);
    m.vm.sysMprotect(m.cpu, BASE, m.page, 0);
    assert.ok(!m.touch(BASE, READ));
    assert.equal(m.counts().rss, 1);
    m.vm.sysMprotect(m.cpu, BASE, m.page, 1);
    const into = [0];
    m.vm.loadUser(m.cpu, BASE, into);
    assert.equal(into[0], 5);
    m.audit();
  });

  it('stops with ENOMEM at a hole', async () => {
    const m = await testMachine();
    m.map(BASE, 1);
    assert.equal(m.vm.sysMprotect(m.cpu, BASE, 2 * m.page, 1), -ENOMEM);
    m.audit();
  });
});

describe('mremap', () => {
  it('grows in place where there is room, moves its pages where there is none', async () => {
    const m = await testMachine();
    m.map(BASE, 2);
    m.vm.storeUser(m.cpu, BASE + m.page, 11);
    const grow = (pages: number): number =>
      m.vm.sysMremap(m.cpu, BASE, 2 * m.page, pages * m.page, m.vm.MREMAP_MAYMOVE, 0);
    m.map(BASE + 4 * m.page, 1, 1);
    assert.equal(grow(4), BASE);
    assert.equal(m.vm.sysMremap(m.cpu, BASE, 4 * m.page, 8 * m.page, 0, 0), -ENOMEM);
    const moved = m.vm.sysMremap(m.cpu, BASE, 4 * m.page, 8 * m.page, m.vm.MREMAP_MAYMOVE, 0);
    assert.ok(moved > 0 && moved !== BASE);
    const into = [0];
    m.vm.loadUser(m.cpu, moved + m.page, into);
    assert.equal(into[0], 11);
    assert.ok(!m.touch(BASE, READ));
    assert.equal(m.counts().rss, 1);
    m.audit();
  });
});

describe('madvise', () => {
  it('MADV_DONTNEED drops pages, which read as zeros again', async () => {
    const m = await testMachine();
    m.map(BASE, 2);
    m.vm.storeUser(m.cpu, BASE, 3);
    m.vm.sysMadvise(m.cpu, BASE, 2 * m.page, m.vm.MADV_DONTNEED);
    assert.equal(m.counts().rss, 0);
    const into = [1];
    m.vm.loadUser(m.cpu, BASE, into);
    assert.equal(into[0], 0);
    m.audit();
  });
});

describe('brk and stacks', () => {
  it('brk grows and shrinks the heap, and returns the old end where it cannot', async () => {
    const m = await testMachine();
    m.vm.setBrk(m.cpu, BASE);
    assert.equal(m.vm.sysBrk(m.cpu, BASE + 3 * m.page + 1), BASE + 3 * m.page + 1);
    assert.deepEqual(maps(m), [[0, 4, 3]]);
    m.map(BASE + 5 * m.page, 1, 1);
    assert.equal(m.vm.sysBrk(m.cpu, BASE + 6 * m.page), BASE + 3 * m.page + 1);
    assert.equal(m.vm.sysBrk(m.cpu, BASE + m.page), BASE + m.page);
    assert.deepEqual(maps(m), [
      [0, 1, 3],
      [5, 6, 1],
    ]);
    m.audit();
  });

  it('a touch below a stack extends it, up to the limit', async () => {
    const m = await testMachine();
    const flags = m.vm.MAP_PRIVATE | m.vm.MAP_ANONYMOUS | m.vm.MAP_FIXED;
    m.vm.sysMmap(m.cpu, BASE, m.page, 3, flags, 0, 0, m.vm.VM_GROWSDOWN);
    assert.ok(m.touch(BASE - 5 * m.page, WRITE));
    assert.deepEqual(maps(m), [[-5, 1, 3]]);
    assert.ok(!m.touch(BASE - 8 * 2 ** 20, WRITE));
    m.audit();
  });
});

describe('exec and exit', () => {
  it('exec leaves an empty address space, exit leaves nothing', async () => {
    const m = await testMachine();
    m.map(BASE, 40);
    for (let page = 0; page < 40; page++) m.touch(BASE + page * m.page, WRITE);
    assert.ok(m.vm.execMm(m.cpu));
    assert.deepEqual(maps(m), []);
    m.audit();
    m.map(BASE, 1);
    m.touch(BASE, WRITE);
    m.vm.exitTask(m.cpu);
    assert.deepEqual(m.vm.audit(m.memory), []);
    assert.equal(m.event('nr_page_table_pages'), 0);
    assert.equal(m.vm.readZone(m.memory, 0).active, 0);
  });
});
