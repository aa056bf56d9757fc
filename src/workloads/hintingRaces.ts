/**
 * A guest's CPUs at one page, and its host, which takes the frame if the guest has said that it may (SPEC S4). Whoever
 * loads finds what the page held, or what it has stored itself.
 */
import { InvariantError } from '../base/errors.js';
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { hostTake, hostTakeFrames } from '../hardware/host.js';
import { PAGE_SIZE, entryPfn } from '../hardware/machine.js';
import { CpuLine, cpuLine } from '../hardware/memory.js';
import { walk } from '../hardware/mmu.js';

import { doDiscardFault } from '../mm/discard.js';
import { warmCachePage } from '../mm/filemap.js';
import { sysFork } from '../mm/fork.js';
import { FILE_NO_MAP_PAGES } from '../mm/layout/file.js';
import { PG_uptodate } from '../mm/layout/page.js';
import { lruAddDrain, pageCacheRelease, putPage } from '../mm/lru.js';
import { MAP_FIXED, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, sysMmap } from '../mm/mmap.js';
import { sysMprotect } from '../mm/mprotect.js';
import { MS_SYNC, sysMsync } from '../mm/msync.js';
import { sysMunmap } from '../mm/munmap.js';
import { findGetPage, openFile } from '../mm/pagecache.js';
import { pageHoldStable, pageLetGo } from '../mm/pageStates.js';
import { ptepGet } from '../mm/pte.js';
import { switchTo } from '../mm/process.js';
import { getPage } from '../mm/rmap.js';
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

/** Where the page is mapped, and where it is mapped a second time. */
const PAGE: Vaddr = 0x4000_0000;
const AGAIN: Vaddr = PAGE + 8 * PAGE_SIZE;
/** Which page of its file it is: the device has that number in its second word. */
const INDEX = 1;
const TELLING = 4;
/** The word that is stored to. */
const STORED = 8;
/** A setup's result holds a task, which is a word of a small machine, and above that a frame. */
export const FRAME_UNIT = 2 ** 24;

/**
 * A process with two threads that maps a page of a file twice; the page is in the cache and volatile. Faults map one
 * page each, as in 2.6.22: what else they map is looked at in pairs.
 *
 * @param shared - 1 if it is mapped shared, 0 if private
 * @param mapped - 1 if the first of the mappings shows it already
 * @param taken - 1 if the host has it
 * @returns the first task, and the page's frame times FRAME_UNIT
 */
export function* hintedFileSetup(
  cpu: Cpu,
  shared: number,
  mapped: number,
  taken: number,
): Op<number> {
  const first = yield* startProcess(cpu);
  const file = yield* openFile(cpu, INDEX + 1, FILE_NO_MAP_PAGES);
  yield* warmCachePage(cpu, file, INDEX, PG_uptodate);
  const flags = MAP_FIXED | (shared === 1 ? MAP_SHARED : MAP_PRIVATE);
  for (const address of [PAGE, AGAIN]) {
    yield* sysMmap(cpu, address, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, file, INDEX, 0);
  }
  // The leaf table is there in any case.
  yield* mapAnonymous(cpu, PAGE + PAGE_SIZE, 1);
  yield* storeWord(cpu, PAGE + PAGE_SIZE, 1);
  if (mapped === 1) yield* loadWord(cpu, PAGE);
  yield* lruAddDrain(cpu);
  const pfn = yield* findGetPage(cpu, file, INDEX);
  yield* putPage(cpu, pfn);
  if (taken === 1) yield* hostTake(cpu, pfn);
  yield* addThread(cpu, 2);
  return first + pfn * FRAME_UNIT;
}

/**
 * A process with two threads and an anonymous page that was in the swap file and has come back by a load: it is in the
 * swap cache, volatile and mapped.
 *
 * @param writable - 1 if the pte allows stores, which mprotect has seen to
 * @returns as `hintedFileSetup`
 */
export function* hintedSwapSetup(cpu: Cpu, writable: number): Op<number> {
  const first = yield* startProcess(cpu);
  yield* swapCachePage(cpu);
  if (writable === 1) {
    yield* sysMprotect(cpu, PAGE, PAGE_SIZE, PROT_READ);
    yield* sysMprotect(cpu, PAGE, PAGE_SIZE, PROT_READ | PROT_WRITE);
  }
  yield* lruAddDrain(cpu);
  const pfn = yield* mappedFrame(cpu);
  yield* addThread(cpu, 2);
  return first + pfn * FRAME_UNIT;
}

/**
 * A parent and a child that share such a page: the parent has it mapped, the child's pte tells its slot.
 *
 * @param taken - 1 if the host has it
 * @returns as `hintedFileSetup`; the child's task comes second, and a thread of the parent's third
 */
export function* hintedForkedSetup(cpu: Cpu, taken: number): Op<number> {
  const first = yield* startProcess(cpu);
  yield* mapAnonymous(cpu, PAGE, 1);
  yield* storeWord(cpu, PAGE + TELLING, INDEX);
  yield* sysFork(cpu, 2);
  yield* pageOut(cpu, PAGE);
  yield* loadWord(cpu, PAGE);
  yield* lruAddDrain(cpu);
  const pfn = yield* mappedFrame(cpu);
  if (taken === 1) yield* hostTake(cpu, pfn);
  yield* addThread(cpu, 3);
  return first + pfn * FRAME_UNIT;
}

function* swapCachePage(cpu: Cpu): Op<void> {
  yield* mapAnonymous(cpu, PAGE, 1);
  yield* storeWord(cpu, PAGE + TELLING, INDEX);
  yield* pageOut(cpu, PAGE);
  // It was just used, and stays this time.
  yield* pageOut(cpu, PAGE);
  yield* forgetTranslations(cpu);
  yield* loadWord(cpu, PAGE);
}

/** The frame that the page is mapped to. */
function* mappedFrame(cpu: Cpu): Op<Pfn> {
  return entryPfn(yield* ptepGet(cpu, yield* walk(cpu, PAGE)));
}

/** The host takes a frame if it may. @returns 1 if it did */
export function* hostTakesFrame(cpu: Cpu, pfn: Pfn): Op<number> {
  return (yield* hostTake(cpu, pfn)) ? 1 : 0;
}

/**
 * The host goes over all frames a number of times, and takes what it may; as a daemon until the others have ended. It
 * never sleeps, for which the engines that give threads their turns would wait.
 *
 * @returns frames taken
 */
export function* hostTakesAll(cpu: Cpu, passes: number): Op<number> {
  let taken = 0;
  const stop = cpuLine(cpu.id) + CpuLine.stop;
  for (let pass = 0; pass < passes && (yield* cpu.readOnce(stop)) === 0; pass++) {
    taken += yield* hostTakeFrames(cpu, Infinity, true);
    taken += yield* hostTakeFrames(cpu, Infinity, false);
  }
  return taken;
}

/** Loads from the page as a task. @param again - 1 to do so where it is mapped a second time. @returns 0 */
export function* loadHinted(cpu: Cpu, task: Word, again: number): Op<number> {
  yield* switchTo(cpu, task);
  yield* expectWord(cpu, (again === 1 ? AGAIN : PAGE) + TELLING, INDEX);
  return 0;
}

/**
 * A parent and a child that have a page of a file mapped shared, each twice; it is volatile.
 *
 * @param shown - 1 if both of the parent's ptes show it, 0 if only the child's first does
 * @param taken - 1 if the host has it
 * @returns as `hintedFileSetup`; the child's task comes second
 */
export function* hintedShareSetup(cpu: Cpu, shown: number, taken: number): Op<number> {
  const first = yield* startProcess(cpu);
  const file = yield* openFile(cpu, INDEX + 1, FILE_NO_MAP_PAGES);
  yield* warmCachePage(cpu, file, INDEX, PG_uptodate);
  for (const address of [PAGE, AGAIN]) {
    const flags = MAP_FIXED | MAP_SHARED;
    yield* sysMmap(cpu, address, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, file, INDEX, 0);
    if (shown === 1) yield* loadWord(cpu, address);
  }
  // The leaf tables are there in any case.
  yield* mapAnonymous(cpu, PAGE + PAGE_SIZE, 1);
  yield* storeWord(cpu, PAGE + PAGE_SIZE, 1);
  const child = yield* sysFork(cpu, 2);
  if (shown === 0) {
    yield* switchTo(cpu, child);
    yield* loadWord(cpu, PAGE);
  }
  yield* lruAddDrain(cpu);
  const pfn = yield* mappedFrame(cpu);
  if (taken === 1) yield* hostTake(cpu, pfn);
  yield* switchTo(cpu, 0);
  return first + pfn * FRAME_UNIT;
}

/**
 * Holds the page stable, as who copies it does, while one of its mappings goes: the host must not have it.
 *
 * @returns 0
 */
export function* unmapHeld(cpu: Cpu, task: Word, pfn: Pfn): Op<number> {
  yield* switchTo(cpu, task);
  yield* getPage(cpu, pfn);
  if (!(yield* pageHoldStable(cpu, pfn))) throw new InvariantError('nobody has taken the page yet');
  yield* sysMunmap(cpu, AGAIN, PAGE_SIZE);
  if (yield* hostTake(cpu, pfn))
    throw new InvariantError('the host takes a page that is held stable');
  yield* pageLetGo(cpu, pfn);
  yield* pageCacheRelease(cpu, pfn);
  return 0;
}

/** Has the page written back, if it is dirty, and lets go of it. @returns 0 */
export function* syncHinted(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  return yield* sysMsync(cpu, PAGE, PAGE_SIZE, MS_SYNC);
}

/** Handles a discard fault on a frame. @returns 0 */
export function* discardHinted(cpu: Cpu, pfn: Pfn): Op<number> {
  yield* doDiscardFault(cpu, pfn);
  return 0;
}

/** Forks as a task: the child must find what the page held. @returns 0 */
export function* forkHinted(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  const child = yield* sysFork(cpu, 4);
  if (child < 0) throw new InvariantError(`fork returned ${child}`);
  yield* switchTo(cpu, child);
  yield* expectWord(cpu, PAGE + TELLING, INDEX);
  return 0;
}

/** Stores to the page as a task, which must find that again, and what the page held. @returns 0 */
export function* storeHinted(cpu: Cpu, task: Word, again: number): Op<number> {
  const page = again === 1 ? AGAIN : PAGE;
  yield* switchTo(cpu, task);
  yield* storeWord(cpu, page + STORED, INDEX);
  yield* expectWord(cpu, page + STORED, INDEX);
  yield* expectWord(cpu, page + TELLING, INDEX);
  return 0;
}
