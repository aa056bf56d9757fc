/** Pages of files that come into the cache (Linux: page_cache_read, mm/filemap.c; shmem_getpage, mm/shmem.c). */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { SWAP_FILE } from '../hardware/device.js';
import { frameOf } from '../hardware/frames.js';
import { HINTING } from '../hardware/hostStates.js';
import { PAGE_WORDS } from '../hardware/machine.js';
import { allocPage, allocZeroedLowPage } from './allocpages.js';
import { countEvent } from './counters.js';
import { HINTS_COUNTED, HINTS_PINNED } from './design.js';
import { findGetPageStable } from './discard.js';
import { File } from './layout/file.js';
import {
  PG_cache,
  PG_dirty,
  PG_locked,
  PG_mappedtodisk,
  PG_uptodate,
  Page,
  pageOf,
} from './layout/page.js';
import { PageState } from './layout/percpu.js';
import { lruCacheAdd, putPage } from './lru.js';
import {
  CACHE_PAGE_REFERENCES,
  NEW_PAGE_REFERENCES,
  freeNewPage,
  setNewReferences,
} from './pagealloc.js';
import { countCached, findGetPage, isCached, slotOf, swappedTo } from './pagecache.js';
import { pageMakeVolatile } from './pageStates.js';
import { freeSwapAndCache } from './swapstate.js';

/** What reading a page may give instead of a frame. */
export const CACHE_FULL: Pfn = 0;
export const CACHE_IO_ERROR: Pfn = -1;

/** What addToPageCache gives where it added nothing: no frame for the tree; another page came first. */
const ADD_FULL = 1;
const ADD_EXISTS = 2;

/**
 * Puts a new page into the cache, which takes over the caller's reference (Linux:
 * add_to_page_cache_lru).
 *
 * @returns ADD_FULL or ADD_EXISTS, and then the page is still the caller's; otherwise what the tree had in its
 *   place: 0, or less where the page is in the swap file
 */
function* addToPageCache(cpu: Cpu, file: Word, index: number, pfn: Pfn): Op<number> {
  if (!(yield* makeSlot(cpu, file, index))) return ADD_FULL;
  yield* cpu.spinLock(file + File.treeLock);
  const slot = yield* slotOf(cpu, file, index);
  const value = yield* cpu.load(slot);
  if (value <= 0) {
    yield* cpu.store(slot, pfn);
    yield* countCached(cpu, file, 1);
  }
  yield* cpu.spinUnlock(file + File.treeLock);
  return value > 0 ? ADD_EXISTS : value;
}

/** Builds the tree as far as a page needs it; nodes stay while the file does. @returns false when memory is full */
function* makeSlot(cpu: Cpu, file: Word, index: number): Op<boolean> {
  for (;;) {
    yield* cpu.spinLock(file + File.treeLock);
    const slot = yield* slotOf(cpu, file, index);
    yield* cpu.spinUnlock(file + File.treeLock);
    if (slot !== 0) return true;
    const node = yield* allocZeroedLowPage(cpu);
    if (node === 0) return false;
    yield* cpu.writeOnce(pageOf(node) + Page.flags, PG_cache);
    yield* setNewReferences(cpu, node, NEW_PAGE_REFERENCES, 1);
    yield* cpu.spinLock(file + File.treeLock);
    const hung = yield* hangNode(cpu, file, index, node);
    yield* cpu.spinUnlock(file + File.treeLock);
    if (!hung) yield* freeNewPage(cpu, node, 1);
  }
}

/** Puts a node where the tree lacks one on the way to a page. @returns whether it did */
function* hangNode(cpu: Cpu, file: Word, index: number, node: Pfn): Op<boolean> {
  const root = yield* cpu.load(file + File.root);
  const word = root === 0 ? file + File.root : frameOf(root) + ((index / PAGE_WORDS) | 0);
  if ((yield* cpu.load(word)) !== 0) return false;
  yield* cpu.store(word, node);
  return true;
}

/**
 * Reads a page of a file into the cache, if it is not there (Linux: page_cache_read).
 *
 * @param flags - PG_ bits that the page has beside PG_cache, once it is complete
 * @returns its frame with a reference for the caller; CACHE_FULL; CACHE_IO_ERROR
 */
export function* readCachePage(cpu: Cpu, file: Word, index: number, flags: number): Op<Pfn> {
  for (;;) {
    const cached = HINTS_COUNTED
      ? yield* findGetPageStable(cpu, file, index)
      : yield* findGetPage(cpu, file, index);
    if (cached === 0) return yield* addCachePage(cpu, file, index, flags);
    if (yield* waitForPage(cpu, file, index, cached)) return cached;
  }
}

/**
 * Waits until a page that was found is complete.
 *
 * @returns false where it is no longer the file's, and the reference is gone
 */
export function* waitForPage(cpu: Cpu, file: Word, index: number, pfn: Pfn): Op<boolean> {
  const flags = pageOf(pfn) + Page.flags;
  if (((yield* cpu.readOnce(flags)) & PG_uptodate) !== 0) return true;
  yield* cpu.lockBit(flags, PG_locked);
  yield* cpu.unlockBit(flags, PG_locked);
  if (yield* isCached(cpu, file, index, pfn)) return true;
  yield* putPage(cpu, pfn);
  return false;
}

/**
 * The same for a page that was not there when it was looked for. It is in the cache, locked, before it is read:
 * else what came later and was written back meanwhile could be lost.
 */
export function* addCachePage(cpu: Cpu, file: Word, index: number, flags: number): Op<Pfn> {
  const pfn = yield* allocPage(cpu);
  if (pfn === 0) return CACHE_FULL;
  const page = pageOf(pfn);
  yield* cpu.writeOnce(page + Page.flags, PG_cache | PG_locked | (flags & ~PG_uptodate));
  yield* cpu.writeOnce(page + Page.mapping, file);
  yield* cpu.store(page + Page.index, index);
  yield* setNewReferences(cpu, pfn, NEW_PAGE_REFERENCES, CACHE_PAGE_REFERENCES);
  const before = yield* addToPageCache(cpu, file, index, pfn);
  if (before > 0) {
    yield* freeNewPage(cpu, pfn, CACHE_PAGE_REFERENCES);
    return before === ADD_FULL ? CACHE_FULL : yield* readCachePage(cpu, file, index, flags);
  }
  const read = yield* fillPage(cpu, file, index, pfn, before);
  if (!read) {
    yield* withdrawPage(cpu, file, index, pfn, before);
    return CACHE_IO_ERROR;
  }
  // From the swap file: what the slot held is nowhere else now.
  const complete = (flags & PG_uptodate) | (before < 0 ? PG_dirty : 0);
  if (complete !== 0) yield* cpu.or(page + Page.flags, complete);
  yield* cpu.unlockBit(page + Page.flags, PG_locked);
  if (before < 0) yield* freeSwapAndCache(cpu, swappedTo(before));
  if (HINTS_PINNED) yield* pageMakeVolatile(cpu, pfn, 0);
  yield* lruCacheAdd(cpu, pfn);
  return pfn;
}

/** Gives a page its contents: of the device, of the swap file, or zeros. @returns whether the device could */
function* fillPage(cpu: Cpu, file: Word, index: number, pfn: Pfn, before: number): Op<boolean> {
  if (before < 0) {
    yield* countEvent(cpu, PageState.pswpin);
    return yield* cpu.readDevice(frameOf(pfn), SWAP_FILE, swappedTo(before));
  }
  if (index < (yield* cpu.readOnce(file + File.onDevice))) {
    yield* countEvent(cpu, PageState.pgpgin);
    if (HINTING) yield* cpu.or(pageOf(pfn) + Page.flags, PG_mappedtodisk);
    return yield* cpu.readDevice(frameOf(pfn), file, index);
  }
  yield* cpu.zeroPage(frameOf(pfn));
  return true;
}

/** Takes a page that could not be read out again, so that the next who asks tries for himself. */
function* withdrawPage(cpu: Cpu, file: Word, index: number, pfn: Pfn, before: number): Op<void> {
  yield* cpu.spinLock(file + File.treeLock);
  const slot = yield* slotOf(cpu, file, index);
  yield* cpu.store(slot, before);
  yield* countCached(cpu, file, -1);
  yield* cpu.spinUnlock(file + File.treeLock);
  yield* cpu.unlockBit(pageOf(pfn) + Page.flags, PG_locked);
  for (let reference = 0; reference < CACHE_PAGE_REFERENCES; reference++) yield* putPage(cpu, pfn);
}

/** Brings a page into the cache as it would be found there, and keeps no reference to it. */
export function* warmCachePage(cpu: Cpu, file: Word, index: number, flags: number): Op<boolean> {
  const pfn = yield* readCachePage(cpu, file, index, flags);
  if (pfn <= 0) return false;
  yield* putPage(cpu, pfn);
  return true;
}
