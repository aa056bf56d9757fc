/**
 * Every allocation of every call and fault is made to fail in turn: the caller is told, the audit finds
 * nothing, what the memory held it holds, and the same call succeeds afterwards.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EAGAIN, EFAULT, ENOMEM } from '../base/errno.js';
import { BASE, RIGHT_DESIGNS, WRITE, testMachine, type TestMachine } from '../../test/machine.js';

const FRAMES = 3000;
const PAGES = 6;
/** More allocations than any of the calls makes. */
const BOUND = 200;

/** A call or an access. @returns less than 0 where it failed */
type Act = (m: TestMachine) => number;

const mayMove = (m: TestMachine): number => m.vm.MREMAP_MAYMOVE | m.vm.MREMAP_FIXED;
const far = BASE + 2 ** 32;

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
  'a write to untouched memory': (m) => (m.touch(BASE + 5 * m.page, WRITE) ? 0 : -ENOMEM),
  'a write far from all tables': (m) => (m.touch(far + 2 ** 33, WRITE) ? 0 : -ENOMEM),
  'a private write to a file': (m) => (m.touch(BASE + 32 * m.page, WRITE) ? 0 : -ENOMEM),
  'a shared write to a file': (m) => (m.touch(BASE + 17 * m.page, WRITE) ? 0 : -ENOMEM),
  'a write to a huge page': (m) => (m.touch(2 * BASE, WRITE) ? 0 : -ENOMEM),
};

/** A process with touched and untouched memory, a file mapped both ways, and room for a huge page. */
async function machine(design: (typeof RIGHT_DESIGNS)[number]): Promise<TestMachine> {
  const m = await testMachine({ design: { ...design, failAllocations: true }, frames: FRAMES });
  const { vm, cpu, page } = m;
  m.map(BASE, PAGES);
  for (let index = 0; index < 4; index++) vm.storeUser(cpu, BASE + index * page, 100 + index);
  const file = vm.openFile(cpu, 8, 0);
  vm.sysMmap(cpu, BASE + 16 * page, 8 * page, 3, vm.MAP_SHARED | vm.MAP_FIXED, file, 0, 0);
  vm.sysMmap(cpu, BASE + 32 * page, 8 * page, 3, vm.MAP_PRIVATE | vm.MAP_FIXED, file, 0, 0);
  m.map(far + 2 ** 33, 1);
  m.map(2 * BASE, vm.HUGE_PAGES);
  vm.sysMadvise(cpu, 2 * BASE, vm.HUGE_SIZE, vm.MADV_HUGEPAGE);
  return m;
}

for (const design of RIGHT_DESIGNS) {
  describe(`under ${design.name}, when an allocation fails`, () => {
    for (const [what, act] of Object.entries(ACTS)) {
      it(`${what} says so, and leaves nothing behind`, async () => {
        let failures = 0;
        for (let after = 1; ; after++) {
          assert.ok(after < BOUND, 'the call allocates without end');
          const m = await machine(design);
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
      });
    }
  });
}

function expectContents(m: TestMachine): void {
  for (let index = 0; index < 4; index++) {
    const into = [0];
    assert.ok(m.vm.loadUser(m.cpu, BASE + index * m.page, into) >= 0);
    assert.equal(into[0], 100 + index);
  }
}
