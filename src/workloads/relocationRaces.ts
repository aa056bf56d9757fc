/** A CPU moves the page tables of a process while others use them. */
import { InvariantError } from '../base/errors.js';
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { wordPfn } from '../hardware/frames.js';
import { PAGE_SIZE, pfnNode } from '../hardware/machine.js';
import { Task } from '../mm/layout/mm.js';
import { switchTo } from '../mm/process.js';
import { migratePageTables, moveTables } from '../mm/migrateTables.js';
import { leafTable } from '../mm/pgwalk.js';
import type { Move } from '../mm/relocate.js';
import {
  addThread,
  expectWord,
  loadWord,
  mapAnonymous,
  pageOut,
  startProcess,
  storeWord,
} from './raceSteps.js';
import { contentsError } from './report.js';

const PAGE: Vaddr = 0x4000_0000;
/** What the first page holds before the race. */
const BEFORE = 7;
/** What `loadThenDirty` stores to it. */
export const STORED = 9;

/**
 * A process with two threads, whose tasks follow each other, and two pages, of which the second was not touched.
 *
 * @returns the first task
 */
export function* relocateSetup(cpu: Cpu): Op<Word> {
  const first = yield* startProcess(cpu);
  yield* mapAnonymous(cpu, PAGE, 2);
  yield* storeWord(cpu, PAGE, BEFORE);
  yield* addThread(cpu, 2);
  return first;
}

/**
 * Loads from the first page as a task, so that its CPU knows where their table is, then stores to the second, and must
 * find what it stored.
 *
 * @returns 0
 */
export function* loadThenStore(cpu: Cpu, task: Word, value: number): Op<number> {
  yield* switchTo(cpu, task);
  yield* expectWord(cpu, PAGE, BEFORE);
  yield* storeWord(cpu, PAGE + PAGE_SIZE, value);
  yield* expectWord(cpu, PAGE + PAGE_SIZE, value);
  yield* switchTo(cpu, 0);
  return 0;
}

/** Loads from a page as a task. @returns 0 */
export function* loadAndLeave(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  yield* loadWord(cpu, PAGE);
  yield* switchTo(cpu, 0);
  return 0;
}

/** Which tables move: those of each level whose bit is set, as long as there are frames for them. */
function tablesOf(levels: number, frames: number): Move {
  return { wants: (_pfn, level) => (levels & (1 << level)) !== 0, source: { left: frames } };
}

/**
 * Moves tables of a task's process to other frames, as that task.
 *
 * @param levels - bits of the levels that move; of some there are none
 * @param frames - that there are for it
 * @returns 0
 */
export function* relocateOwn(cpu: Cpu, task: Word, levels: number, frames: number): Op<number> {
  yield* switchTo(cpu, task);
  yield* moveTables(cpu, cpu.mm, tablesOf(levels, frames));
  yield* switchTo(cpu, 0);
  return 0;
}

/**
 * Loads from the first page as a task, so that its CPU knows it as a page that it may store to, and stores to it: the
 * MMU marks its pte dirty by itself.
 *
 * @returns 0
 */
export function* loadThenDirty(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  yield* loadWord(cpu, PAGE);
  yield* storeWord(cpu, PAGE, STORED);
  yield* switchTo(cpu, 0);
  return 0;
}

/** Moves leaf tables, has the first page taken out, and brings it back: what it held is there. @returns 0 */
export function* relocateAndPageOut(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  yield* moveTables(cpu, cpu.mm, tablesOf(1, 1));
  const held = yield* loadWord(cpu, PAGE);
  yield* pageOut(cpu, PAGE);
  const brought = yield* loadWord(cpu, PAGE);
  if (held !== BEFORE && brought === BEFORE) {
    throw contentsError(`the page holds ${brought} again, should hold ${held}`);
  }
  yield* switchTo(cpu, 0);
  return 0;
}

/** As `relocateSetup`, and the leaf table is on node 1, apart from the top. @returns the first task */
export function* spreadSetup(cpu: Cpu): Op<Word> {
  const first = yield* relocateSetup(cpu);
  const mm = yield* cpu.load(first + Task.mm);
  yield* moveTables(cpu, mm, { wants: (_pfn, level) => level === 0, source: { node: 1 } });
  return first;
}

/** Moves all tables of a task's process from one node to another: none is left there. @returns 0 */
export function* migrateOwn(cpu: Cpu, task: Word, from: number, to: number): Op<number> {
  yield* switchTo(cpu, task);
  yield* migratePageTables(cpu, cpu.mm, from, to);
  const table = yield* leafTable(cpu, cpu.mm, PAGE);
  if (pfnNode(wordPfn(table)) === from) {
    throw new InvariantError(`the leaf table in frame ${wordPfn(table)} is still on node ${from}`);
  }
  yield* switchTo(cpu, 0);
  return 0;
}
