/**
 * One thread stores to a page that is mapped read-only, so that it must be copied, while another thread of the same
 * process sees to it that its pte comes to hold, at the end, what it held at the beginning (SPEC S1-f and S1-g).
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { Access } from '../hardware/mmu.js';
import { warmCachePage } from '../mm/filemap.js';
import { sysFork } from '../mm/fork.js';
import { PG_uptodate } from '../mm/layout/page.js';
import { MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE, sysMmap } from '../mm/mmap.js';
import { openFile } from '../mm/pagecache.js';
import { exitTask, switchTo } from '../mm/process.js';
import { touchUser } from '../mm/user.js';
import {
  addThread,
  expectWord,
  forgetTranslations,
  loadWord,
  mapAnonymous,
  pageOut,
  startProcess,
  storeWord,
} from './raceSteps.js';

/** The page that is copied, and one beside it that is mapped to the zero page. */
const COPIED: Vaddr = 0x4000_0000;
const OTHER: Vaddr = COPIED + PAGE_SIZE;
/** Where the other thread says that it has done what it does; a page that can be stored to without a fault. */
const SAID: Vaddr = COPIED + 2 * PAGE_SIZE;
/** Which word of the page tells it from others, and which the copying CPU stores to. */
const TELLING: Vaddr = COPIED + 4;
const STORED: Vaddr = COPIED + 8;
/** What the telling word holds before. In a file it is the number of the page. */
const BEFORE = 1;
const AFTER = 2;

/**
 * A process, its child and a second thread of the parent, whose tasks follow each other. Parent and child have shared
 * an anonymous page since the fork. It was in the swap file, where the child still has it; the parent's pte is
 * read-only, young and clean, as it is each time that the page has come back.
 *
 * @returns the parent
 */
export function* sharedCopySetup(cpu: Cpu): Op<Word> {
  const parent = yield* startProcess(cpu);
  yield* mapAnonymous(cpu, COPIED, 3);
  yield* storeWord(cpu, TELLING, BEFORE);
  yield* sysFork(cpu, 2);
  yield* storeWord(cpu, SAID, BEFORE);
  yield* pageOut(cpu, COPIED);
  yield* loadWord(cpu, TELLING);
  // It was just used, and stays this time; but no longer counts as used.
  yield* pageOut(cpu, COPIED);
  yield* forgetTranslations(cpu);
  yield* loadWord(cpu, TELLING);
  yield* touchOther(cpu);
  yield* addThread(cpu, 3);
  return parent;
}

/**
 * The same of a page of a file that is mapped private, by a process and its second thread; there is no child.
 *
 * @returns the first task
 */
export function* fileCopySetup(cpu: Cpu): Op<Word> {
  const first = yield* startProcess(cpu);
  const file = yield* openFile(cpu, BEFORE + 1, 0);
  yield* warmCachePage(cpu, file, BEFORE, PG_uptodate);
  const flags = MAP_PRIVATE | MAP_FIXED;
  yield* sysMmap(cpu, COPIED, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, file, BEFORE, 0);
  yield* mapAnonymous(cpu, OTHER, 1);
  yield* loadWord(cpu, TELLING);
  yield* touchOther(cpu);
  yield* addThread(cpu, 2);
  return first;
}

/** Maps the zero page beside the other, and empties the pagevecs on to the lists. */
function* touchOther(cpu: Cpu): Op<void> {
  yield* touchUser(cpu, OTHER, Access.READ);
  yield* pageOut(cpu, OTHER);
}

/** Stores to the page, which must be copied for it: the rest of it is as it was. @returns 0 */
export function* storeToCopy(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  yield* storeWord(cpu, STORED, AFTER);
  yield* expectWord(cpu, TELLING, BEFORE);
  return 0;
}

/** Has the page taken out of memory. @returns 0 */
export function* takeCopiedOut(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  yield* pageOut(cpu, COPIED);
  return 0;
}

/**
 * Has the page taken out, its frame taken by the other page, that one taken out too, and the page brought back.
 *
 * @returns 0
 */
export function* takeOutAndBringBack(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  yield* pageOut(cpu, COPIED);
  yield* storeWord(cpu, OTHER, AFTER);
  yield* pageOut(cpu, OTHER);
  yield* expectWord(cpu, TELLING, BEFORE);
  return 0;
}

/**
 * Ends the child, so that the page is the parent's alone; stores to it where it is, has it taken out, brings it back,
 * and says so.
 *
 * @param child - its task
 * @returns 0
 */
export function* storeAndBringBack(cpu: Cpu, task: Word, child: Word): Op<number> {
  yield* switchTo(cpu, child);
  yield* exitTask(cpu);
  yield* switchTo(cpu, task);
  yield* storeWord(cpu, TELLING, AFTER);
  yield* pageOut(cpu, COPIED);
  yield* expectWord(cpu, TELLING, AFTER);
  yield* storeWord(cpu, SAID, AFTER);
  return 0;
}

/** Stores to the page; what the other thread stored before it said so is there. @returns 0 */
export function* storeBeside(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  yield* storeWord(cpu, STORED, AFTER);
  if ((yield* loadWord(cpu, SAID)) === AFTER) yield* expectWord(cpu, TELLING, AFTER);
  return 0;
}
