/**
 * Every allocation of every call and fault is made to fail in turn: the caller is told, the audit finds
 * nothing, what the memory held it holds, and the same call succeeds afterwards.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EAGAIN, EFAULT, ENOMEM } from '../base/errno.js';
import { vmConfig } from '../engines/configuration.js';
import { createPlain } from '../engines/instance.js';
import { PlainCpu } from '../engines/parallel/plainCpu.js';
import {
  BASE,
  READ,
  RIGHT_DESIGNS,
  WRITE,
  testMachine,
  type TestMachine,
} from '../../test/machine.js';

const FRAMES = 3000;
const PAGES = 6;
/** More allocations than any of the calls makes. */
const BOUND = 200;

/** A call or an access. @returns less than 0 where it failed */
type Act = (m: TestMachine) => number;

const mayMove = (m: TestMachine): number => m.vm.MREMAP_MAYMOVE | m.vm.MREMAP_FIXED;
const far = BASE + 2 ** 32;

/** Where a stack begins that may grow. */
const STACK = 3 * BASE;

/** What fails for want of memory says so. */
function access(m: TestMachine, address: number, kind: number): number {
  const failure = m.failure(address, kind);
  if (failure === undefined) return 0;
  assert.equal(failure, m.vm.VM_FAULT_OOM);
  return -ENOMEM;
}

const ACTS: Readonly<Record<string, Act>> = {
  fork: ({ vm, cpu }) => {
    const child = vm.sysFork(cpu, 2);
    if (child < 0) return child;
    const parent = cpu.current;
    vm.switchTo(cpu, child);
    vm.exitTask(cpu);
    vm.switchTo(cpu, parent);
    return 0;
  },
  'mmap of private memory': ({ vm, cpu, page }) =>
    vm.sysMmap(cpu, 0, 3 * page, 3, vm.MAP_PRIVATE | vm.MAP_ANONYMOUS, 0, 0, 0),
  'mmap of shared memory, mapped at once': ({ vm, cpu, page }) =>
    vm.sysMmap(cpu, 0, 3 * page, 3, vm.MAP_SHARED | vm.MAP_ANONYMOUS, 0, 0, 0),
  'mmap in the middle of another mapping': ({ vm, cpu, page }) => {
    const flags = vm.MAP_PRIVATE | vm.MAP_ANONYMOUS | vm.MAP_FIXED;
    return vm.sysMmap(cpu, BASE + 4 * page, page, 1, flags, 0, 0, 0);
  },
  'munmap of a page in the middle': ({ vm, cpu, page }) => vm.sysMunmap(cpu, BASE + 4 * page, page),
  'mprotect of a page in the middle': ({ vm, cpu, page }) =>
    vm.sysMprotect(cpu, BASE + 4 * page, page, 1),
  'madvise of a page in the middle': ({ vm, cpu, page }) =>
    vm.sysMadvise(cpu, BASE + 4 * page, page, vm.MADV_DONTFORK),
  'mlock of untouched pages': ({ vm, cpu, page }) => vm.sysMlock(cpu, BASE + 4 * page, 2 * page, 0),
  MADV_POPULATE_WRITE: ({ vm, cpu, page }) =>
    vm.sysMadvise(cpu, BASE + 4 * page, 2 * page, vm.MADV_POPULATE_WRITE),
  'mremap that grows and moves': (m) => {
    const bytes = PAGES * m.page;
    return m.vm.sysMremap(m.cpu, BASE, bytes, bytes + m.page, mayMove(m), far);
  },
  'mremap that leaves the old mapping': ({ vm, cpu, page }) => {
    const flags = vm.MREMAP_MAYMOVE | vm.MREMAP_DONTUNMAP;
    return vm.sysMremap(cpu, BASE, PAGES * page, PAGES * page, flags, far);
  },
  remap_file_pages: ({ vm, cpu, page }) =>
    vm.sysRemapFilePages(cpu, BASE + 16 * page, 2 * page, 0, 5, 0),
  'a write to untouched memory': (m) => access(m, BASE + 5 * m.page, WRITE),
  'a write far from all tables': (m) => access(m, far + 2 ** 33, WRITE),
  'a private write to a file': (m) => access(m, BASE + 32 * m.page, WRITE),
  'a shared write to a file': (m) => access(m, BASE + 17 * m.page, WRITE),
  'a read below a stack, which grows': (m) => {
    // Memory that does not suffice to grow is like no stack.
    const failure = m.failure(STACK - m.page, READ);
    return failure === m.vm.VM_FAULT_SIGSEGV ? -EFAULT : access(m, STACK - m.page, READ);
  },
  'a write to a huge page': (m) => access(m, 2 * BASE, WRITE),
};

/** A process with touched and untouched memory, a file mapped both ways, and room for a huge page. */
async function machine(design: (typeof RIGHT_DESIGNS)[number]): Promise<TestMachine> {
  const m = await testMachine({ design: { ...design, failAllocations: true }, frames: FRAMES });
  populate(m);
  m.map(2 * BASE, m.vm.HUGE_PAGES);
  m.vm.sysMadvise(m.cpu, 2 * BASE, m.vm.HUGE_SIZE, m.vm.MADV_HUGEPAGE);
  return m;
}

function populate(m: TestMachine): void {
  const { vm, cpu, page } = m;
  m.map(BASE, PAGES);
  // Downwards, which no design takes for a sequence: the last two pages are to stay untouched.
  for (let index = 3; index >= 0; index--) vm.storeUser(cpu, BASE + index * page, 100 + index);
  const file = vm.openFile(cpu, 8, 0);
  vm.sysMmap(cpu, BASE + 16 * page, 8 * page, 3, vm.MAP_SHARED | vm.MAP_FIXED, file, 0, 0);
  vm.sysMmap(cpu, BASE + 32 * page, 8 * page, 3, vm.MAP_PRIVATE | vm.MAP_FIXED, file, 0, 0);
  m.map(far + 2 ** 33, 1);
  const stack = vm.MAP_PRIVATE | vm.MAP_ANONYMOUS | vm.MAP_FIXED | vm.MAP_GROWSDOWN;
  vm.sysMmap(cpu, STACK, page, 3, stack, 0, 0, 0);
}

/** Where the short machine has memory that fills all frames. */
const FILLER = BASE + 2 ** 28;
const FILLER_PAGES = 160;
const SHORT_FRAMES = 160;

/** What else is done while memory is short. */
const SHORT_ACTS: Readonly<Record<string, Act>> = {
  'a read of a page in the swap file': (m) => access(m, BASE + m.page, READ),
  'a write to a page in the swap file': (m) => access(m, BASE + 2 * m.page, WRITE),
  'a write to a page in the swap file that a child has too': (m) => {
    const child = m.vm.sysFork(m.cpu, 2);
    if (child < 0) return child;
    const result = access(m, BASE + 2 * m.page, WRITE);
    const parent = m.cpu.current;
    m.switchTo(child);
    m.exit(parent);
    return result;
  },
  'a read of a page of a file': (m) => access(m, BASE + 20 * m.page, READ),
  'a read of shared memory in the swap file': (m) => access(m, BASE + 48 * m.page, READ),
  'a private write to a page of a file that is not cached': (m) =>
    access(m, BASE + 33 * m.page, WRITE),
};

/** The same process where every frame is in use, and what it had is in the swap file. */
async function shortMachine(design: (typeof RIGHT_DESIGNS)[number]): Promise<TestMachine> {
  const failing = { ...design, failAllocations: true };
  const m = await testMachine({ design: failing, frames: SHORT_FRAMES, swapPages: 512 });
  populate(m);
  const memory = m.vm.openFile(m.cpu, 4, m.vm.FILE_MEMORY);
  const shared = m.vm.MAP_SHARED | m.vm.MAP_FIXED;
  m.vm.sysMmap(m.cpu, BASE + 48 * m.page, 4 * m.page, 3, shared, memory, 0, 0);
  m.store(BASE + 48 * m.page, 148);
  m.evict();
  m.map(FILLER, FILLER_PAGES);
  for (let page = 0; page < FILLER_PAGES; page++) m.store(FILLER + page * m.page, 300 + page);
  assert.ok(m.event('allocstall') > 0);
  assert.ok(!m.mapped(BASE));
  return m;
}

const SMALL_ACTS = Object.entries(ACTS).filter(([what]) => what !== 'a write to a huge page');

/** Makes each allocation of an act fail in turn, on a machine of its own. */
async function failInTurn(act: Act, create: () => Promise<TestMachine>): Promise<void> {
  let failures = 0;
  for (let after = 1; ; after++) {
    assert.ok(after < BOUND, 'the call allocates without end');
    const m = await create();
    const word = m.vm.percpuOf(0) + m.vm.Percpu.failAfter;
    m.memory.words[word] = after;
    const result = act(m);
    const failed = m.memory.words[word] === 0;
    m.memory.words[word] = 0;
    m.audit();
    if (!failed) break;
    if (result < 0) {
      failures++;
      assert.ok([-ENOMEM, -EAGAIN, -EFAULT].includes(result), `${result}`);
      expectContents(m);
      assert.ok(act(m) >= 0, 'it succeeds once there is memory');
      m.audit();
    }
  }
  assert.ok(failures > 0);
}

for (const design of RIGHT_DESIGNS) {
  describe(`under ${design.name}, when an allocation fails`, () => {
    for (const [what, act] of Object.entries(ACTS)) {
      it(`${what} says so, and leaves nothing behind`, async () => {
        await failInTurn(act, () => machine(design));
      });
    }
  });
}

for (const design of RIGHT_DESIGNS.filter(({ name }) => ['v18', 'linux-6'].includes(name))) {
  describe(`under ${design.name}, when an allocation fails while memory is short`, () => {
    for (const [what, act] of [...SMALL_ACTS, ...Object.entries(SHORT_ACTS)]) {
      it(`${what} says so, and leaves nothing behind`, async () => {
        await failInTurn(act, async () => {
          const m = await shortMachine(design);
          assert.equal(m.mapped(BASE + m.page), false);
          return m;
        });
      });
    }
  });
}

/** How many seeds decide in turn which allocations of a move fail. */
const MOVES = 40;

for (const design of RIGHT_DESIGNS) {
  describe(`under ${design.name}, a move`, () => {
    it('is done where its old mapping cannot be cut out, which stays without its pages', async () => {
      let left = 0;
      for (let after = 1; ; after++) {
        const m = await machine(design);
        const word = m.vm.percpuOf(0) + m.vm.Percpu.failAfter;
        const source = BASE + m.page;
        m.memory.words[word] = after;
        const result = m.vm.sysMremap(m.cpu, source, 2 * m.page, 2 * m.page, mayMove(m), far);
        const failed = m.memory.words[word] === 0;
        m.memory.words[word] = 0;
        m.audit();
        if (result === far) {
          assert.deepEqual([m.load(far), m.load(far + m.page)], [101, 102]);
          assert.deepEqual([m.load(BASE), m.load(BASE + 3 * m.page)], [100, 103]);
          if (m.failure(source, READ) === undefined) {
            left++;
            assert.deepEqual([m.load(source), m.load(source + m.page)], [0, 0]);
            assert.equal(m.vm.sysMunmap(m.cpu, source, 2 * m.page), 0);
          }
          assert.equal(m.failure(source, READ), m.vm.VM_FAULT_SIGSEGV);
          m.audit();
        } else {
          expectContents(m);
        }
        if (!failed) break;
      }
      assert.ok(left > 0);
    });

    it('that fails leaves nothing at its new place, however little memory there is', async () => {
      let failures = 0;
      for (let seed = 1; seed <= MOVES; seed++) {
        const m = await machine(design);
        const { vm, cpu, memory, page } = m;
        // Zeros that were read belong to wherever they are: at the new place they are one with a neighbour.
        const source = BASE + 64 * page;
        m.map(source, 2);
        assert.ok(m.touch(source, READ));
        m.map(far + 2 * page, 2);
        memory.words[vm.percpuOf(0) + vm.Percpu.failSeed] = seed;
        memory.words[vm.percpuOf(0) + vm.Percpu.failPermille] = 500;
        const result = vm.sysMremap(cpu, source, 2 * page, 2 * page, mayMove(m), far);
        memory.words[vm.percpuOf(0) + vm.Percpu.failPermille] = 0;
        m.audit();
        if (result >= 0) continue;
        failures++;
        assert.equal(result, -ENOMEM);
        assert.equal(m.failure(far, READ), vm.VM_FAULT_SIGSEGV);
        assert.equal(m.load(source), 0);
      }
      assert.ok(failures > 0);
    });
  });
}

/** Seeds of random processes: for about one in seven the first process already fails to start. */
const PROCESS_SEEDS = 8;

describe('when allocations fail by chance while memory is short', () => {
  for (const design of RIGHT_DESIGNS) {
    it(`processes that do as they please keep their contents under ${design.name}`, async () => {
      const machine = { arch: 'x86_64', frames: 120, cpus: 1, nodes: 1, swapPages: 512 } as const;
      const config = vmConfig(machine, { ...design, failAllocations: true });
      let swappedIn = 0;
      for (let seed = 1; seed <= PROCESS_SEEDS; seed++) {
        const { vm, memory } = await createPlain(config);
        const cpu = new PlainCpu(vm, memory, 0);
        vm.PROGRAMS.boot(cpu);
        memory.words[vm.percpuOf(0) + vm.Percpu.failPermille] = 30;
        memory.words[vm.percpuOf(0) + vm.Percpu.failSeed] = seed;
        const checksum = vm.PROGRAMS.randomOperations(cpu, seed, 1500, 0, 1);
        if (checksum === -1) continue;
        cpu.idle();
        assert.deepEqual(vm.audit(memory, []), []);
        swappedIn += vm.pageStates(memory).pswpin;
      }
      assert.ok(swappedIn > 0);
    });
  }

  it('those that fail are the same for a seed, and as many as were asked for', async () => {
    const failed = async (seed: number): Promise<boolean[]> => {
      const m = await testMachine({ design: { ...RIGHT_DESIGNS[0], failAllocations: true } });
      m.map(BASE, 400);
      m.memory.words[m.vm.percpuOf(0) + m.vm.Percpu.failPermille] = 250;
      m.memory.words[m.vm.percpuOf(0) + m.vm.Percpu.failSeed] = seed;
      return Array.from({ length: 400 }, (_, page) => !m.touch(BASE + page * m.page, WRITE));
    };
    const once = await failed(7);
    assert.deepEqual(await failed(7), once);
    assert.notDeepEqual(await failed(8), once);
    const count = once.filter(Boolean).length;
    assert.ok(count > 70 && count < 130, `${count} of 400`);
  });
});

function expectContents(m: TestMachine): void {
  for (let index = 0; index < 4; index++) {
    const into = [0];
    assert.ok(m.vm.loadUser(m.cpu, BASE + index * m.page, into) >= 0);
    assert.equal(into[0], 100 + index);
  }
}
