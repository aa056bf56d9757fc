/** A CPU moves the page tables of a process while others use them. */
import { InvariantError } from '../base/errors.js';
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { Task } from '../mm/layout/mm.js';
import { allocTable } from '../mm/pgtable.js';
import { switchTo } from '../mm/process.js';
import { relocateTables, type Move } from '../mm/relocate.js';
import {
  addThread,
  expectWord,
  loadWord,
  mapAnonymous,
  startProcess,
  storeWord,
} from './raceSteps.js';

const PAGE: Vaddr = 0x4000_0000;
/** What the first page holds before the race. */
const BEFORE = 7;

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

/** Which tables `relocateOwn` moves: those of each level whose bit is set. */
function tablesOf(levels: number): Move {
  return {
    wants: (_pfn, level) => (levels & (1 << level)) !== 0,
    *alloc(taker: Cpu): Op<Pfn> {
      return yield* allocTable(taker, 0);
    },
  };
}

/**
 * Moves tables of a task's process to other frames, as that task.
 *
 * @param levels - bits of the levels that move; of some there are none
 * @param least - tables that must move
 * @returns 0
 */
export function* relocateOwn(cpu: Cpu, task: Word, levels: number, least: number): Op<number> {
  yield* switchTo(cpu, task);
  const mm = yield* cpu.load(task + Task.mm);
  const { moved, noMemory } = yield* relocateTables(cpu, mm, tablesOf(levels));
  if (noMemory || moved < least) throw new InvariantError(`${moved} tables moved, not ${least}`);
  yield* switchTo(cpu, 0);
  return 0;
}
