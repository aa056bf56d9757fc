/** Races that the mails of SPEC S1 speak of, beside those of firstFault.ts and copyRaces.ts. */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { LEVEL_SPAN, PAGE_SIZE } from '../hardware/machine.js';
import { Access } from '../hardware/mmu.js';
import { sysFork } from '../mm/fork.js';
import { PAGEVEC_SIZE } from '../mm/layout/percpu.js';
import { PROT_READ, PROT_WRITE } from '../mm/mmap.js';
import { sysMprotect } from '../mm/mprotect.js';
import { sysMunmap } from '../mm/munmap.js';
import { lruAddDrain } from '../mm/lru.js';
import { switchTo } from '../mm/process.js';
import { isUserFault, storeUser, touchUser } from '../mm/user.js';
import { tryToFreePages } from '../mm/vmscan.js';
import {
  addThread,
  forgetTranslations,
  loadWord,
  mapAnonymous,
  pageOut,
  startProcess,
  storeWord,
} from './raceSteps.js';
import { contentsError } from './report.js';

const PAGE: Vaddr = 0x4000_0000;
/** What the page holds before the race, and what is stored to it. */
const BEFORE = 7;
const STORED = 9;
/** Frames that lie above another in a CPU's list: those of a child's tables, and that of a copy. */
const SPARE_PAGES = 6;

/**
 * A process with two threads, whose tasks follow each other, and a page that nobody has touched. The CPU's pagevec has
 * room for one page more, and what is in it nobody needs.
 *
 * @returns the first task
 */
export function* fullPagevecSetup(cpu: Cpu): Op<Word> {
  const first = yield* startProcess(cpu);
  yield* mapAnonymous(cpu, PAGE, PAGEVEC_SIZE);
  for (let page = 1; page < PAGEVEC_SIZE; page++) {
    yield* touchUser(cpu, PAGE + page * PAGE_SIZE, Access.WRITE);
  }
  yield* sysMunmap(cpu, PAGE + PAGE_SIZE, (PAGEVEC_SIZE - 1) * PAGE_SIZE);
  // Again, for the table is gone too.
  yield* mapAnonymous(cpu, PAGE + PAGE_SIZE, 1);
  yield* touchUser(cpu, PAGE + PAGE_SIZE, Access.READ);
  yield* addThread(cpu, 2);
  return first;
}

/**
 * Reclaims what can be had, as one who needs memory does.
 *
 * @param touches - 1 to store to the page first
 * @returns 0
 */
export function* reclaimAll(cpu: Cpu, task: Word, touches: number): Op<number> {
  yield* switchTo(cpu, task);
  if (touches === 1) yield* storeWord(cpu, PAGE, STORED);
  yield* tryToFreePages(cpu);
  return 0;
}

/** Takes write permission from the page. @returns 0 */
export function* writeProtect(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  return yield* sysMprotect(cpu, PAGE, PAGE_SIZE, PROT_READ);
}

/**
 * A process with two threads, whose tasks follow each other, and a page that it may write to without a fault, and that
 * is clean: the swap file has the same contents.
 *
 * @returns the first task
 */
export function* cleanPageSetup(cpu: Cpu): Op<Word> {
  const first = yield* startProcess(cpu);
  yield* mapAnonymous(cpu, PAGE, 1);
  yield* storeWord(cpu, PAGE, BEFORE);
  yield* pageOut(cpu, PAGE);
  yield* loadWord(cpu, PAGE);
  // It was just used, and stays this time; but no longer counts as used.
  yield* pageOut(cpu, PAGE);
  yield* sysMprotect(cpu, PAGE, PAGE_SIZE, PROT_READ);
  yield* sysMprotect(cpu, PAGE, PAGE_SIZE, PROT_READ | PROT_WRITE);
  yield* forgetTranslations(cpu);
  yield* addThread(cpu, 2);
  return first;
}

/** Stores to the page, if that is still allowed. @returns 0, or less where it is not */
export function* storeIfAllowed(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  const stored = yield* storeUser(cpu, PAGE, STORED);
  return isUserFault(stored) ? -1 : 0;
}

/** Takes write permission from the page, has it taken out, and brings it back: what it held is there. @returns 0 */
export function* protectAndPageOut(cpu: Cpu, task: Word): Op<number> {
  yield* writeProtect(cpu, task);
  const held = yield* loadWord(cpu, PAGE);
  yield* pageOut(cpu, PAGE);
  const back = yield* loadWord(cpu, PAGE);
  if (back !== held) throw contentsError(`the page held ${held} and came back with ${back}`);
  return 0;
}

/**
 * A process with two threads and a child that shares a page with it; the tasks are those of the first thread, of the
 * child and of the second thread. Of the two frames whose ptes differ in the high word alone, where a pte is two words,
 * one is the page's and the other is free, and not the next to be taken.
 *
 * @returns the first task
 */
export function* neighbourFrameSetup(cpu: Cpu): Op<Word> {
  const first = yield* startProcess(cpu);
  yield* mapAnonymous(cpu, PAGE, 2 + SPARE_PAGES);
  yield* touchUser(cpu, PAGE + PAGE_SIZE, Access.WRITE);
  yield* storeWord(cpu, PAGE, BEFORE);
  for (let page = 2; page < 2 + SPARE_PAGES; page++) {
    yield* touchUser(cpu, PAGE + page * PAGE_SIZE, Access.WRITE);
  }
  yield* lruAddDrain(cpu);
  yield* sysMunmap(cpu, PAGE + PAGE_SIZE, (1 + SPARE_PAGES) * PAGE_SIZE);
  yield* sysFork(cpu, 2);
  yield* addThread(cpu, 3);
  return first;
}

/**
 * A process with two threads, whose tasks follow each other, and an untouched page that lacks all tables below an entry
 * of a level: up to that level a page has been touched that shares its tables.
 *
 * @param level - of the table that has the entry to be populated; 1 has those that point to ptes
 * @returns the first task
 */
export function* missingTablesSetup(cpu: Cpu, level: number): Op<Word> {
  const first = yield* startProcess(cpu);
  yield* mapAnonymous(cpu, PAGE, 1);
  yield* mapAnonymous(cpu, PAGE + LEVEL_SPAN[level], 1);
  yield* touchUser(cpu, PAGE + LEVEL_SPAN[level], Access.WRITE);
  yield* addThread(cpu, 2);
  return first;
}
