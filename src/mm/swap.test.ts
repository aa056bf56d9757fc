/** Anonymous pages that go to the swap file and come back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BASE,
  READ,
  RIGHT_DESIGNS,
  WRITE,
  testMachine,
  type TestMachine,
} from '../../test/machine.js';

const PAGES = 8;
const SWAP_PAGES = 64;
/** Slots that are read together on a small machine. */
const CLUSTER = 4;

type Design = (typeof RIGHT_DESIGNS)[number];

/** A process with pages of its own, each with its number from 100 on, all of them in the swap file. */
async function swappedOut(design?: Design, swapPages = SWAP_PAGES): Promise<TestMachine> {
  const m = await testMachine({ swapPages, ...(design === undefined ? {} : { design }) });
  m.map(BASE, PAGES);
  for (let page = 0; page < PAGES; page++) m.store(BASE + page * m.page, 100 + page);
  m.evict();
  assert.equal(m.counts().rss, 0);
  return m;
}

function contents(m: TestMachine, at = BASE): number[] {
  return Array.from({ length: PAGES }, (_, page) => m.load(at + page * m.page));
}

const ZEROS = Array.from({ length: PAGES }, () => 0);
const AS_STORED = Array.from({ length: PAGES }, (_, page) => 100 + page);

for (const design of RIGHT_DESIGNS) {
  describe(`a page in the swap file, under ${design.name}`, () => {
    it('comes back with its contents, by a major fault, and its neighbours with it', async () => {
      const m = await swappedOut(design);
      assert.equal(m.event('pswpout'), PAGES);
      assert.equal(m.slotsInUse(), PAGES);
      m.audit();
      assert.equal(m.load(BASE), 100);
      assert.deepEqual([m.majors(), m.event('pswpin')], [1, CLUSTER]);
      assert.deepEqual(contents(m), AS_STORED);
      assert.deepEqual([m.majors(), m.event('pgmajfault')], [PAGES / CLUSTER, PAGES / CLUSTER]);
      assert.equal(m.event('pswpin'), PAGES);
      assert.deepEqual([m.counts().rss, m.counts().anonRss], [PAGES, PAGES]);
      m.audit();
    });

    it('is not written in place while another process has it, and is once that is gone', async () => {
      const m = await swappedOut(design);
      const parent = m.cpu.current;
      const child = m.fork();
      m.store(BASE, 7);
      m.audit();
      m.switchTo(child);
      assert.deepEqual(contents(m), AS_STORED);
      m.store(BASE + m.page, 8);
      m.evict();
      m.audit();
      m.exit(parent);
      assert.deepEqual(contents(m), [7, ...AS_STORED.slice(1)]);
      m.evict();
      const copies = m.event('fault_cow');
      for (let page = 0; page < PAGES; page++) m.store(BASE + page * m.page, 200 + page);
      assert.equal(m.event('fault_cow'), copies);
      m.audit();
    });

    it('that a forked child had is written in place when the child is gone, without a swap-out', async () => {
      const m = await swappedOut(design);
      const parent = m.cpu.current;
      const child = m.fork();
      assert.deepEqual(contents(m), AS_STORED);
      m.switchTo(child);
      m.exit(parent);
      for (let page = 0; page < PAGES; page++) m.store(BASE + page * m.page, 200 + page);
      assert.equal(m.event('fault_cow'), 0);
      m.audit();
    });

    it('frees its slot with the last process that has it', async () => {
      const m = await swappedOut(design);
      const parent = m.cpu.current;
      const child = m.fork();
      assert.equal(m.slotsInUse(), PAGES);
      assert.equal(m.vm.sysMunmap(m.cpu, BASE, PAGES * m.page), 0);
      assert.equal(m.slotsInUse(), PAGES);
      m.switchTo(child);
      assert.equal(m.vm.sysMadvise(m.cpu, BASE, m.page, m.vm.MADV_DONTNEED), 0);
      assert.equal(m.slotsInUse(), PAGES - 1);
      m.exit(parent);
      assert.equal(m.slotsInUse(), 0);
      m.audit();
    });

    it('moves with mremap, and keeps to what mprotect says', async () => {
      const m = await swappedOut(design);
      const far = BASE + 2 ** 28 + 4 * m.page;
      const flags = m.vm.MREMAP_MAYMOVE | m.vm.MREMAP_FIXED;
      const bytes = PAGES * m.page;
      assert.equal(m.vm.sysMremap(m.cpu, BASE, bytes, bytes, flags, far), far);
      assert.equal(m.vm.sysMprotect(m.cpu, far, m.page, 1), 0);
      assert.equal(m.failure(far, WRITE), m.vm.VM_FAULT_SIGSEGV);
      assert.deepEqual(contents(m, far), AS_STORED);
      assert.equal(m.failure(BASE, READ), m.vm.VM_FAULT_SIGSEGV);
      assert.equal(m.vm.sysMprotect(m.cpu, far, m.page, 3), 0);
      m.store(far, 1);
      m.audit();
    });

    it('that was freed by MADV_FREE holds nothing older than what it held then', async () => {
      const m = await swappedOut(design);
      for (let page = 0; page < PAGES; page++) m.store(BASE + page * m.page, 200 + page);
      assert.equal(m.vm.sysMadvise(m.cpu, BASE, PAGES * m.page, m.vm.MADV_FREE), 0);
      const written = m.event('pswpout');
      m.evict();
      assert.equal(m.event('pswpout'), written);
      assert.deepEqual(contents(m), ZEROS);
      m.audit();
    });
  });
}

describe('swap', () => {
  it('has a page that was only read goes out again without a write', async () => {
    const m = await swappedOut();
    contents(m);
    m.evict();
    assert.equal(m.counts().rss, 0);
    assert.equal(m.event('pswpout'), PAGES);
    m.store(BASE, 7);
    m.evict();
    assert.equal(m.event('pswpout'), PAGES + 1);
    assert.deepEqual(contents(m), [7, ...AS_STORED.slice(1)]);
    m.audit();
  });

  it('shows in mincore', async () => {
    const m = await swappedOut();
    const into: number[] = [];
    assert.equal(m.vm.sysMincore(m.cpu, BASE, PAGES * m.page, into), 0);
    assert.deepEqual(into, ZEROS);
    m.load(BASE);
    into.length = 0;
    m.vm.sysMincore(m.cpu, BASE, PAGES * m.page, into);
    // What was read ahead is in memory too.
    assert.deepEqual(into, [1, 1, 1, 1, 0, 0, 0, 0]);
  });

  it('drops what MADV_FREE gave away without a write, but what was written since', async () => {
    const m = await testMachine({ swapPages: SWAP_PAGES });
    m.map(BASE, PAGES);
    for (let page = 0; page < PAGES; page++) m.store(BASE + page * m.page, 100 + page);
    m.vm.sysMadvise(m.cpu, BASE, PAGES * m.page, m.vm.MADV_FREE);
    m.store(BASE, 7);
    m.evict();
    assert.equal(m.event('pswpout'), 1);
    assert.deepEqual(contents(m), [7, ...ZEROS.slice(1)]);
    m.audit();
  });

  it('forgets what MADV_FREE gave away where it is', async () => {
    const m = await swappedOut();
    m.vm.sysMadvise(m.cpu, BASE, PAGES * m.page, m.vm.MADV_FREE);
    assert.equal(m.slotsInUse(), 0);
    assert.deepEqual(contents(m), ZEROS);
    m.audit();
  });

  it('leaves a page to the other process when one frees it by MADV_FREE', async () => {
    const m = await swappedOut();
    const parent = m.cpu.current;
    const child = m.fork();
    contents(m);
    m.vm.sysMadvise(m.cpu, BASE, PAGES * m.page, m.vm.MADV_FREE);
    m.evict();
    m.audit();
    m.switchTo(child);
    assert.deepEqual(contents(m), AS_STORED);
    m.exit(parent);
    m.audit();
  });

  it('leaves alone what is locked in memory', async () => {
    const m = await testMachine({ swapPages: SWAP_PAGES });
    m.map(BASE, PAGES);
    for (let page = 0; page < PAGES; page++) m.store(BASE + page * m.page, 100 + page);
    assert.equal(m.vm.sysMlock(m.cpu, BASE, 4 * m.page, 0), 0);
    m.evict();
    assert.equal(m.counts().rss, 4);
    assert.deepEqual(contents(m), AS_STORED);
    assert.equal(m.vm.sysMunlock(m.cpu, BASE, 4 * m.page), 0);
    m.evict();
    assert.equal(m.counts().rss, 0);
    m.audit();
  });

  it('has room for what can go, however much is locked in memory', async () => {
    const m = await testMachine({ swapPages: 24 });
    m.map(BASE, 40);
    for (let page = 0; page < 40; page++) m.store(BASE + page * m.page, 100 + page);
    m.vm.sysMlock(m.cpu, BASE, 20 * m.page, 0);
    m.evict();
    assert.equal(m.counts().rss, 20);
    m.audit();
  });

  it('that is full keeps the rest in memory, and who asks for more is told', async () => {
    const frames = 128;
    const m = await testMachine({ swapPages: 40, frames });
    const pages = 2 * frames;
    m.map(BASE, pages);
    let stored = 0;
    while (stored < pages && m.vm.storeUser(m.cpu, BASE + stored * m.page, 100 + stored) >= 0) {
      stored++;
    }
    assert.ok(stored > 128 - 20 && stored < pages, `${stored} pages`);
    assert.equal(m.failure(BASE + stored * m.page, WRITE), m.vm.VM_FAULT_OOM);
    m.audit();
    // What is in memory can be read; what is in the swap file too, once there is a frame for it.
    const inMemory = Array.from({ length: stored }, (_, page) => m.mapped(BASE + page * m.page));
    assert.equal(inMemory.filter((is) => !is).length, 40);
    const first = inMemory.indexOf(true);
    const expectPage = (page: number): void =>
      assert.equal(m.load(BASE + page * m.page), 100 + page);
    for (let page = 0; page < stored; page++) if (inMemory[page]) expectPage(page);
    assert.equal(m.vm.sysMunmap(m.cpu, BASE + first * m.page, m.page), 0);
    for (let page = 0; page < stored; page++) if (page !== first) expectPage(page);
    m.audit();
  });

  it('keeps to the protection of a page that may not be executed', async () => {
    const m = await swappedOut();
    m.load(BASE);
    assert.equal(m.failure(BASE, 2), m.vm.VM_FAULT_SIGSEGV);
  });
});
