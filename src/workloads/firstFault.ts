/** Two or more CPUs touch one page that nobody touched before, and then a page of their own. */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { Access } from '../hardware/mmu.js';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, sysMmap } from '../mm/mmap.js';
import { sysMunmap } from '../mm/munmap.js';
import { createTask, mmAlloc, switchTo } from '../mm/process.js';
import { isUserFault, loadUser, storeUser, touchUser, userFault } from '../mm/user.js';

/** The page that all touch; behind it, one for the setup and one for each task. */
const SHARED: Vaddr = 0x4000_0000;
const OWN_PAGES: Vaddr = SHARED + 2 * PAGE_SIZE;

/**
 * Makes a process with untouched writable memory and a task per CPU; the tasks' records follow each
 * other.
 *
 * @param warm - 1 to touch a page beside it first, so that tables and anon_vma are there
 * @returns the first task
 */
export function* firstFaultSetup(cpu: Cpu, tasks: number, warm: number): Op<Word> {
  const mm = yield* mmAlloc(cpu);
  const first = yield* createTask(cpu, mm, 1);
  yield* switchTo(cpu, first);
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  yield* sysMmap(cpu, SHARED, (2 + tasks) * PAGE_SIZE, 3, flags, 0, 0, 0);
  if (warm === 1) yield* touchUser(cpu, SHARED + PAGE_SIZE, Access.WRITE);
  for (let task = 1; task < tasks; task++) {
    yield* createTask(cpu, mm, task + 1);
  }
  yield* switchTo(cpu, 0);
  return first;
}

/**
 * Loads from or stores to the page that all touch a number of times.
 *
 * @returns 0, or a VM_FAULT_ code below 1
 */
export function* touchShared(cpu: Cpu, task: Word, access: Access, times: number): Op<number> {
  yield* switchTo(cpu, task);
  for (let time = 0; time < times; time++) {
    const result =
      access === Access.WRITE
        ? yield* storeUser(cpu, SHARED, time)
        : yield* loadUser(cpu, SHARED, [0]);
    if (isUserFault(result)) return userFault(result);
  }
  return 0;
}

/** Unmaps the page that all touch, as a task. @returns 0 or a negative errno */
export function* unmapShared(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  return yield* sysMunmap(cpu, SHARED, PAGE_SIZE);
}

/**
 * Touches the page that all touch as a task, then one of its own for writing.
 *
 * @param access - an Access, to the first of the two
 * @param own - which own page; -1 for none
 * @returns 0, or a VM_FAULT_ code below 1
 */
export function* firstFault(cpu: Cpu, task: Word, access: number, own: number): Op<number> {
  yield* switchTo(cpu, task);
  const first = yield* touchUser(cpu, SHARED, access);
  if (isUserFault(first)) return userFault(first);
  if (own < 0) return 0;
  const second = yield* touchUser(cpu, OWN_PAGES + own * PAGE_SIZE, Access.WRITE);
  return isUserFault(second) ? userFault(second) : 0;
}
