/**
 * The swap cache: pages that are in memory and in the swap file at once (Linux: mm/swap_state.c, 2.6.10).
 * Who finds a page there finds the one that all others with the same slot will find.
 *
 * Locks: a page enters and leaves under its own lock and the swap lock.
 */
import type { Pfn } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { HINTING } from '../hardware/hostStates.js';
import { SWAP_SLOTS } from '../hardware/machine.js';
import { PG_dirty, PG_locked, PG_swapcache, Page, pageOf } from './layout/page.js';
import { SWAP, SWAP_CACHE, Swap, pageSlot } from './layout/swap.js';
import { putPage, pageCacheReleaseNocheck } from './lru.js';
import { pageMakeStable } from './pageStates.js';
import { getSwapSlot, swapCount, swapPut } from './swapfile.js';

/** Finds the page of a slot and takes a reference to it (Linux: lookup_swap_cache). @returns it or 0 */
export function* lookupSwapCache(cpu: Cpu, slot: number): Op<Pfn> {
  yield* cpu.spinLock(SWAP + Swap.lock);
  const pfn = yield* cpu.load(SWAP_CACHE + slot);
  if (pfn !== 0) yield* cpu.add(pageOf(pfn) + Page.refcount, 1);
  yield* cpu.spinUnlock(SWAP + Swap.lock);
  return pfn;
}

/**
 * Gives an anonymous page a slot, as the first step of its way out (Linux: add_to_swap).
 *
 * @returns false when the swap file is full
 * Locks: the page's.
 */
export function* addToSwap(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const page = pageOf(pfn);
  yield* cpu.spinLock(SWAP + Swap.lock);
  const slot = yield* getSwapSlot(cpu);
  if (slot >= 0) {
    yield* cpu.add(page + Page.refcount, 1);
    yield* cpu.store(pageSlot(pfn), slot + 1);
    yield* cpu.store(SWAP_CACHE + slot, pfn);
    // Its contents are nowhere else.
    yield* cpu.or(page + Page.flags, PG_swapcache | PG_dirty);
  }
  yield* cpu.spinUnlock(SWAP + Swap.lock);
  return slot >= 0;
}

/** The slot of a page of the swap cache. Locks: the page's. */
export function* slotOfPage(cpu: Cpu, pfn: Pfn): Op<number> {
  return (yield* cpu.load(pageSlot(pfn))) - 1;
}

/**
 * Whether nothing but the swap cache and at most one pte has the contents of a page that one pte at most maps:
 * then they are that pte's alone (Linux: can_share_swap_page).
 *
 * Locks: the page's.
 */
export function* onlyUserOfSwap(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const mapcount = yield* cpu.readOnce(pageOf(pfn) + Page.mapcount);
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  if ((flags & PG_swapcache) === 0) return mapcount === 1;
  const slot = yield* slotOfPage(cpu, pfn);
  return mapcount + (yield* swapCount(cpu, slot)) - 1 === 1;
}

/**
 * Takes a page out that stays in memory (Linux: delete_from_swap_cache).
 *
 * @returns false where the host has taken what the page held, which is in the swap file alone then
 * Locks: the page's.
 */
export function* deleteFromSwapCache(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const flags = pageOf(pfn) + Page.flags;
  yield* cpu.spinLock(SWAP + Swap.lock);
  yield* cpu.or(flags, PG_dirty);
  const stays = !HINTING || (yield* pageMakeStable(cpu, pfn));
  if (stays) yield* forgetSlot(cpu, pfn);
  else yield* cpu.and(flags, ~PG_dirty);
  yield* cpu.spinUnlock(SWAP + Swap.lock);
  if (stays) yield* putPage(cpu, pfn);
  return stays;
}

/** Takes a page out whose contents nobody needs here. The caller drops the cache's reference. Locks: the page's. */
export function* takeFromSwapCache(cpu: Cpu, pfn: Pfn): Op<boolean> {
  yield* cpu.spinLock(SWAP + Swap.lock);
  yield* forgetSlot(cpu, pfn);
  yield* cpu.spinUnlock(SWAP + Swap.lock);
  return true;
}

/** Locks: the page's and the swap lock. The caller drops the cache's reference. */
export function* forgetSlot(cpu: Cpu, pfn: Pfn): Op<void> {
  const slot = yield* slotOfPage(cpu, pfn);
  yield* cpu.store(SWAP_CACHE + slot, 0);
  yield* cpu.store(pageSlot(pfn), 0);
  yield* cpu.and(pageOf(pfn) + Page.flags, ~PG_swapcache);
  yield* swapPut(cpu, slot);
}

/**
 * Takes a page out that only its caller and the swap cache refer to, if it is clean (Linux: the end of
 * shrink_list).
 *
 * @returns whether it did: the caller then has both references to drop
 * Locks: the page's.
 */
export function* removeFromSwapCache(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const page = pageOf(pfn);
  yield* cpu.spinLock(SWAP + Swap.lock);
  const unused = (yield* cpu.readOnce(page + Page.refcount)) === 2;
  const clean = ((yield* cpu.readOnce(page + Page.flags)) & PG_dirty) === 0;
  if (unused && clean) yield* forgetSlot(cpu, pfn);
  yield* cpu.spinUnlock(SWAP + Swap.lock);
  return unused && clean;
}

/** A pte that referred to a slot is gone; so is the page of a slot that none does (free_swap_and_cache). */
export function* freeSwapAndCache(cpu: Cpu, slot: number): Op<void> {
  yield* cpu.spinLock(SWAP + Swap.lock);
  const left = yield* swapPut(cpu, slot);
  // Whoever holds its lock will see that nothing refers to it any more.
  const pfn = left === 1 ? yield* cpu.load(SWAP_CACHE + slot) : 0;
  const alone = pfn !== 0 && (yield* tryToForget(cpu, pfn));
  yield* cpu.spinUnlock(SWAP + Swap.lock);
  if (alone) yield* putPage(cpu, pfn);
}

/**
 * Takes a page that only the swap cache refers to out of it, unless somebody is at work on it.
 *
 * Locks: the swap lock.
 */
function* tryToForget(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const page = pageOf(pfn);
  if ((yield* cpu.readOnce(page + Page.refcount)) !== 1) return false;
  if (!(yield* cpu.tryLockBit(page + Page.flags, PG_locked))) return false;
  yield* forgetSlot(cpu, pfn);
  yield* cpu.unlockBit(page + Page.flags, PG_locked);
  return true;
}

/**
 * Drops a reference to a page that a pte mapped; the last such takes it out of the swap cache too (Linux:
 * free_page_and_swap_cache).
 */
export function* freePageAndSwapCache(cpu: Cpu, pfn: Pfn): Op<void> {
  if (SWAP_SLOTS > 0) {
    const page = pageOf(pfn);
    const flags = yield* cpu.readOnce(page + Page.flags);
    if ((flags & PG_swapcache) !== 0 && (yield* cpu.tryLockBit(page + Page.flags, PG_locked))) {
      yield* forgetIfUnused(cpu, pfn);
      yield* cpu.unlockBit(page + Page.flags, PG_locked);
    }
  }
  yield* pageCacheReleaseNocheck(cpu, pfn);
}

/** Locks: the page's. */
function* forgetIfUnused(cpu: Cpu, pfn: Pfn): Op<void> {
  const page = pageOf(pfn);
  if (((yield* cpu.readOnce(page + Page.flags)) & PG_swapcache) === 0) return;
  if ((yield* cpu.readOnce(page + Page.mapcount)) !== 0) return;
  const slot = yield* slotOfPage(cpu, pfn);
  if ((yield* swapCount(cpu, slot)) !== 1) return;
  if (HINTING) {
    yield* takeFromSwapCache(cpu, pfn);
    yield* putPage(cpu, pfn);
  } else {
    yield* deleteFromSwapCache(cpu, pfn);
  }
}
