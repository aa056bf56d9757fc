/**
 * Pages whose frame the host has taken (guest page hinting: page_discard of mm/page-states.c, and do_discard_fault).
 * What they held is on the device. They leave their cache and all ptes, so that whoever comes next reads it again.
 *
 * Locks: the page's; then those of the way back and of each pte, or the cache's. PG_discarded is set before the ptes are
 * looked at: who maps a page that it has found looks for it under the lock of the pte, so that either it does not map
 * the page or the way back finds the pte.
 */
import { InvariantError } from '../base/errors.js';
import type { Pfn, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { countEvent } from './counters.js';
import { PG_discarded, PG_locked, PG_swapcache, Page, pageOf } from './layout/page.js';
import { PageState } from './layout/percpu.js';
import { putPage } from './lru.js';
import { findGetPage, takeFromPageCache } from './pagecache.js';
import { pageGone, pageMakeStable } from './pageStates.js';
import { getPageUnlessZero, pageAnon } from './rmap.js';
import { lookupSwapCache, takeFromSwapCache } from './swapstate.js';
import { pageUnmapAll } from './unmap.js';

/**
 * An access met a frame that the host has taken. It is tried again, and then finds no page.
 *
 * @param pfn - the frame; whose it is by now, the page's own words must tell
 */
export function* doDiscardFault(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* cpu.spend(Work.TRAP_ENTER);
  yield* countEvent(cpu, PageState.discard_fault);
  if (yield* getPageUnlessZero(cpu, pfn)) yield* pageDiscard(cpu, pfn);
  yield* cpu.spend(Work.TRAP_EXIT);
}

/**
 * Takes a page that the host has out of its cache and of all ptes; one that it has not is left alone.
 *
 * Locks: none but mmap_sem or a VMA's lock may be held. The caller's reference is dropped.
 */
export function* pageDiscard(cpu: Cpu, pfn: Pfn): Op<void> {
  if (yield* pageGone(cpu, pfn)) {
    const flags = pageOf(pfn) + Page.flags;
    yield* cpu.lockBit(flags, PG_locked);
    const taken = yield* discardLockedPage(cpu, pfn);
    yield* cpu.unlockBit(flags, PG_locked);
    if (taken) yield* putPage(cpu, pfn);
  }
  yield* putPage(cpu, pfn);
}

/** @returns whether a cache had the page, whose reference is the caller's to drop now. Locks: the page's */
function* discardLockedPage(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const page = pageOf(pfn);
  const flags = yield* cpu.readOnce(page + Page.flags);
  if ((flags & PG_discarded) !== 0) {
    yield* expectUnmapped(cpu, pfn);
    return false;
  }
  const inSwap = (flags & PG_swapcache) !== 0;
  if (!inSwap && (yield* pageAnon(cpu, pfn))) {
    throw new InvariantError(`the host took page[${pfn}], which is nowhere else`);
  }
  // Of a page that its file has lost, who cuts the file off is about to take the ptes away.
  if (!inSwap && (yield* cpu.readOnce(page + Page.mapping)) === 0) return false;
  yield* cpu.or(page + Page.flags, PG_discarded);
  // Again if fork has copied a pte to where the way back had already been.
  do yield* pageUnmapAll(cpu, pfn);
  while ((yield* cpu.readOnce(page + Page.mapcount)) !== 0);
  const taken = inSwap ? yield* takeFromSwapCache(cpu, pfn) : yield* takeFromPageCache(cpu, pfn);
  yield* expectUnmapped(cpu, pfn);
  yield* countEvent(cpu, PageState.page_discard);
  return taken;
}

/** Nothing leads from a discarded page to a pte any more: one that maps it would fault for ever. */
function* expectUnmapped(cpu: Cpu, pfn: Pfn): Op<void> {
  const mapcount = yield* cpu.readOnce(pageOf(pfn) + Page.mapcount);
  if (mapcount === 0) return;
  throw new InvariantError(`page[${pfn}] was discarded, and ${mapcount} ptes map it`);
}

/** Waits until a page that is being discarded is out of its cache. Locks: none of a pte. */
export function* awaitDiscard(cpu: Cpu, pfn: Pfn): Op<void> {
  const flags = pageOf(pfn) + Page.flags;
  if (((yield* cpu.readOnce(flags)) & PG_discarded) === 0) return;
  yield* cpu.lockBit(flags, PG_locked);
  yield* cpu.unlockBit(flags, PG_locked);
}

/** Whether a page is being discarded. Who holds a pte's lock and is told no may map the page by that pte. */
export function* pageDiscarded(cpu: Cpu, pfn: Pfn): Op<boolean> {
  return ((yield* cpu.readOnce(pageOf(pfn) + Page.flags)) & PG_discarded) !== 0;
}

/** Finds a page of a file and makes it stable; one that the host has is not found (the patches' find_get_page). */
export function* findGetPageStable(cpu: Cpu, file: Word, index: number): Op<Pfn> {
  for (;;) {
    const pfn = yield* findGetPage(cpu, file, index);
    if (pfn === 0 || (yield* pageMakeStable(cpu, pfn))) return pfn;
    yield* pageDiscard(cpu, pfn);
  }
}

/** The same of a page of the swap cache. */
export function* lookupSwapCacheStable(cpu: Cpu, slot: number): Op<Pfn> {
  for (;;) {
    const pfn = yield* lookupSwapCache(cpu, slot);
    if (pfn === 0 || (yield* pageMakeStable(cpu, pfn))) return pfn;
    yield* pageDiscard(cpu, pfn);
  }
}
