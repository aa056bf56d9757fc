/**
 * The page-fault test behind the tables of the source documents: threads of one process each touch
 * their share of a large mapping, a page at a time, in order.
 */
import { InvariantError } from '../base/errors.js';
import type { Pfn, Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE, sysMmap } from '../mm/mmap.js';
import { createTask, exitTask, mmAlloc, switchTo } from '../mm/process.js';
import { Task } from '../mm/layout/mm.js';
import { isUserFault, storeUser, userFault } from '../mm/user.js';

/** Where the mapping lies: on a boundary of every level up to 1 GiB, below any architecture's end. */
export const PFT_BASE: Vaddr = 0x4000_0000;

/**
 * Starts a process with a mapping of `pages` pages; it stays current on the CPU.
 *
 * @returns the first task, or 0 when there is no memory
 */
export function* pftStart(cpu: Cpu, pages: number): Op<Word> {
  const mm = yield* mmAlloc(cpu);
  if (mm === 0) return 0;
  const task = yield* createTask(cpu, mm, 1);
  if (task === 0) return 0;
  yield* switchTo(cpu, task);
  const prot = PROT_READ | PROT_WRITE;
  const flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const start = yield* sysMmap(cpu, PFT_BASE, pages * PAGE_SIZE, prot, flags, 0, 0, 0);
  if (start !== PFT_BASE) throw new InvariantError(`pft: mapped at ${start}, not ${PFT_BASE}`);
  return task;
}

/** Makes another thread of the process that `first` belongs to. @returns the task, or 0 */
export function* pftThread(cpu: Cpu, first: Word, pid: number): Op<Word> {
  const mm = yield* cpu.load(first + Task.mm);
  return yield* createTask(cpu, mm, pid);
}

/**
 * Touches a run of pages as a thread.
 *
 * @returns pages touched, or a VM_FAULT_ code below 0 for the first that could not be
 */
export function* pftTouch(cpu: Cpu, task: Word, first: number, pages: number): Op<number> {
  yield* switchTo(cpu, task);
  for (let page = first; page < first + pages; page++) {
    yield* cpu.spend(Work.USER);
    const result = yield* storeUser(cpu, PFT_BASE + page * PAGE_SIZE, page);
    if (isUserFault(result)) return Math.min(userFault(result), -1);
  }
  return pages;
}

/** Zeroes frames that nobody uses: what the fault path is measured against. */
export function* zeroFrames(cpu: Cpu, firstPfn: Pfn, frames: number): Op<number> {
  for (let pfn = firstPfn; pfn < firstPfn + frames; pfn++) yield* cpu.zeroPage(frameOf(pfn));
  return frames;
}

/** Ends a thread; the last one of a process unmaps everything. */
export function* pftExit(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  yield* exitTask(cpu);
  return 0;
}
