/**
 * What two operations on one page meet: the page as it is before, and two tasks that have it mapped. Its mapping is
 * one page long, and the tables and records that a fault needs are there, so that a search has little to try beside
 * what the two do to each other.
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { hostTakeFrames } from '../hardware/host.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { Access } from '../hardware/mmu.js';
import { warmCachePage } from '../mm/filemap.js';
import { sysFork } from '../mm/fork.js';
import { PG_uptodate } from '../mm/layout/page.js';
import { lruAddDrain } from '../mm/lru.js';
import { MADV_DONTNEED, MADV_PAGEOUT, sysMadvise } from '../mm/madvise.js';
import { MAP_FIXED, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, sysMmap } from '../mm/mmap.js';
import { MS_SYNC, sysMsync } from '../mm/msync.js';
import { openFile } from '../mm/pagecache.js';
import { switchTo } from '../mm/process.js';
import { storeUser, touchUser } from '../mm/user.js';
import { BEFORE, PAGE, addThread, start } from './addressSpaceRaces.js';

/** What the page is. The tasks are threads of one process, or a parent and its child where it is shared by fork. */
export const enum PairKind {
  /** Anonymous, and not there: nothing was stored since it was last given up. */
  FRESH,
  /** Anonymous, and read: the zero page is mapped. */
  ZERO,
  /** Anonymous, and written. */
  ANON,
  /** Anonymous, written, and in the swap file. */
  SWAPPED,
  /** Anonymous, written, and shared since by a parent, the first task, and its child. */
  FORKED,
  /** The same, and in the swap file since. */
  FORKED_SWAPPED,
  /** Anonymous, written, and back from the swap file by a load: mapped, and in the swap cache. */
  SWAP_CACHED,
  /** The same, and a host has taken its frame: of designs with hinting. */
  TAKEN_SWAP_CACHED,
  /** Of a file that is mapped shared: in the cache, clean, and not mapped. */
  FILE,
  /** Of a file that is mapped shared: written, and not yet written back. */
  DIRTY_FILE,
  /** Of a file that is mapped private: in the cache, clean, and not mapped. */
  PRIVATE_FILE,
  /** Of a file that is mapped shared: clean and mapped, and a host has taken its frame. */
  TAKEN_FILE,
}

/** Where in the page the word is that neither operation stores to, in bytes: behind those that tell pages of files apart. */
export const HELD_WORD = 8;

/** Pages of the file: the one that is mapped, and one more to be mapped in its place. */
const FILE_PAGES = 2;

/** Makes the page of a kind, and two tasks whose records follow each other. @returns the first */
export function* pairSetup(cpu: Cpu, kind: PairKind): Op<Word> {
  const first = yield* start(cpu, 0);
  if (isOfFile(kind)) yield* makeFilePage(cpu, kind);
  else yield* makeAnonymousPage(cpu, kind);
  if (isForked(kind)) yield* sysFork(cpu, 2);
  else yield* addThread(cpu, first);
  if (isSwapped(kind)) yield* sysMadvise(cpu, PAGE, PAGE_SIZE, MADV_PAGEOUT);
  if (isMappedAgain(kind)) yield* touchUser(cpu, PAGE, Access.READ);
  // A page that waits in a pagevec of this CPU could not be reclaimed by another.
  yield* lruAddDrain(cpu);
  if (isTaken(kind)) yield* hostTakeFrames(cpu, Infinity, false);
  yield* switchTo(cpu, 0);
  return first;
}

/** Whether the page has been in the swap file. */
function isSwapped(kind: PairKind): boolean {
  return kind >= PairKind.SWAPPED && kind < PairKind.FILE && kind !== PairKind.FORKED;
}

/** Whether it has been mapped since it was taken out. */
function isMappedAgain(kind: PairKind): boolean {
  return kind === PairKind.SWAP_CACHED || isTaken(kind);
}

function isTaken(kind: PairKind): boolean {
  return kind === PairKind.TAKEN_SWAP_CACHED || kind === PairKind.TAKEN_FILE;
}

/** Whether the tasks are of two processes. */
export function isForked(kind: PairKind): boolean {
  return kind === PairKind.FORKED || kind === PairKind.FORKED_SWAPPED;
}

function isOfFile(kind: PairKind): boolean {
  return kind >= PairKind.FILE;
}

/** Whether all who map the page see what one stores. */
export function isSharedFile(kind: PairKind): boolean {
  return isOfFile(kind) && kind !== PairKind.PRIVATE_FILE;
}

/** What that word holds. */
export function heldBefore(kind: PairKind): number {
  return kind === PairKind.FRESH || kind === PairKind.ZERO ? 0 : BEFORE;
}

function* makeAnonymousPage(cpu: Cpu, kind: PairKind): Op<void> {
  yield* storeUser(cpu, PAGE + HELD_WORD, BEFORE);
  if (heldBefore(kind) !== 0) return;
  // The table and the anon_vma stay.
  yield* sysMadvise(cpu, PAGE, PAGE_SIZE, MADV_DONTNEED);
  if (kind === PairKind.ZERO) yield* touchUser(cpu, PAGE, Access.READ);
}

function* makeFilePage(cpu: Cpu, kind: PairKind): Op<void> {
  const file = yield* openFile(cpu, FILE_PAGES, 0);
  for (let page = 0; page < FILE_PAGES; page++) yield* warmCachePage(cpu, file, page, PG_uptodate);
  yield* mapFile(cpu, file, MAP_SHARED);
  yield* storeUser(cpu, PAGE + HELD_WORD, BEFORE);
  if (kind === PairKind.DIRTY_FILE) return;
  yield* sysMsync(cpu, PAGE, PAGE_SIZE, MS_SYNC);
  if (kind === PairKind.PRIVATE_FILE) {
    yield* mapFile(cpu, file, MAP_PRIVATE);
    yield* touchUser(cpu, PAGE, Access.WRITE);
  }
  yield* sysMadvise(cpu, PAGE, PAGE_SIZE, MADV_DONTNEED);
}

function* mapFile(cpu: Cpu, file: Word, type: number): Op<Vaddr> {
  const flags = MAP_FIXED | type;
  return yield* sysMmap(cpu, PAGE, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, file, 0, 0);
}
