/** Two or more CPUs touch one page that nobody touched before. */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { Access } from '../hardware/mmu.js';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, sysMmap } from '../mm/mmap.js';
import { createTask, mmAlloc, switchTo } from '../mm/process.js';
import { isUserFault, touchUser, userFault } from '../mm/user.js';
import { PAGE_SIZE } from '../hardware/machine.js';

const BASE: Vaddr = 0x4000_0000;

/**
 * Makes a process with one writable page and a task per CPU; the tasks' records follow each other.
 *
 * @param warm - 1 to map a page beside it first, so that the tables are there
 * @returns the first task
 */
export function* firstFaultSetup(cpu: Cpu, tasks: number, warm: number): Op<Word> {
  const mm = yield* mmAlloc(cpu);
  const first = yield* createTask(cpu, mm, 1);
  yield* switchTo(cpu, first);
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  yield* sysMmap(cpu, BASE, 2 * PAGE_SIZE, 3, flags, 0, 0, 0);
  if (warm === 1) yield* touchUser(cpu, BASE + PAGE_SIZE, Access.WRITE);
  for (let task = 1; task < tasks; task++) {
    yield* createTask(cpu, mm, task + 1);
  }
  yield* switchTo(cpu, 0);
  return first;
}

/**
 * Touches the page as a task.
 *
 * @param access - an Access
 * @returns 0, or a VM_FAULT_ code below 1
 */
export function* touchOnce(cpu: Cpu, task: Word, access: number): Op<number> {
  yield* switchTo(cpu, task);
  const result = yield* touchUser(cpu, BASE, access);
  return isUserFault(result) ? userFault(result) : 0;
}
