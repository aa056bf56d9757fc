/**
 * Reclaim: pages that nobody has used for a while leave memory (Linux: mm/vmscan.c, 2.6.10: shrink_zone,
 * refill_inactive_zone, shrink_cache, shrink_list).
 *
 * A page on its way out is off the lists, held and locked. It is unmapped, written if it is dirty, taken out of
 * the page cache or the swap cache if nobody has found it there meanwhile, and freed. Nothing here allocates.
 */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { NODES, SWAP_SLOTS } from '../hardware/machine.js';
import { countEvent, countEvents } from './counters.js';
import { splitIfAlone } from './hugeReclaim.js';
import {
  LRU_ACTIVE,
  LRU_INACTIVE,
  PG_dirty,
  PG_head,
  PG_lazyfree,
  PG_locked,
  PG_swapcache,
  Page,
  pageOf,
} from './layout/page.js';
import { PageState } from './layout/percpu.js';
import { Zone, zoneOf } from './layout/zone.js';
import { addToList, delFromList, lruAddDrain, oldestOfList, putPage } from './lru.js';
import { isCached, isFileMemory, removeFromPageCache, swapped } from './pagecache.js';
import { getPageUnlessZero, pageAnon } from './rmap.js';
import { swapCount, swapFree } from './swapfile.js';
import { addToSwap, deleteFromSwapCache, removeFromSwapCache, slotOfPage } from './swapstate.js';
import { Unmap, pageReferenced, tryToUnmap } from './unmap.js';
import { writeMemoryPage, writePage } from './writeback.js';

/** The least urgent; a pass looks at 1 / 2^priority of each list. */
const DEF_PRIORITY = 12;
/** Pages that one who allocates frees at least, and that are looked at together (SWAP_CLUSTER_MAX). */
const SWAP_CLUSTER_MAX = 32;
/** How much rather anonymous and mapped pages are taken than others, 0 to 100 (vm.swappiness). */
const SWAPPINESS = 60;

/** What a pass is to do, and what it has done (Linux: struct scan_control). */
interface ScanControl {
  readonly priority: number;
  readonly kswapd: boolean;
  freed: number;
}

/**
 * Frees pages for the caller's own allocation, ever more urgently (Linux: try_to_free_pages).
 *
 * @returns pages freed; 0 when nothing can be had
 * Locks: none but mmap_sem may be held.
 */
export function* tryToFreePages(cpu: Cpu): Op<number> {
  yield* countEvent(cpu, PageState.allocstall);
  yield* lruAddDrain(cpu);
  let freed = 0;
  for (let priority = DEF_PRIORITY; priority >= 0 && freed < SWAP_CLUSTER_MAX; priority--) {
    for (let distance = 0; distance < NODES; distance++) {
      const zone = zoneOf((cpu.node + distance) % NODES);
      freed += yield* shrinkZone(cpu, zone, priority, false);
    }
  }
  return freed;
}

/**
 * Frees pages of a zone until it has enough (Linux: balance_pgdat).
 *
 * @returns whether it has
 */
export function* balanceZone(cpu: Cpu, zone: Word): Op<boolean> {
  yield* lruAddDrain(cpu);
  for (let priority = DEF_PRIORITY; priority >= 0; priority--) {
    if (yield* zoneHasEnough(cpu, zone)) return true;
    yield* shrinkZone(cpu, zone, priority, true);
  }
  return yield* zoneHasEnough(cpu, zone);
}

function* zoneHasEnough(cpu: Cpu, zone: Word): Op<boolean> {
  const high = yield* cpu.load(zone + Zone.pagesHigh);
  return (yield* cpu.readOnce(zone + Zone.freePages)) > high;
}

/** Ages a zone's lists by one pass. @returns pages freed */
function* shrinkZone(cpu: Cpu, zone: Word, priority: number, kswapd: boolean): Op<number> {
  const control: ScanControl = { priority, kswapd, freed: 0 };
  const active = yield* cpu.readOnce(zone + Zone.nrActive);
  const inactive = yield* cpu.readOnce(zone + Zone.nrInactive);
  let scanActive = active === 0 ? 0 : (active >> priority) + 1;
  let scanInactive = inactive === 0 && active === 0 ? 0 : (inactive >> priority) + 1;
  while (scanActive > 0 || scanInactive > 0) {
    if (scanActive > 0) {
      yield* refillInactiveZone(cpu, zone, Math.min(scanActive, SWAP_CLUSTER_MAX), priority);
      scanActive -= SWAP_CLUSTER_MAX;
    }
    if (scanInactive > 0) {
      yield* shrinkCache(cpu, zone, Math.min(scanInactive, SWAP_CLUSTER_MAX), control);
      scanInactive -= SWAP_CLUSTER_MAX;
      if (control.freed >= SWAP_CLUSTER_MAX) break;
    }
  }
  return control.freed;
}

/** Moves pages that were not used from the active list to the inactive one. */
function* refillInactiveZone(cpu: Cpu, zone: Word, pages: number, priority: number): Op<void> {
  const batch = yield* isolatePages(cpu, zone, LRU_ACTIVE, pages);
  let mappedPages = 0;
  for (const pfn of batch) {
    if ((yield* cpu.readOnce(pageOf(pfn) + Page.mapcount)) > 0) mappedPages++;
  }
  // Mapped pages are spared while others can be had.
  const distress = 100 >> priority;
  const mappedShare = batch.length === 0 ? 0 : (100 * mappedPages) / batch.length;
  const reclaimMapped = mappedShare / 2 + distress + SWAPPINESS >= 100;
  for (const pfn of batch) {
    const keep = yield* staysActive(cpu, pfn, reclaimMapped, priority);
    if (!keep) yield* countEvent(cpu, PageState.pgdeactivate);
    yield* putBack(cpu, zone, pfn, keep ? LRU_ACTIVE : LRU_INACTIVE);
  }
}

function* staysActive(cpu: Cpu, pfn: Pfn, reclaimMapped: boolean, priority: number): Op<boolean> {
  const page = pageOf(pfn);
  const mapped = (yield* cpu.readOnce(page + Page.mapcount)) > 0;
  if (mapped && !reclaimMapped) return true;
  // Anonymous pages have nowhere to go.
  const anon = yield* pageAnon(cpu, pfn);
  if (anon && SWAP_SLOTS === 0) {
    const flags = yield* cpu.readOnce(page + Page.flags);
    if ((flags & (PG_lazyfree | PG_head)) === 0) return true;
  }
  if (!(yield* cpu.tryLockBit(page + Page.flags, PG_locked))) return true;
  const referenced = mapped && (yield* pageReferenced(cpu, pfn, priority));
  yield* cpu.unlockBit(page + Page.flags, PG_locked);
  return referenced;
}

/** Looks at pages that have been longest on the inactive list, and frees what can be freed. */
function* shrinkCache(cpu: Cpu, zone: Word, pages: number, control: ScanControl): Op<void> {
  const batch = yield* isolatePages(cpu, zone, LRU_INACTIVE, pages);
  const scanned = control.kswapd ? PageState.pgscan_kswapd : PageState.pgscan_direct;
  yield* countEvents(cpu, scanned, batch.length);
  for (const pfn of batch) {
    if (yield* reclaimIsolated(cpu, zone, pfn, control.priority)) control.freed++;
  }
}

/**
 * Frees a page that is off its list, or puts it back: with the active ones if it is in use.
 *
 * @param priority - how urgent it is, 0 the most
 * @returns whether it is free; the reference that the caller had is gone in any case
 */
export function* reclaimIsolated(cpu: Cpu, zone: Word, pfn: Pfn, priority: number): Op<boolean> {
  const fate = yield* shrinkPage(cpu, pfn, priority);
  if (fate === Fate.FREED) {
    yield* countEvent(cpu, PageState.pgsteal);
    return true;
  }
  if (fate === Fate.ACTIVATE) yield* countEvent(cpu, PageState.pgactivate);
  yield* putBack(cpu, zone, pfn, fate === Fate.ACTIVATE ? LRU_ACTIVE : LRU_INACTIVE);
  return false;
}

/** What becomes of a page that was looked at. */
const enum Fate {
  FREED,
  KEEP,
  ACTIVATE,
}

/**
 * Takes pages off the end of a list, with a reference to each. Those about to be freed stay where they are: whoever
 * frees one looks without the lock whether it is on a list.
 */
function* isolatePages(cpu: Cpu, zone: Word, list: number, pages: number): Op<Pfn[]> {
  const batch: Pfn[] = [];
  yield* cpu.spinLock(zone + Zone.lruLock);
  let pfn = yield* oldestOfList(cpu, zone, list);
  for (let scanned = 0; scanned < pages && pfn !== 0; scanned++) {
    const younger = yield* cpu.load(pageOf(pfn) + Page.lruPrev);
    if (yield* getPageUnlessZero(cpu, pfn)) {
      yield* delFromList(cpu, zone, pfn);
      batch.push(pfn);
    }
    pfn = younger;
  }
  yield* cpu.spinUnlock(zone + Zone.lruLock);
  return batch;
}

/** Puts a page back on a list, and drops the reference that it was isolated with. */
function* putBack(cpu: Cpu, zone: Word, pfn: Pfn, list: number): Op<void> {
  yield* cpu.spinLock(zone + Zone.lruLock);
  yield* addToList(cpu, zone, pfn, list);
  yield* cpu.spinUnlock(zone + Zone.lruLock);
  yield* putPage(cpu, pfn);
}

/** Frees a page if it can. The reference that it was isolated with is gone when it is freed. */
function* shrinkPage(cpu: Cpu, pfn: Pfn, priority: number): Op<Fate> {
  const page = pageOf(pfn);
  const flags = yield* cpu.readOnce(page + Page.flags);
  if ((flags & PG_head) !== 0) {
    yield* splitIfAlone(cpu, pfn);
    return Fate.ACTIVATE;
  }
  if (!(yield* cpu.tryLockBit(page + Page.flags, PG_locked))) return Fate.KEEP;
  const fate = yield* shrinkLockedPage(cpu, pfn, priority);
  yield* cpu.unlockBit(page + Page.flags, PG_locked);
  if (fate === Fate.FREED) yield* putPage(cpu, pfn);
  return fate;
}

function* shrinkLockedPage(cpu: Cpu, pfn: Pfn, priority: number): Op<Fate> {
  const page = pageOf(pfn);
  // Its users are gone since it was isolated.
  if ((yield* cpu.readOnce(page + Page.refcount)) === 1) return Fate.FREED;
  const mapped = (yield* cpu.readOnce(page + Page.mapcount)) > 0;
  const referenced = yield* pageReferenced(cpu, pfn, priority);
  if (referenced && mapped) return Fate.ACTIVATE;
  let added = false;
  if (yield* pageAnon(cpu, pfn)) {
    const flags = yield* cpu.readOnce(page + Page.flags);
    if ((flags & (PG_swapcache | PG_lazyfree)) === 0) {
      if (!mapped) return Fate.KEEP;
      if (SWAP_SLOTS === 0 || !(yield* addToSwap(cpu, pfn))) return Fate.ACTIVATE;
      added = true;
    }
  }
  if (mapped) {
    const unmapped = yield* tryToUnmap(cpu, pfn);
    if (unmapped !== Unmap.SUCCESS && added) yield* giveBackSlot(cpu, pfn);
    if (unmapped === Unmap.FAIL) return Fate.ACTIVATE;
    if (unmapped === Unmap.AGAIN) return Fate.KEEP;
  }
  return yield* pageOut(cpu, pfn, referenced);
}

/** A page that stays needs no slot, if no pte has been told of it: those that are locked would hold them for ever. */
function* giveBackSlot(cpu: Cpu, pfn: Pfn): Op<void> {
  const slot = yield* slotOfPage(cpu, pfn);
  if ((yield* swapCount(cpu, slot)) === 1) yield* deleteFromSwapCache(cpu, pfn);
}

/** Writes an unmapped page if need be, and takes it out of whatever knows it. */
function* pageOut(cpu: Cpu, pfn: Pfn, referenced: boolean): Op<Fate> {
  const page = pageOf(pfn);
  const flags = yield* cpu.readOnce(page + Page.flags);
  const inSwap = (flags & PG_swapcache) !== 0;
  if (!inSwap) {
    // Clean, and given away: the ptes are empty.
    if ((flags & PG_lazyfree) !== 0) return yield* freedIfAlone(cpu, pfn);
    const file = yield* cpu.load(page + Page.mapping);
    const index = yield* cpu.load(page + Page.index);
    // Truncated, or read ahead into a swap cache that has let it go.
    if (file === 0 || (yield* pageAnon(cpu, pfn))) return yield* freedIfAlone(cpu, pfn);
    if (!(yield* isCached(cpu, file, index, pfn))) return yield* freedIfAlone(cpu, pfn);
    if (yield* isFileMemory(cpu, file)) return yield* pageOutMemory(cpu, pfn);
  }
  if ((flags & PG_dirty) !== 0) {
    if (referenced) return Fate.KEEP;
    if (!(yield* writePage(cpu, pfn))) return Fate.ACTIVATE;
  }
  const removed = inSwap
    ? yield* removeFromSwapCache(cpu, pfn)
    : yield* removeFromPageCache(cpu, pfn, 0);
  if (!removed) return Fate.KEEP;
  yield* cpu.add(page + Page.refcount, -1);
  return Fate.FREED;
}

/** Whether only the caller still refers to a page. */
function* freedIfAlone(cpu: Cpu, pfn: Pfn): Op<Fate> {
  return (yield* cpu.readOnce(pageOf(pfn) + Page.refcount)) === 1 ? Fate.FREED : Fate.KEEP;
}

/** Shared memory goes to the swap file; its tree remembers the slot (Linux: shmem_writepage). */
function* pageOutMemory(cpu: Cpu, pfn: Pfn): Op<Fate> {
  const slot = yield* writeMemoryPage(cpu, pfn);
  if (slot < 0) return Fate.ACTIVATE;
  const removed = yield* removeFromPageCache(cpu, pfn, swapped(slot));
  if (!removed) {
    yield* swapFree(cpu, slot);
    return Fate.KEEP;
  }
  yield* cpu.add(pageOf(pfn) + Page.refcount, -1);
  return Fate.FREED;
}
