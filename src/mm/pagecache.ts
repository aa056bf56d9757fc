/** The page cache: a tree of frames per file, see layout/file.ts (Linux: mm/filemap.c). */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { PAGE_WORDS, SWAP_SLOTS } from '../hardware/machine.js';
import { FILE_MEMORY, File } from './layout/file.js';
import { PG_dirty, PG_locked, PG_readahead, PG_uptodate, Page, pageOf } from './layout/page.js';
import { TABLES } from './layout/slab.js';
import { putPage } from './lru.js';
import { freeNewPage } from './pagealloc.js';
import { slabAlloc, slabFree } from './slab.js';
import { freeSwapAndCache } from './swapstate.js';

/**
 * Makes a file, with nothing cached.
 *
 * @param size - in pages
 * @param flags - FILE_ bits
 * @returns the file, or 0 when the table is full
 */
export function* openFile(cpu: Cpu, size: number, flags: number): Op<Word> {
  const file = yield* slabAlloc(cpu, TABLES.file);
  if (file === 0) return 0;
  yield* cpu.writeOnce(file + File.size, size);
  yield* cpu.store(file + File.flags, flags);
  if ((flags & FILE_MEMORY) === 0) yield* cpu.writeOnce(file + File.onDevice, size);
  return file;
}

/** Frees a file that nothing maps any more, with all that it had cached. Its nodes go back as zeros. */
export function* freeFile(cpu: Cpu, file: Word): Op<void> {
  const root = yield* cpu.load(file + File.root);
  if (root !== 0) {
    for (let leaf = 0; leaf < PAGE_WORDS; leaf++) {
      const node = yield* cpu.load(frameOf(root) + leaf);
      if (node === 0) continue;
      for (let slot = 0; slot < PAGE_WORDS; slot++) {
        const cached = yield* cpu.load(frameOf(node) + slot);
        if (cached === 0) continue;
        yield* dropCached(cpu, file, frameOf(node) + slot);
      }
      yield* cpu.store(frameOf(root) + leaf, 0);
      yield* freeNewPage(cpu, node, 1);
    }
    yield* freeNewPage(cpu, root, 1);
  }
  yield* slabFree(cpu, TABLES.file, file);
}

/** Drops what a slot of a file's tree has, once nobody is at work on it: reclaim follows a page to its file. */
function* dropCached(cpu: Cpu, file: Word, slot: Word): Op<void> {
  yield* cpu.spinLock(file + File.treeLock);
  const found = yield* cpu.load(slot);
  if (found > 0) yield* cpu.add(pageOf(found) + Page.refcount, 1);
  yield* cpu.spinUnlock(file + File.treeLock);
  const flags = pageOf(found) + Page.flags;
  if (found > 0) yield* cpu.lockBit(flags, PG_locked);
  yield* cpu.spinLock(file + File.treeLock);
  const cached = yield* cpu.load(slot);
  yield* cpu.store(slot, 0);
  yield* cpu.spinUnlock(file + File.treeLock);
  if (found > 0) {
    if (cached > 0) yield* cpu.writeOnce(pageOf(found) + Page.mapping, 0);
    yield* cpu.unlockBit(flags, PG_locked);
    yield* putPage(cpu, found);
  }
  if (cached > 0) yield* putPage(cpu, cached);
  else if (cached < 0) yield* freeSwapAndCache(cpu, swappedTo(cached));
}

/**
 * Finds the slot of a page in a file's tree.
 *
 * @returns the slot's word, or 0 where the tree has no leaf
 * Locks: the file's treeLock.
 */
export function* slotOf(cpu: Cpu, file: Word, index: number): Op<Word> {
  const root = yield* cpu.load(file + File.root);
  if (root === 0) return 0;
  const leaf = yield* cpu.load(frameOf(root) + ((index / PAGE_WORDS) | 0));
  return leaf === 0 ? 0 : frameOf(leaf) + (index % PAGE_WORDS);
}

/**
 * Looks a page up and takes a reference to it (Linux: find_get_page).
 *
 * @param index - in pages from the file's start
 * @returns its frame, or 0 when it is not cached
 */
export function* findGetPage(cpu: Cpu, file: Word, index: number): Op<Pfn> {
  yield* cpu.spinLock(file + File.treeLock);
  const slot = yield* slotOf(cpu, file, index);
  const pfn = slot === 0 ? 0 : yield* cpu.load(slot);
  if (pfn > 0) yield* cpu.add(pageOf(pfn) + Page.refcount, 1);
  yield* cpu.spinUnlock(file + File.treeLock);
  return Math.max(pfn, 0);
}

/** What a tree has in a page's place while that is in the swap file, as shared memory may be. */
export function swapped(slot: number): number {
  return -(slot + 1);
}

/** The slot that such a value tells. */
export function swappedTo(value: number): number {
  return -value - 1;
}

/** What a file's tree has for a page: a frame, less than 0 where that is in the swap file, or 0. */
function* lookup(cpu: Cpu, file: Word, index: number): Op<number> {
  yield* cpu.spinLock(file + File.treeLock);
  const slot = yield* slotOf(cpu, file, index);
  const value = slot === 0 ? 0 : yield* cpu.load(slot);
  yield* cpu.spinUnlock(file + File.treeLock);
  return value;
}

/** Whether a file's page is a certain frame. */
export function* isCached(cpu: Cpu, file: Word, index: number, pfn: Pfn): Op<boolean> {
  return (yield* lookup(cpu, file, index)) === pfn;
}

/** Whether a page that is not cached can be read from somewhere; what cannot is made of zeros. */
export function* isOnDevice(cpu: Cpu, file: Word, index: number): Op<boolean> {
  if (index < (yield* cpu.readOnce(file + File.onDevice))) return true;
  return SWAP_SLOTS > 0 && (yield* lookup(cpu, file, index)) < 0;
}

/** Whether a file has no device: shared memory. */
export function* isFileMemory(cpu: Cpu, file: Word): Op<boolean> {
  return ((yield* cpu.load(file + File.flags)) & FILE_MEMORY) !== 0;
}

/**
 * Takes a clean page out that only its caller and the cache refer to (Linux: the end of shrink_list).
 *
 * @param value - what the tree has in its place: 0, or the slot where it is now
 * @returns whether it did: the caller then has both references to drop
 * Locks: the page's.
 */
export function* removeFromPageCache(cpu: Cpu, pfn: Pfn, value: number): Op<boolean> {
  const page = pageOf(pfn);
  const file = yield* cpu.load(page + Page.mapping);
  const index = yield* cpu.load(page + Page.index);
  yield* cpu.spinLock(file + File.treeLock);
  const slot = yield* slotOf(cpu, file, index);
  const cached = slot !== 0 && (yield* cpu.load(slot)) === pfn;
  const unused = (yield* cpu.readOnce(page + Page.refcount)) === 2;
  const clean = ((yield* cpu.readOnce(page + Page.flags)) & PG_dirty) === 0;
  const removed = cached && unused && clean;
  if (removed) {
    yield* cpu.store(slot, value);
    yield* countCached(cpu, file, -1);
  }
  yield* cpu.spinUnlock(file + File.treeLock);
  return removed;
}

/**
 * Takes a page out of its file's tree, whoever has it (the patches' page_discard).
 *
 * @returns whether it was there: the cache's reference is then the caller's to drop
 * Locks: the page's.
 */
export function* takeFromPageCache(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const page = pageOf(pfn);
  const file = yield* cpu.readOnce(page + Page.mapping);
  const index = yield* cpu.load(page + Page.index);
  yield* cpu.spinLock(file + File.treeLock);
  const slot = yield* slotOf(cpu, file, index);
  const cached = slot !== 0 && (yield* cpu.load(slot)) === pfn;
  if (cached) {
    yield* cpu.store(slot, 0);
    yield* countCached(cpu, file, -1);
    yield* cpu.writeOnce(page + Page.mapping, 0);
  }
  yield* cpu.spinUnlock(file + File.treeLock);
  return cached;
}

/** Locks: the file's treeLock. */
export function* countCached(cpu: Cpu, file: Word, delta: number): Op<void> {
  const cached = yield* cpu.load(file + File.nrPages);
  yield* cpu.store(file + File.nrPages, cached + delta);
}

/** Whether fault-around may map a cached page: it is complete and marks no read-ahead. */
export function* mayMapAround(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  return (flags & (PG_uptodate | PG_readahead)) === PG_uptodate;
}

/**
 * Takes a page out of the cache, as truncation does once nothing maps it (Linux: truncate_complete_page).
 * Waits until nobody reads or writes it: a write that came late would bring back what is gone.
 *
 * @returns whether it was there
 */
export function* deleteFromPageCache(cpu: Cpu, file: Word, index: number): Op<boolean> {
  const pfn = yield* findGetPage(cpu, file, index);
  const flags = pageOf(pfn) + Page.flags;
  if (pfn !== 0) yield* cpu.lockBit(flags, PG_locked);
  yield* cpu.spinLock(file + File.treeLock);
  const slot = yield* slotOf(cpu, file, index);
  const value = slot === 0 ? 0 : yield* cpu.load(slot);
  const found = value < 0 || (value === pfn && pfn !== 0);
  if (found) {
    yield* cpu.store(slot, 0);
    if (value > 0) yield* countCached(cpu, file, -1);
    // Whoever still has a reference must not follow it to a file that may be gone by then.
    if (value > 0) yield* cpu.writeOnce(pageOf(pfn) + Page.mapping, 0);
  }
  yield* cpu.spinUnlock(file + File.treeLock);
  if (found && value < 0) yield* freeSwapAndCache(cpu, swappedTo(value));
  if (pfn !== 0) {
    yield* cpu.unlockBit(flags, PG_locked);
    yield* putPage(cpu, pfn);
    if (found && value > 0) yield* putPage(cpu, pfn);
  }
  return found;
}
