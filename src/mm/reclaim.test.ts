/** What reclaim takes and what it leaves, and what becomes of pages when the device fails. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EIO, ENOMEM } from '../base/errno.js';
import {
  BASE,
  READ,
  RIGHT_DESIGNS,
  WRITE,
  testMachine,
  type TestMachine,
  type TestMachineOptions,
} from '../../test/machine.js';

const PAGES = 8;
const SWAP_PAGES = 64;
const FILE_BASE = BASE + 2 ** 24;

/** A machine with swap, and a process that maps a file shared. @param flags - FILE_ bits */
async function withFile(
  flags: number,
  options: TestMachineOptions = {},
): Promise<[TestMachine, number]> {
  const m = await testMachine({ swapPages: SWAP_PAGES, ...options });
  const file = m.vm.openFile(m.cpu, PAGES, flags);
  const shared = m.vm.MAP_SHARED | m.vm.MAP_FIXED;
  const mapped = m.vm.sysMmap(m.cpu, FILE_BASE, PAGES * m.page, 3, shared, file, 0, 0);
  assert.equal(mapped, FILE_BASE);
  return [m, file];
}

function storeAll(m: TestMachine, at: number, from: number): void {
  for (let page = 0; page < PAGES; page++) m.store(at + page * m.page, from + page);
}

function expectAll(m: TestMachine, at: number, from: number): void {
  for (let page = 0; page < PAGES; page++) assert.equal(m.load(at + page * m.page), from + page);
}

for (const design of RIGHT_DESIGNS) {
  describe(`reclaim under ${design.name}`, () => {
    it('writes dirty pages of a file, drops clean ones, and all can be read again', async () => {
      const [m] = await withFile(0, { design });
      for (let page = 0; page < PAGES; page++) m.load(FILE_BASE + page * m.page);
      for (let page = 0; page < 3; page++) m.store(FILE_BASE + page * m.page + 8, 100 + page);
      m.evict();
      assert.equal(m.counts().rss, 0);
      assert.equal(m.event('pgpgout'), 3);
      const majors = m.majors();
      for (let page = 0; page < PAGES; page++) {
        assert.equal(m.load(FILE_BASE + page * m.page + 8), page < 3 ? 100 + page : 0);
        assert.equal(m.load(FILE_BASE + page * m.page + 4), page);
      }
      assert.equal(m.majors() - majors, PAGES);
      m.audit();
    });

    it('takes shared memory to the swap file, and every process finds it again', async () => {
      const [m, file] = await withFile(2, { design });
      const parent = m.cpu.current;
      storeAll(m, FILE_BASE, 100);
      const child = m.fork();
      m.evict();
      assert.equal(m.event('pswpout'), PAGES);
      m.audit();
      m.switchTo(child);
      expectAll(m, FILE_BASE, 100);
      storeAll(m, FILE_BASE, 200);
      m.evict();
      m.exit(parent);
      expectAll(m, FILE_BASE, 200);
      m.evict();
      m.vm.truncateFile(m.cpu, file, 2);
      m.evict();
      assert.equal(m.slotsInUse(), 2);
      assert.equal(m.failure(FILE_BASE + 2 * m.page, READ), m.vm.VM_FAULT_SIGBUS);
      m.vm.truncateFile(m.cpu, file, PAGES);
      assert.equal(m.load(FILE_BASE + 2 * m.page), 0);
      assert.equal(m.load(FILE_BASE + m.page), 201);
      m.audit();
    });

    it('brings a page of a non-linear mapping back to its place', async () => {
      for (const flags of [0, 2]) {
        const [m] = await withFile(flags, { design });
        storeAll(m, FILE_BASE, 100);
        assert.equal(m.vm.sysRemapFilePages(m.cpu, FILE_BASE, 3 * m.page, 0, 5, 0), 0);
        m.store(FILE_BASE, 7);
        m.evict();
        assert.equal(m.counts().rss, 0);
        const shown = Array.from({ length: PAGES }, (_, page) => m.load(FILE_BASE + page * m.page));
        assert.deepEqual(shown, [7, 106, 107, 103, 104, 7, 106, 107]);
        m.audit();
      }
    });

    it('splits a huge page, and its parts come back', async () => {
      const m = await testMachine({ design, frames: 1600, swapPages: 600 });
      const { HUGE_PAGES, HUGE_SIZE, MADV_HUGEPAGE } = m.vm;
      m.map(BASE, HUGE_PAGES);
      m.vm.sysMadvise(m.cpu, BASE, HUGE_SIZE, MADV_HUGEPAGE);
      for (let page = 0; page < HUGE_PAGES; page++) m.store(BASE + page * m.page, 100 + page);
      assert.equal(m.event('pgfault'), 1);
      m.evict();
      m.audit();
      // A lock in each pte: it cannot stand still as a whole.
      if (design.locking.pteLock !== 'bit') assert.equal(m.counts().rss, 0);
      for (let page = 0; page < HUGE_PAGES; page++) {
        assert.equal(m.load(BASE + page * m.page), 100 + page);
      }
      m.audit();
    });
  });
}

describe('reclaim', () => {
  it('spares pages that are used again before those that are not', async () => {
    const m = await testMachine({ swapPages: 512, frames: 256 });
    m.map(BASE, 512);
    for (let page = 0; page < 20; page++) m.store(BASE + page * m.page, page);
    for (let page = 20; page < 400; page++) {
      m.store(BASE + page * m.page, page);
      for (let hot = 0; hot < 5; hot++) {
        m.cpu.tlb.drop(-1);
        m.load(BASE + hot * m.page);
      }
    }
    assert.ok(m.event('pswpout') > 100);
    const inMemory = (page: number): boolean => m.mapped(BASE + page * m.page);
    assert.deepEqual([0, 1, 2, 3, 4].map(inMemory), new Array(5).fill(true));
    assert.ok(m.majors() < 5, `${m.majors()} of ${380 * 5} uses`);
    assert.deepEqual([5, 6, 7, 8, 9].map(inMemory), new Array(5).fill(false));
    m.audit();
  });

  it('spares the holder of the swap token, but not so that others find no memory', async () => {
    const m = await testMachine({ swapPages: 512, frames: 256 });
    const holder = m.cpu.current;
    m.map(BASE, 400);
    for (let page = 0; page < 200; page++) m.store(BASE + page * m.page, 100 + page);
    m.evict();
    const other = m.fork();
    for (let page = 0; page < 200; page++) m.store(BASE + page * m.page, 300 + page);
    assert.equal(m.memory.words[m.vm.SWAP + m.vm.Swap.tokenMm], m.cpu.mm);
    m.switchTo(other);
    // Locked, it cannot make room for itself.
    assert.equal(m.vm.sysMlock(m.cpu, BASE + 200 * m.page, 150 * m.page, 0), 0);
    m.audit();
    m.exit(holder);
    for (let page = 0; page < 200; page++) assert.equal(m.load(BASE + page * m.page), 300 + page);
    m.audit();
  });

  it('gives a file that grew zeros where nothing was written', async () => {
    const [m, file] = await withFile(0);
    m.vm.truncateFile(m.cpu, file, 2 * PAGES);
    const shared = m.vm.MAP_SHARED | m.vm.MAP_FIXED;
    m.vm.sysMmap(m.cpu, FILE_BASE, 2 * PAGES * m.page, 3, shared, file, 0, 0);
    m.store(FILE_BASE + 12 * m.page, 7);
    m.evict();
    assert.equal(m.load(FILE_BASE + 12 * m.page), 7);
    assert.equal(m.load(FILE_BASE + 10 * m.page), 0);
    assert.equal(m.load(FILE_BASE + 10 * m.page + 4), 0);
  });

  it('gives back all frames and slots when a process ends', async () => {
    const [m] = await withFile(0);
    const free = m.freeFrames();
    const child = m.fork();
    const parent = m.cpu.current;
    m.switchTo(child);
    m.map(BASE, PAGES);
    storeAll(m, BASE, 100);
    m.evict();
    m.load(BASE);
    m.exit(parent);
    m.evict();
    assert.equal(m.slotsInUse(), 0);
    assert.ok(m.freeFrames() >= free);
    m.audit();
  });
});

describe('the OOM killer', () => {
  /** Three processes: the parent has 20 pages, and two children 20 and 100 of their own. */
  async function three(): Promise<{
    m: TestMachine;
    parent: number;
    small: number;
    large: number;
  }> {
    const m = await testMachine({ frames: 200, swapPages: 8, oomKiller: true });
    const parent = m.cpu.current;
    const [small, large] = [m.fork(), m.fork()];
    for (const [task, pages] of [
      [parent, 20],
      [small, 20],
      [large, 100],
    ]) {
      m.switchTo(task);
      m.map(BASE, 256);
      for (let page = 0; page < pages; page++) m.store(BASE + page * m.page, task + page);
    }
    m.switchTo(small);
    return { m, parent, small, large };
  }

  it('chooses the process with the most memory, and others keep their contents', async () => {
    const { m, parent, small, large } = await three();
    let page = 20;
    while (m.event('oom_kill') === 0 && m.touch(BASE + page * m.page, WRITE)) page++;
    assert.equal(m.event('oom_kill'), 1);
    assert.ok(m.mapped(BASE + (page - 1) * m.page));
    for (const task of [parent, small]) {
      m.switchTo(task);
      for (let own = 0; own < 20; own++) assert.equal(m.load(BASE + own * m.page), task + own);
    }
    m.switchTo(large);
    assert.equal(m.counts().rss, 0);
    assert.equal(m.failure(BASE, READ), m.vm.VM_FAULT_OOM);
    assert.equal(m.failure(BASE + 200 * m.page, WRITE), m.vm.VM_FAULT_OOM);
    assert.equal(m.vm.sysFork(m.cpu, 9), -ENOMEM);
    m.audit();
    m.exit(parent);
    m.audit();
  });

  it('lets the largest fail when it is the one that asks, and kills no other meanwhile', async () => {
    const { m, parent, small, large } = await three();
    m.switchTo(large);
    let page = 100;
    while (page < 256 && m.touch(BASE + page * m.page, WRITE)) page++;
    assert.ok(page < 256);
    assert.equal(m.event('oom_kill'), 1);
    m.switchTo(small);
    assert.ok(m.touch(BASE + 30 * m.page, WRITE));
    assert.equal(m.event('oom_kill'), 1);
    for (let own = 0; own < 20; own++) assert.equal(m.load(BASE + own * m.page), small + own);
    m.switchTo(large);
    m.exit(parent);
    for (let own = 0; own < 20; own++) assert.equal(m.load(BASE + own * m.page), parent + own);
    m.audit();
  });
});

describe('when the device fails', () => {
  it('who reads a page of the swap file gets SIGBUS once, and its contents the next time', async () => {
    const m = await testMachine({ swapPages: SWAP_PAGES });
    m.map(BASE, PAGES);
    storeAll(m, BASE, 100);
    m.evict();
    m.requests.fail({ nth: 1 });
    assert.equal(m.failure(BASE, READ), m.vm.VM_FAULT_SIGBUS);
    assert.equal(m.requests.counts().failedReads, 1);
    m.audit();
    expectAll(m, BASE, 100);
    m.audit();
  });

  it('a page that was to be read ahead is no error, and is read when it is asked for', async () => {
    const m = await testMachine({ swapPages: SWAP_PAGES });
    m.map(BASE, PAGES);
    storeAll(m, BASE, 100);
    m.evict();
    m.requests.fail({ nth: 2 });
    expectAll(m, BASE, 100);
    assert.equal(m.requests.counts().failedReads, 1);
    m.audit();
  });

  it('a page that cannot be written to the swap file stays in memory', async () => {
    const m = await testMachine({ swapPages: SWAP_PAGES });
    m.map(BASE, PAGES);
    storeAll(m, BASE, 100);
    m.requests.fail({ probability: 1 });
    m.evict();
    assert.ok(m.requests.counts().failedWrites >= PAGES);
    assert.equal(m.event('pswpout'), 0);
    m.audit();
    expectAll(m, BASE, 100);
    assert.equal(m.requests.counts().reads, 0);
    m.requests.fail({});
    m.evict();
    assert.deepEqual([m.counts().rss, m.event('pswpout')], [0, PAGES]);
    expectAll(m, BASE, 100);
    m.audit();
  });

  for (const flags of [0, 2]) {
    it(`a page of ${flags === 0 ? 'a file' : 'shared memory'} that cannot be written stays, dirty`, async () => {
      const [m] = await withFile(flags);
      storeAll(m, FILE_BASE, 100);
      m.requests.fail({ probability: 1 });
      const { reads } = m.requests.counts();
      m.evict();
      assert.ok(m.requests.counts().failedWrites >= PAGES);
      m.audit();
      expectAll(m, FILE_BASE, 100);
      assert.equal(m.requests.counts().reads, reads);
      m.requests.fail({});
      m.evict();
      assert.equal(m.counts().rss, 0);
      expectAll(m, FILE_BASE, 100);
      m.audit();
    });

    it(`a page of ${flags === 0 ? 'a file' : 'shared memory'} that cannot be read is SIGBUS once`, async () => {
      const [m] = await withFile(flags);
      storeAll(m, FILE_BASE, 100);
      m.evict();
      m.requests.fail({ nth: 1 });
      assert.equal(m.failure(FILE_BASE, READ), m.vm.VM_FAULT_SIGBUS);
      m.audit();
      expectAll(m, FILE_BASE, 100);
      m.audit();
    });
  }

  it('msync says -EIO, the page stays dirty, and the next msync writes it', async () => {
    const [m] = await withFile(0);
    storeAll(m, FILE_BASE, 100);
    m.requests.fail({ nth: 3 });
    assert.equal(m.vm.sysMsync(m.cpu, FILE_BASE, PAGES * m.page, m.vm.MS_SYNC), -EIO);
    assert.equal(m.event('pgpgout'), PAGES - 1);
    m.audit();
    assert.equal(m.vm.sysMsync(m.cpu, FILE_BASE, PAGES * m.page, m.vm.MS_SYNC), 0);
    assert.equal(m.event('pgpgout'), PAGES);
    m.evict();
    assert.equal(m.event('pgpgout'), PAGES);
    expectAll(m, FILE_BASE, 100);
    m.audit();
  });
});

/** An access that may fail once, as VM_FAULT_SIGBUS. */
function twice(m: TestMachine, address: number, access: number): void {
  const failure = m.failure(address, access);
  if (failure === undefined) return;
  assert.equal(failure, m.vm.VM_FAULT_SIGBUS);
  assert.equal(m.failure(address, access), undefined);
}

/** Three kinds of memory go out, come back, and are changed by two processes. */
async function scenario(design: (typeof RIGHT_DESIGNS)[number], nth: number): Promise<boolean> {
  const m = await testMachine({ design, swapPages: SWAP_PAGES });
  const { vm, cpu, page } = m;
  const free = m.freeFrames();
  const file = vm.openFile(cpu, PAGES, 0);
  const memory = vm.openFile(cpu, PAGES, vm.FILE_MEMORY);
  const places = [BASE, BASE + 2 ** 22, BASE + 2 ** 23, BASE + 2 ** 24];
  m.map(places[0], PAGES);
  const shared = vm.MAP_SHARED | vm.MAP_FIXED;
  vm.sysMmap(cpu, places[1], PAGES * page, 3, shared, file, 0, 0);
  vm.sysMmap(cpu, places[2], PAGES * page, 3, shared, memory, 0, 0);
  vm.sysMmap(cpu, places[3], PAGES * page, 3, vm.MAP_PRIVATE | vm.MAP_FIXED, file, 0, 0);
  const model = new Map<number, number>();
  const store = (address: number, value: number): void => {
    twice(m, address, WRITE);
    m.store(address, value);
    model.set(address, value);
  };
  const check = (): void => {
    for (const [address, value] of model) {
      twice(m, address, READ);
      assert.equal(m.load(address), value);
    }
  };
  m.requests.fail({ nth });
  for (const [number, place] of places.entries()) {
    for (let index = 0; index < PAGES; index += 1 + (number & 1)) {
      store(place + index * page + 8, 1000 * number + index);
    }
  }
  m.evict();
  const parent = cpu.current;
  const child = m.fork();
  store(places[0] + 8, 5000);
  const synced = vm.sysMsync(cpu, places[1], PAGES * page, vm.MS_SYNC);
  assert.ok(synced === 0 || synced === -EIO);
  m.evict();
  check();
  m.audit();
  m.evict();
  m.switchTo(child);
  model.set(places[0] + 8, 0);
  check();
  m.exit(parent);
  model.set(places[0] + 8, 5000);
  m.evict();
  check();
  m.audit();
  vm.truncateFile(cpu, file, 0);
  vm.truncateFile(cpu, memory, 0);
  vm.exitTask(cpu);
  m.evict();
  assert.equal(m.slotsInUse(), 0);
  m.audit();
  assert.ok(m.freeFrames() >= free - 2 * 2, 'each file keeps its tree');
  const { failedReads, failedWrites } = m.requests.counts();
  return failedReads + failedWrites > 0;
}

describe('every request to the device failed in turn', () => {
  for (const design of RIGHT_DESIGNS.filter(({ name }) => ['v18', 'linux-6'].includes(name))) {
    it(`loses nothing and leaves nothing behind under ${design.name}`, async () => {
      let nth = 1;
      while (await scenario(design, nth)) nth++;
      assert.ok(nth > 60, `${nth} requests`);
    });
  }
});
