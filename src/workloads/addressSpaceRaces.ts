/**
 * Two CPUs at odds over one page: a parent and its forked child that share it until one writes, or two threads of
 * which one copies or moves the mapping that the other touches. Whoever loads must find what it stored.
 */
import { InvariantError } from '../base/errors.js';
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { Access } from '../hardware/mmu.js';
import { warmCachePage } from '../mm/filemap.js';
import { openFile } from '../mm/pagecache.js';
import { sysFork } from '../mm/fork.js';
import { MAP_FIXED, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, sysMmap } from '../mm/mmap.js';
import { MREMAP_FIXED, MREMAP_MAYMOVE, sysMremap } from '../mm/mremap.js';
import { MS_SYNC, sysMsync } from '../mm/msync.js';
import { createTask, exitTask, switchTo } from '../mm/process.js';
import { Task } from '../mm/layout/mm.js';
import { PG_uptodate } from '../mm/layout/page.js';
import { Vma } from '../mm/layout/vma.js';
import { truncateFile } from '../mm/truncate.js';
import { storeUser, touchUser } from '../mm/user.js';
import { findVma } from '../mm/vmatree.js';
import { expectWord, mapAnonymous, pageOut, startProcess, storeWord } from './raceSteps.js';

/** The page that both touch. */
export const PAGE: Vaddr = 0x4000_0000;
/** Where the page is moved to, in the same leaf table. */
export const TARGET: Vaddr = PAGE + 16 * PAGE_SIZE;
/** What the page holds before the race. */
export const BEFORE = 7;

/**
 * Makes a process with one page of private memory, which holds BEFORE if it was touched.
 *
 * @param touched - 1 to write to the page, so that it is mapped
 * @returns its task, which stays current
 */
export function* start(cpu: Cpu, touched: number): Op<Word> {
  const task = yield* startProcess(cpu);
  yield* mapAnonymous(cpu, PAGE, 1);
  if (touched === 1) yield* storeUser(cpu, PAGE, BEFORE);
  return task;
}

/** Gives the process of a task a second thread, whose task follows the first on a fresh machine. */
export function* addThread(cpu: Cpu, first: Word): Op<void> {
  const mm = yield* cpu.load(first + Task.mm);
  yield* createTask(cpu, mm, 2);
}

/** A process and its child, whose tasks follow each other. @returns the first */
export function* forkedSetup(cpu: Cpu): Op<Word> {
  const parent = yield* start(cpu, 1);
  yield* sysFork(cpu, 2);
  yield* switchTo(cpu, 0);
  return parent;
}

/** A process with two threads, whose tasks follow each other. @returns the first */
export function* threadsSetup(cpu: Cpu, touched: number): Op<Word> {
  const first = yield* start(cpu, touched);
  yield* addThread(cpu, first);
  yield* switchTo(cpu, 0);
  return first;
}

/** Stores to the page as a task, and must find what it stored. @returns 0 */
export function* storeOwn(cpu: Cpu, task: Word, value: number): Op<number> {
  yield* switchTo(cpu, task);
  yield* storeWord(cpu, PAGE, value);
  yield* expectWord(cpu, PAGE, value);
  return 0;
}

/** Loads from the page as a task: nobody else's store may show. @returns 0 */
export function* loadOwn(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  yield* expectWord(cpu, PAGE, BEFORE);
  return 0;
}

/**
 * A process with two threads, whose tasks follow each other, and one page of a file that it maps shared or private.
 *
 * @param cached - 1 if the page is in the cache, 2 if it is mapped for reading too
 * @returns the first task
 */
export function* fileSetup(cpu: Cpu, shared: number, cached: number): Op<Word> {
  const first = yield* start(cpu, 0);
  const file = yield* openFile(cpu, 1, 0);
  if (cached > 0) yield* warmCachePage(cpu, file, 0, PG_uptodate);
  const flags = MAP_FIXED | (shared === 1 ? MAP_SHARED : MAP_PRIVATE);
  yield* sysMmap(cpu, PAGE, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, file, 0, 0);
  if (cached === 2) yield* touchUser(cpu, PAGE, Access.READ);
  yield* addThread(cpu, first);
  yield* switchTo(cpu, 0);
  return first;
}

/**
 * A process and its child, whose tasks follow each other, that map one page of a file shared; it is in the cache, and no
 * pte shows it. @returns the first task
 */
export function* forkedFileSetup(cpu: Cpu): Op<Word> {
  const parent = yield* start(cpu, 1);
  const file = yield* openFile(cpu, 1, 0);
  yield* warmCachePage(cpu, file, 0, PG_uptodate);
  yield* sysMmap(cpu, PAGE, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, file, 0, 0);
  yield* sysFork(cpu, 2);
  yield* switchTo(cpu, 0);
  return parent;
}

/** Cuts the file that a task has mapped down to nothing. @returns 0 */
export function* truncateAll(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  const vma = yield* findVma(cpu, cpu.mm, PAGE);
  yield* truncateFile(cpu, yield* cpu.load(vma + Vma.vmFile), 0);
  return 0;
}

/**
 * A process with two threads, whose tasks follow each other, that maps two pages of a file of which the device has
 * none: it was cut down, and has grown again. @returns the first task
 */
export function* grownFileSetup(cpu: Cpu): Op<Word> {
  const first = yield* start(cpu, 0);
  const file = yield* openFile(cpu, 2, 0);
  yield* truncateFile(cpu, file, 0);
  yield* truncateFile(cpu, file, 2);
  const flags = MAP_FIXED | MAP_SHARED;
  yield* sysMmap(cpu, PAGE, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, file, 0, 0);
  yield* addThread(cpu, first);
  yield* switchTo(cpu, 0);
  return first;
}

/** Stores to a page of the mapping as a task, and has it written back. @returns 0 */
export function* storeAndSync(cpu: Cpu, task: Word, page: number): Op<number> {
  yield* switchTo(cpu, task);
  yield* storeUser(cpu, PAGE + page * PAGE_SIZE, 1);
  return yield* sysMsync(cpu, PAGE + page * PAGE_SIZE, PAGE_SIZE, MS_SYNC);
}

/** Ends a task, and its address space with it. @returns 0 */
export function* endTask(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  yield* exitTask(cpu);
  return 0;
}

/** Forks as a task, and stores to the page afterwards: the child must not see it. @returns 0 */
export function* forkAndStore(cpu: Cpu, task: Word, value: number): Op<number> {
  yield* switchTo(cpu, task);
  const child = yield* sysFork(cpu, 3);
  if (child < 0) throw new InvariantError(`fork returned ${child}`);
  if (value !== 0) yield* storeUser(cpu, PAGE + 4, value);
  yield* switchTo(cpu, child);
  yield* expectWord(cpu, PAGE + 4, 0);
  return 0;
}

/** Moves the page as a task; what it held must be there. @returns 0 */
export function* movePage(cpu: Cpu, task: Word): Op<number> {
  yield* switchTo(cpu, task);
  const flags = MREMAP_MAYMOVE | MREMAP_FIXED;
  const moved = yield* sysMremap(cpu, PAGE, PAGE_SIZE, PAGE_SIZE, flags, TARGET);
  if (moved !== TARGET) throw new InvariantError(`mremap returned ${moved}`);
  yield* expectWord(cpu, TARGET, BEFORE);
  return 0;
}

/** Has the page taken out of memory as a task; it must hold what it did when it comes back. @returns 0 */
export function* pageOutAndLoad(cpu: Cpu, task: Word, value: number): Op<number> {
  yield* switchTo(cpu, task);
  yield* pageOut(cpu, PAGE);
  if (value !== 0) yield* expectWord(cpu, PAGE, value);
  return 0;
}

/** Touches the page as a task, twice, wherever it is meanwhile. @returns 0 */
export function* touchTwice(cpu: Cpu, task: Word, access: Access): Op<number> {
  yield* switchTo(cpu, task);
  yield* touchUser(cpu, PAGE, access);
  yield* touchUser(cpu, PAGE, access);
  return 0;
}
