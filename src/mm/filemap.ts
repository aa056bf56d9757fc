/**
 * The page cache (Linux: mm/filemap.c): a tree of frames per file, see layout/file.ts.
 */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { PAGE_WORDS } from '../hardware/machine.js';
import { FILE_MEMORY, File } from './layout/file.js';
import { PG_cache, PG_readahead, PG_uptodate, Page, pageOf } from './layout/page.js';
import { TABLES } from './layout/slab.js';
import { lruCacheAddActive, putPage } from './lru.js';
import { NEW_PAGE_REFERENCES, allocPage, allocZeroedPage, freeNewPage } from './pagealloc.js';
import { slabAlloc, slabFree } from './slab.js';

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
  yield* cpu.store(file + File.size, size);
  yield* cpu.store(file + File.flags, flags);
  if ((flags & FILE_MEMORY) === 0) yield* cpu.store(file + File.onDevice, size);
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
        const pfn = yield* cpu.load(frameOf(node) + slot);
        if (pfn === 0) continue;
        yield* cpu.store(frameOf(node) + slot, 0);
        yield* putPage(cpu, pfn);
      }
      yield* cpu.store(frameOf(root) + leaf, 0);
      yield* freeNewPage(cpu, node);
    }
    yield* freeNewPage(cpu, root);
  }
  yield* slabFree(cpu, TABLES.file, file);
}

/**
 * Finds the slot of a page in a file's tree.
 *
 * @returns the slot's word, or 0 where the tree has no leaf
 * Locks: the file's treeLock.
 */
function* slotOf(cpu: Cpu, file: Word, index: number): Op<Word> {
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
  if (pfn !== 0) yield* cpu.add(pageOf(pfn) + Page.refcount, 1);
  yield* cpu.spinUnlock(file + File.treeLock);
  return pfn;
}

/** Whether a file's page is a certain frame. */
export function* isCached(cpu: Cpu, file: Word, index: number, pfn: Pfn): Op<boolean> {
  yield* cpu.spinLock(file + File.treeLock);
  const slot = yield* slotOf(cpu, file, index);
  const cached = slot !== 0 && (yield* cpu.load(slot)) === pfn;
  yield* cpu.spinUnlock(file + File.treeLock);
  return cached;
}

/**
 * Puts a new page into the cache, which takes over the caller's reference (Linux:
 * add_to_page_cache_lru).
 *
 * @returns false when there is no frame for the tree or another page came first; the page is then
 *   still the caller's
 */
function* addToPageCache(cpu: Cpu, file: Word, index: number, pfn: Pfn): Op<boolean> {
  const rootNode = yield* allocZeroedPage(cpu);
  const leafNode = yield* allocZeroedPage(cpu);
  let unusedRoot = rootNode;
  let unusedLeaf = leafNode;
  yield* cpu.spinLock(file + File.treeLock);
  let root = yield* cpu.load(file + File.root);
  if (root === 0 && rootNode !== 0) {
    root = rootNode;
    unusedRoot = 0;
    yield* adoptNode(cpu, rootNode);
    yield* cpu.store(file + File.root, rootNode);
  }
  let added = false;
  if (root !== 0) {
    const leafSlot = frameOf(root) + ((index / PAGE_WORDS) | 0);
    let leaf = yield* cpu.load(leafSlot);
    if (leaf === 0 && leafNode !== 0) {
      leaf = leafNode;
      unusedLeaf = 0;
      yield* adoptNode(cpu, leafNode);
      yield* cpu.store(leafSlot, leafNode);
    }
    if (leaf !== 0) {
      const slot = frameOf(leaf) + (index % PAGE_WORDS);
      added = (yield* cpu.load(slot)) === 0;
      if (added) {
        yield* cpu.store(slot, pfn);
        const cached = yield* cpu.load(file + File.nrPages);
        yield* cpu.store(file + File.nrPages, cached + 1);
      }
    }
  }
  yield* cpu.spinUnlock(file + File.treeLock);
  if (unusedRoot !== 0) yield* freeNewPage(cpu, unusedRoot);
  if (unusedLeaf !== 0) yield* freeNewPage(cpu, unusedLeaf);
  return added;
}

/** A frame becomes a node of a tree, which holds its one reference. */
function* adoptNode(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* cpu.store(pageOf(pfn) + Page.flags, PG_cache);
  yield* cpu.store(pageOf(pfn) + Page.refcount, 1);
}

/**
 * Reads a page of a file into the cache, if it is not there (Linux: page_cache_read).
 *
 * @param flags - PG_ bits that the page starts with beside PG_cache
 * @returns its frame with a reference for the caller, or 0 when memory is full
 */
export function* readCachePage(cpu: Cpu, file: Word, index: number, flags: number): Op<Pfn> {
  const cached = yield* findGetPage(cpu, file, index);
  return cached !== 0 ? cached : yield* addCachePage(cpu, file, index, flags);
}

/** The same for a page that was not there when it was looked for. */
export function* addCachePage(cpu: Cpu, file: Word, index: number, flags: number): Op<Pfn> {
  const pfn = yield* allocPage(cpu);
  if (pfn === 0) return 0;
  const page = pageOf(pfn);
  if (yield* isOnDevice(cpu, file, index)) yield* cpu.readDevice(frameOf(pfn), file, index);
  else yield* cpu.zeroPage(frameOf(pfn));
  yield* cpu.store(page + Page.flags, PG_cache | flags);
  yield* cpu.store(page + Page.mapping, file);
  yield* cpu.store(page + Page.index, index);
  yield* cpu.store(page + Page.refcount, NEW_PAGE_REFERENCES + 1);
  if (yield* addToPageCache(cpu, file, index, pfn)) {
    yield* lruCacheAddActive(cpu, pfn);
    return pfn;
  }
  yield* freeNewPage(cpu, pfn);
  return yield* findGetPage(cpu, file, index);
}

/** Whether a device has a page; what it has not is made of zeros. */
export function* isOnDevice(cpu: Cpu, file: Word, index: number): Op<boolean> {
  return index < (yield* cpu.readOnce(file + File.onDevice));
}

/** Brings a page into the cache as it would be found there, and keeps no reference to it. */
export function* warmCachePage(cpu: Cpu, file: Word, index: number, flags: number): Op<boolean> {
  const pfn = yield* readCachePage(cpu, file, index, flags);
  if (pfn === 0) return false;
  yield* putPage(cpu, pfn);
  return true;
}

/** Whether fault-around may map a cached page: it is complete and marks no read-ahead. */
export function* mayMapAround(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  return (flags & (PG_uptodate | PG_readahead)) === PG_uptodate;
}

/**
 * Takes a page out of the cache, as truncation does once nothing maps it (Linux:
 * delete_from_page_cache).
 *
 * @returns whether it was there
 */
export function* deleteFromPageCache(cpu: Cpu, file: Word, index: number): Op<boolean> {
  yield* cpu.spinLock(file + File.treeLock);
  const slot = yield* slotOf(cpu, file, index);
  const pfn = slot === 0 ? 0 : yield* cpu.load(slot);
  if (pfn !== 0) {
    yield* cpu.store(slot, 0);
    const cached = yield* cpu.load(file + File.nrPages);
    yield* cpu.store(file + File.nrPages, cached - 1);
  }
  yield* cpu.spinUnlock(file + File.treeLock);
  if (pfn === 0) return false;
  yield* putPage(cpu, pfn);
  return true;
}
