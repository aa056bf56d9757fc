/**
 * The lists of pages in use, by zone, and the end of a page's life (Linux: mm/swap.c, 2.6.10:
 * lru_cache_add, lru_cache_add_active, put_page, __page_cache_release).
 *
 *   new anonymous page -> active list  -- not used for a while -->  inactive list -> freed
 *   new page of a file -> inactive list  <-- used again --
 *
 * New pages wait in the CPU's pagevecs, which hold a reference to each, and reach their zone's
 * lists fourteen at a time. vmscan.ts moves them further.
 */
import { InvariantError } from '../base/errors.js';
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { pfnNode } from '../hardware/machine.js';
import { FAULT_HINTS, HINTS_COUNTED } from './design.js';
import { LRU_ACTIVE, LRU_INACTIVE, LRU_NONE, PG_head, Page, pageOf } from './layout/page.js';
import { PAGEVEC_SIZE, Percpu, percpuOf } from './layout/percpu.js';
import { Zone, zoneOf } from './layout/zone.js';
import { freeHugePage, freePage } from './pagealloc.js';
import { pageMakeVolatile } from './pageStates.js';
import { compoundHead } from './rmap.js';

/** A CPU's pagevec: where its count is; the frames follow. */
type Pagevec = typeof Percpu.lruAddCount | typeof Percpu.lruAddActiveCount;

/**
 * Puts a new page on its zone's active list, some time soon. The reference that the pagevec holds
 * till then is the caller's to give: a new page starts with it, which saves an atomic operation.
 */
export function* lruCacheAddActive(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* pagevecAdd(cpu, Percpu.lruAddActiveCount, pfn);
}

/** The same for the inactive list. */
export function* lruCacheAdd(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* pagevecAdd(cpu, Percpu.lruAddCount, pfn);
}

function* pagevecAdd(cpu: Cpu, pagevec: Pagevec, pfn: Pfn): Op<void> {
  const counter = percpuOf(cpu.id) + pagevec;
  const count = yield* cpu.load(counter);
  yield* cpu.store(counter + 1 + count, pfn);
  yield* cpu.store(counter, count + 1);
  if (count + 1 === PAGEVEC_SIZE) yield* drainPagevec(cpu, pagevec);
}

/** Empties the CPU's pagevecs on to the lists (Linux: lru_add_drain). */
export function* lruAddDrain(cpu: Cpu): Op<void> {
  yield* drainPagevec(cpu, Percpu.lruAddCount);
  yield* drainPagevec(cpu, Percpu.lruAddActiveCount);
}

function* drainPagevec(cpu: Cpu, pagevec: Pagevec): Op<void> {
  const counter = percpuOf(cpu.id) + pagevec;
  const list = pagevec === Percpu.lruAddCount ? LRU_INACTIVE : LRU_ACTIVE;
  const count = yield* cpu.load(counter);
  let locked: Word = 0;
  for (let slot = 0; slot < count; slot++) {
    const pfn = yield* cpu.load(counter + 1 + slot);
    const zone = zoneOf(pfnNode(pfn));
    if (zone !== locked) {
      if (locked !== 0) yield* cpu.spinUnlock(locked + Zone.lruLock);
      yield* cpu.spinLock(zone + Zone.lruLock);
      locked = zone;
    }
    yield* addToList(cpu, zone, pfn, list);
  }
  if (locked !== 0) yield* cpu.spinUnlock(locked + Zone.lruLock);
  yield* cpu.store(counter, 0);
  for (let slot = 0; slot < count; slot++) {
    const pfn = yield* cpu.load(counter + 1 + slot);
    yield* pageCacheRelease(cpu, pfn);
  }
}

/**
 * Drops a reference to a page that somebody was at work on, which may be volatile from now on (the patches'
 * page_cache_release).
 */
export function* pageCacheRelease(cpu: Cpu, pfn: Pfn): Op<void> {
  if (HINTS_COUNTED) yield* pageMakeVolatile(cpu, pfn, CACHE_AND_CALLER);
  yield* putPage(cpu, pfn);
}

/** References of the page cache and of who releases a page. */
const CACHE_AND_CALLER = 2;

/**
 * Drops a reference that changed nothing about the page: that of a pte which is gone, or of a look around a fault. Only
 * before the patch of 28 June 2007 does that try the state too (its page_cache_release_nocheck).
 */
export function* pageCacheReleaseNocheck(cpu: Cpu, pfn: Pfn): Op<void> {
  if (FAULT_HINTS) yield* pageCacheRelease(cpu, pfn);
  else yield* putPage(cpu, pfn);
}

/** Drops a reference; the last one frees the frame (Linux: put_page, page_cache_release). */
export function* putPage(cpu: Cpu, subpage: Pfn): Op<void> {
  const pfn = yield* compoundHead(cpu, subpage);
  const page = pageOf(pfn);
  const before = yield* cpu.add(page + Page.refcount, -1);
  if (before > 1) return;
  if (before < 1) throw new InvariantError(`page.refcount: frame ${pfn} put at count ${before}`);
  // Whoever put it on a list held a reference, and reclaim takes none from a page that has none.
  if ((yield* cpu.load(page + Page.lru)) !== LRU_NONE) {
    const zone = zoneOf(pfnNode(pfn));
    yield* cpu.spinLock(zone + Zone.lruLock);
    yield* delFromList(cpu, zone, pfn);
    yield* cpu.spinUnlock(zone + Zone.lruLock);
  }
  const flags = yield* cpu.load(page + Page.flags);
  if ((flags & PG_head) !== 0) yield* freeHugePage(cpu, pfn);
  else yield* freePage(cpu, pfn);
}

/** Where a list's words are in its zone. */
interface List {
  readonly head: number;
  readonly tail: number;
  readonly count: number;
}

const INACTIVE: List = {
  head: Zone.inactiveHead,
  tail: Zone.inactiveTail,
  count: Zone.nrInactive,
};
const ACTIVE: List = { head: Zone.activeHead, tail: Zone.activeTail, count: Zone.nrActive };

/** Puts a page at the head of a list. Locks: zone->lru_lock. @param list - an LRU_ number */
export function* addToList(cpu: Cpu, zone: Word, pfn: Pfn, list: number): Op<void> {
  const page = pageOf(pfn);
  const { head, tail, count } = list === LRU_ACTIVE ? ACTIVE : INACTIVE;
  const first = yield* cpu.load(zone + head);
  yield* cpu.store(page + Page.lruNext, first);
  yield* cpu.store(page + Page.lruPrev, 0);
  if (first === 0) yield* cpu.store(zone + tail, pfn);
  else yield* cpu.store(pageOf(first) + Page.lruPrev, pfn);
  yield* cpu.store(zone + head, pfn);
  const pages = yield* cpu.load(zone + count);
  yield* cpu.writeOnce(zone + count, pages + 1);
  yield* cpu.store(page + Page.lru, list);
}

/** Takes a page off the list that it is on. Locks: zone->lru_lock. */
export function* delFromList(cpu: Cpu, zone: Word, pfn: Pfn): Op<void> {
  const page = pageOf(pfn);
  const { head, tail, count } =
    (yield* cpu.load(page + Page.lru)) === LRU_ACTIVE ? ACTIVE : INACTIVE;
  const next = yield* cpu.load(page + Page.lruNext);
  const prev = yield* cpu.load(page + Page.lruPrev);
  if (prev === 0) yield* cpu.store(zone + head, next);
  else yield* cpu.store(pageOf(prev) + Page.lruNext, next);
  if (next === 0) yield* cpu.store(zone + tail, prev);
  else yield* cpu.store(pageOf(next) + Page.lruPrev, prev);
  const pages = yield* cpu.load(zone + count);
  yield* cpu.writeOnce(zone + count, pages - 1);
  yield* cpu.store(page + Page.lruNext, 0);
  yield* cpu.store(page + Page.lruPrev, 0);
  yield* cpu.store(page + Page.lru, LRU_NONE);
}

/** The page that has been longest on a list; 0 if it is empty. Locks: zone->lru_lock. */
export function* oldestOfList(cpu: Cpu, zone: Word, list: number): Op<Pfn> {
  return yield* cpu.load(zone + (list === LRU_ACTIVE ? ACTIVE : INACTIVE).tail);
}
