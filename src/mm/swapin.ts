/**
 * Pages that come back from the swap file (Linux: do_swap_page and swapin_readahead, mm/memory.c;
 * read_swap_cache_async, mm/swap_state.c; 2.6.10 and V18).
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { SWAP_FILE } from '../hardware/device.js';
import { frameOf } from '../hardware/frames.js';
import { HINTING } from '../hardware/hostStates.js';
import { FRAMES, PTE_WRITE, SWAP_SLOTS } from '../hardware/machine.js';
import { allocPage } from './allocpages.js';
import { anonVmaPrepare } from './anonvma.js';
import { MmCounter, countEvent, updateMmCounter } from './counters.js';
import {
  CHECKS_DISCARDED,
  FAULT_HINTS,
  HINTS_PINNED,
  KMAP_FAULT_ATOMIC,
  MOVE_LIMBO,
  MOVE_REWALK,
} from './design.js';
import { lookupSwapCacheStable, pageDiscarded } from './discard.js';
import {
  PG_anon_exclusive,
  PG_locked,
  PG_mappedtodisk,
  PG_referenced,
  PG_swapcache,
  PG_uptodate,
  Page,
  pageOf,
} from './layout/page.js';
import { PageState } from './layout/percpu.js';
import { SWAP, SWAP_CACHE, SWAP_MAP, Swap, pageSlot } from './layout/swap.js';
import { Vma } from './layout/vma.js';
import { delimbo, maybeReloadTlbMm } from './limbo.js';
import {
  pageTableAtomicStart,
  pteOffsetMapLock,
  pteUnmapUnlock,
  sectionStart,
  sectionStop,
  walkStop,
} from './locking.js';
import { lruCacheAddActive, pageCacheRelease, putPage } from './lru.js';
import {
  CACHE_PAGE_REFERENCES,
  NEW_PAGE_REFERENCES,
  freeNewPage,
  setNewReferences,
} from './pagealloc.js';
import { pageCheckWritable, pageMakeVolatile } from './pageStates.js';
import { mkDirtyWritable, mkPte, pteToSlot, ptepGet, ptepInstall, setPteHigh } from './pte.js';
import { pteRegain, pteRelease } from './pteMap.js';
import { pageAddAnonRmap } from './rmap.js';
import { swapCount, swapFree, vmSwapFull } from './swapfile.js';
import { deleteFromSwapCache, forgetSlot, lookupSwapCache, slotOfPage } from './swapstate.js';
import { grabSwapToken } from './swaptoken.js';
import { VM_FAULT_MAJOR, VM_FAULT_MINOR, VM_FAULT_OOM, VM_FAULT_SIGBUS } from './vmfault.js';
import { doWpPage } from './wp.js';

/** log2 of the slots that are read together (Linux: page_cluster, 2 on a small machine and 3 otherwise). */
const PAGE_CLUSTER = FRAMES < 4096 ? 2 : 3;

/** What readSwapCache gives instead of a frame. */
const SWAP_GONE: Pfn = 0;
const SWAP_OOM: Pfn = -1;
const SWAP_IO_ERROR: Pfn = -2;

/**
 * Maps a page that is in the swap file, where the pte tells in which slot.
 *
 * @param origEntry - the pte as read
 * @returns a VM_FAULT_ code
 * Locks: entered in an atomic section, which it ends.
 */
export function* doSwapPage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  write: boolean,
  ptep: Word,
  origEntry: number,
): Op<number> {
  yield* walkStop(cpu, mm, ptep);
  if (!(yield* anonVmaPrepare(cpu, vma))) return VM_FAULT_OOM;
  const slot = pteToSlot(origEntry);
  let pfn = yield* lookupForFault(cpu, slot);
  const major = pfn === 0;
  if (major) {
    yield* countEvent(cpu, PageState.pgmajfault);
    yield* grabSwapToken(cpu);
    pfn = yield* readSwapCache(cpu, slot);
    if (pfn > 0) yield* swapinReadahead(cpu, slot);
  }
  if (pfn <= 0) {
    // Another thread may have brought it back, or unmapped it.
    if (pfn === SWAP_GONE || !(yield* isStill(cpu, mm, address, ptep, origEntry))) {
      return VM_FAULT_MINOR;
    }
    return pfn === SWAP_OOM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
  }
  const flags = pageOf(pfn) + Page.flags;
  yield* cpu.lockBit(flags, PG_locked);
  const inCache = ((yield* cpu.readOnce(flags)) & PG_swapcache) !== 0;
  if (!inCache || (yield* slotOfPage(cpu, pfn)) !== slot) {
    yield* cpu.unlockBit(flags, PG_locked);
    yield* pageCacheRelease(cpu, pfn);
    return VM_FAULT_MINOR;
  }
  const entry = yield* mapSwapPage(cpu, mm, vma, address, write, ptep, origEntry, pfn, slot);
  if (entry !== 0 && (yield* swapCount(cpu, slot)) === 1 && (yield* vmSwapFull(cpu))) {
    yield* deleteFromSwapCache(cpu, pfn);
  }
  yield* cpu.unlockBit(flags, PG_locked);
  if (entry === 0) {
    yield* pageCacheRelease(cpu, pfn);
    return VM_FAULT_MINOR;
  }
  // The cache and the pte have it, and nobody else.
  if (FAULT_HINTS) yield* pageMakeVolatile(cpu, pfn, 1);
  const result = major ? VM_FAULT_MAJOR : VM_FAULT_MINOR;
  if (!write || (entry & PTE_WRITE) !== 0) return result;
  return (yield* copyAtOnce(cpu, mm, vma, address, ptep, entry)) ? result : VM_FAULT_OOM;
}

/** Finds the page of a slot for a fault, which needs none of its contents. */
function* lookupForFault(cpu: Cpu, slot: number): Op<Pfn> {
  if (FAULT_HINTS) return yield* lookupSwapCacheStable(cpu, slot);
  return yield* lookupSwapCache(cpu, slot);
}

/** Whether a pte that was let go is what it was. */
function* isStill(cpu: Cpu, mm: Word, address: Vaddr, found: Word, entry: number): Op<boolean> {
  const ptep = KMAP_FAULT_ATOMIC ? yield* pteRegain(cpu, mm, address) : found;
  const now = yield* ptepGet(cpu, ptep);
  if (KMAP_FAULT_ATOMIC) yield* pteRelease(cpu, ptep);
  return now === entry;
}

/**
 * Puts a page of the swap cache in the place of a pte that tells its slot. A write to a page that nobody else has
 * may go ahead.
 *
 * @returns the new entry; 0 where the pte has changed
 * Locks: the page's.
 */
function* mapSwapPage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  write: boolean,
  found: Word,
  origEntry: number,
  pfn: Pfn,
  slot: number,
): Op<number> {
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const page = pageOf(pfn);
  const locked = yield* pteOffsetMapLock(cpu, mm, address, found);
  const ptep = MOVE_REWALK ? yield* delimbo(cpu, mm, locked, address) : locked;
  const discarded = CHECKS_DISCARDED && (yield* pageDiscarded(cpu, pfn));
  if (discarded || (yield* ptepGet(cpu, ptep)) !== origEntry) {
    yield* pteUnmapUnlock(cpu, mm, ptep);
    return 0;
  }
  // This pte's reference to the slot, and the swap cache's.
  const mapcount = yield* cpu.readOnce(page + Page.mapcount);
  const exclusive = mapcount === 0 && (yield* swapCount(cpu, slot)) === 2;
  yield* pageAddAnonRmap(cpu, mm, vma, pfn, address, exclusive);
  if (exclusive) yield* cpu.or(page + Page.flags, PG_anon_exclusive);
  const clean = mkPte(pfn, vmFlags);
  // Of a page that the host has, who writes makes nothing dirty: it meets a page that is read-only, and then the fault.
  const writable = write && exclusive && (!HINTING || (yield* pageCheckWritable(cpu, pfn)));
  const entry = writable ? mkDirtyWritable(clean, vmFlags) : clean;
  yield* setPteHigh(cpu, ptep, vmFlags);
  yield* ptepInstall(cpu, ptep, origEntry, entry);
  yield* updateMmCounter(cpu, mm, MmCounter.rss, 1);
  yield* swapFree(cpu, slot);
  yield* cpu.or(page + Page.flags, PG_referenced);
  if (MOVE_LIMBO) yield* maybeReloadTlbMm(cpu, mm);
  yield* pteUnmapUnlock(cpu, mm, ptep);
  return entry;
}

/** A write to a page that others have too goes on to its copy at once. @returns false when memory is full */
function* copyAtOnce(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  found: Word,
  entry: number,
): Op<boolean> {
  const mapped = KMAP_FAULT_ATOMIC ? yield* pteRegain(cpu, mm, address) : found;
  yield* pageTableAtomicStart(cpu, mm);
  yield* sectionStart(cpu, mm, mapped);
  const ptep = MOVE_REWALK ? yield* delimbo(cpu, mm, mapped, address) : mapped;
  if ((yield* ptepGet(cpu, ptep)) !== entry) {
    yield* sectionStop(cpu, mm, ptep);
    return true;
  }
  return (yield* doWpPage(cpu, mm, vma, address, ptep, entry)) !== VM_FAULT_OOM;
}

/**
 * Reads the page of a slot into the swap cache, if it is not there.
 *
 * @returns its frame with a reference for the caller; SWAP_GONE where nothing refers to the slot any more;
 *   SWAP_OOM; SWAP_IO_ERROR
 */
function* readSwapCache(cpu: Cpu, slot: number): Op<Pfn> {
  for (;;) {
    const cached = yield* lookupForFault(cpu, slot);
    if (cached !== 0) return cached;
    const pfn = yield* allocPage(cpu);
    if (pfn === 0) return SWAP_OOM;
    const page = pageOf(pfn);
    yield* cpu.writeOnce(page + Page.flags, PG_locked | PG_swapcache);
    yield* setNewReferences(cpu, pfn, NEW_PAGE_REFERENCES, CACHE_PAGE_REFERENCES);
    yield* cpu.store(pageSlot(pfn), slot + 1);
    yield* cpu.spinLock(SWAP + Swap.lock);
    const count = yield* cpu.load(SWAP_MAP + slot);
    const free = (yield* cpu.load(SWAP_CACHE + slot)) === 0;
    if (free && count > 0) {
      yield* cpu.store(SWAP_CACHE + slot, pfn);
      yield* cpu.writeOnce(SWAP_MAP + slot, count + 1);
    }
    yield* cpu.spinUnlock(SWAP + Swap.lock);
    if (!free || count === 0) {
      yield* cpu.store(pageSlot(pfn), 0);
      yield* freeNewPage(cpu, pfn, CACHE_PAGE_REFERENCES);
      if (count === 0) return SWAP_GONE;
      continue;
    }
    yield* countEvent(cpu, PageState.pswpin);
    if (yield* cpu.readDevice(frameOf(pfn), SWAP_FILE, slot)) {
      yield* cpu.or(page + Page.flags, HINTING ? PG_uptodate | PG_mappedtodisk : PG_uptodate);
      yield* cpu.unlockBit(page + Page.flags, PG_locked);
      if (HINTS_PINNED) yield* pageMakeVolatile(cpu, pfn, 0);
      yield* lruCacheAddActive(cpu, pfn);
      return pfn;
    }
    // Out again, so that the next who asks tries for himself.
    yield* cpu.spinLock(SWAP + Swap.lock);
    yield* forgetSlot(cpu, pfn);
    yield* cpu.spinUnlock(SWAP + Swap.lock);
    yield* cpu.unlockBit(page + Page.flags, PG_locked);
    for (let reference = 0; reference < CACHE_PAGE_REFERENCES; reference++)
      yield* putPage(cpu, pfn);
    return SWAP_IO_ERROR;
  }
}

/** Reads the slots around one that are in use: they were written together, and may be wanted together. */
function* swapinReadahead(cpu: Cpu, slot: number): Op<void> {
  const first = (slot >> PAGE_CLUSTER) << PAGE_CLUSTER;
  const end = Math.min(first + (1 << PAGE_CLUSTER), SWAP_SLOTS);
  for (let other = first; other < end; other++) {
    if (other === slot || (yield* swapCount(cpu, other)) === 0) continue;
    const pfn = yield* readSwapCache(cpu, other);
    if (pfn === SWAP_OOM) return;
    if (pfn > 0) yield* putPage(cpu, pfn);
  }
}
