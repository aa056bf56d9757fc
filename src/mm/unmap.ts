/**
 * Takes a page out of the ptes that map it, and asks them whether it is in use (Linux: page_referenced_one and
 * try_to_unmap_one, mm/rmap.c; 2.6.10, and V18, patch 1 of 4).
 */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PTE_ACCESSED, PTE_DIRTY } from '../hardware/machine.js';
import { MmCounter, raiseHiwaterRss, updateHiwaterRss, updateMmCounter } from './counters.js';
import { DISCARD_AWAITS, PTE_LOCK_MM, UNMAP_ADDS_RSS } from './design.js';
import {
  PG_anon_exclusive,
  PG_dirty,
  PG_lazyfree,
  PG_referenced,
  PG_swapcache,
  Page,
  pageOf,
} from './layout/page.js';
import { VM_LOCKED, VM_NONLINEAR, VM_PFNMAP } from './layout/vma.js';
import { pageCacheReleaseNocheck } from './lru.js';
import {
  clearPteHigh,
  pgoffToPte,
  ptepClearBits,
  ptepExchange,
  ptepGetAndClear,
  ptepInstall,
  swpEntryToPte,
} from './pte.js';
import { pageAnon, pageRemoveRmap } from './rmap.js';
import { rmapWalk, type Found, type MappingPte } from './rmapwalk.js';
import { swapDuplicate } from './swapfile.js';
import { slotOfPage } from './swapstate.js';
import { hasSwapToken } from './swaptoken.js';
import { flushTlbPage } from './tlbflush.js';

/** What became of an attempt to unmap a page. */
export const enum Unmap {
  SUCCESS,
  /** Some pte still maps it. */
  AGAIN,
  /** A pte keeps it: it is locked in memory, or in use. */
  FAIL,
}

/**
 * Whether a page was used since this was asked last, through a pte or otherwise; it is not any more afterwards.
 * The swap token counts as a use, except in the last pass before there is no memory (2.6.11).
 *
 * @param priority - of the pass, 0 the last
 * Locks: the page's.
 */
export function* pageReferenced(cpu: Cpu, pfn: Pfn, priority: number): Op<boolean> {
  const flags = pageOf(pfn) + Page.flags;
  const found = { yes: false };
  if (((yield* cpu.readOnce(flags)) & PG_referenced) !== 0) {
    yield* cpu.and(flags, ~PG_referenced);
    found.yes = true;
  }
  const visit = priority === 0 ? pageAccessedOne : pageReferencedOne;
  yield* rmapWalk(cpu, pfn, visit, found);
  return found.yes;
}

function* pageReferencedOne(cpu: Cpu, pfn: Pfn, pte: MappingPte, found: Found): Op<boolean> {
  if (yield* hasSwapToken(cpu, pte.mm)) found.yes = true;
  return yield* pageAccessedOne(cpu, pfn, pte, found);
}

function* pageAccessedOne(cpu: Cpu, _pfn: Pfn, pte: MappingPte, found: Found): Op<boolean> {
  if ((pte.entry & PTE_ACCESSED) !== 0) {
    // No flush: a TLB that still has it hides a use, which costs a fault at worst.
    yield* ptepClearBits(cpu, pte.ptep, PTE_ACCESSED);
    found.yes = true;
  }
  return true;
}

/**
 * Unmaps a page everywhere: an anonymous one leaves its slot of the swap file behind. What the MMU marked dirty
 * the page knows afterwards, and no TLB holds it.
 *
 * Locks: the page's.
 */
export function* tryToUnmap(cpu: Cpu, pfn: Pfn): Op<Unmap> {
  const failed = { yes: false };
  yield* rmapWalk(cpu, pfn, unmapOne, failed);
  if (failed.yes) return Unmap.FAIL;
  return (yield* cpu.readOnce(pageOf(pfn) + Page.mapcount)) === 0 ? Unmap.SUCCESS : Unmap.AGAIN;
}

function* unmapOne(cpu: Cpu, pfn: Pfn, pte: MappingPte, failed: Found): Op<boolean> {
  failed.yes = !(yield* tryToUnmapOne(cpu, pfn, pte));
  return !failed.yes;
}

/** @returns whether it could. Locks: the pte's and the page's */
function* tryToUnmapOne(cpu: Cpu, pfn: Pfn, pte: MappingPte): Op<boolean> {
  const { vmFlags, ptep, entry } = pte;
  if ((vmFlags & (VM_LOCKED | VM_PFNMAP)) !== 0) return false;
  if ((entry & PTE_ACCESSED) !== 0) {
    yield* ptepClearBits(cpu, ptep, PTE_ACCESSED);
    return false;
  }
  return yield* takeOutOfPte(cpu, pfn, pte);
}

/**
 * Unmaps a page everywhere, used or not: the host has taken its frame. What the MMU marked dirty on the way to it was
 * not stored. Who maps the page has looked under the lock of its pte whether it is being discarded: so that lock must be
 * waited for. As posted it is not where the pte is empty (2.6.22: page_check_address makes a quick check first).
 *
 * Locks: the page's.
 */
export function* pageUnmapAll(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* rmapWalk(cpu, pfn, unmapDiscarded, { yes: false, awaitsEmpty: DISCARD_AWAITS });
}

function* unmapDiscarded(cpu: Cpu, pfn: Pfn, pte: MappingPte): Op<boolean> {
  yield* takeOutOfPte(cpu, pfn, pte);
  return true;
}

/** @returns false where an anonymous page has no way out. Locks: the pte's and the page's */
function* takeOutOfPte(cpu: Cpu, pfn: Pfn, pte: MappingPte): Op<boolean> {
  const { mm, vmFlags, address, ptep } = pte;
  // Under page_table_lock already where that is the lock of ptes.
  if (PTE_LOCK_MM) yield* raiseHiwaterRss(cpu, mm);
  else yield* updateHiwaterRss(cpu, mm);
  const anon = yield* pageAnon(cpu, pfn);
  const taken = anon
    ? yield* takeAnonymous(cpu, pfn, pte)
    : yield* takeFilePage(cpu, pfn, ptep, vmFlags);
  if (taken === 0) return false;
  yield* flushTlbPage(cpu, mm, address);
  if ((taken & PTE_DIRTY) !== 0) yield* cpu.or(pageOf(pfn) + Page.flags, PG_dirty);
  if (anon) yield* updateMmCounter(cpu, mm, MmCounter.anonRss, -1);
  yield* updateMmCounter(cpu, mm, MmCounter.rss, UNMAP_ADDS_RSS ? 1 : -1);
  yield* pageRemoveRmap(cpu, pfn);
  yield* pageCacheReleaseNocheck(cpu, pfn);
  return true;
}

/**
 * Leaves an anonymous page's slot in its pte or, of a page that MADV_FREE gave away, nothing: unless that is written
 * to at this moment. A high word stays then: where faults take no lock, one may have begun to write its own.
 *
 * @returns the entry as it was at the end; 0 where the page stays
 */
function* takeAnonymous(cpu: Cpu, pfn: Pfn, { ptep, entry }: MappingPte): Op<number> {
  const flags = pageOf(pfn) + Page.flags;
  const pageFlags = yield* cpu.readOnce(flags);
  if ((pageFlags & PG_swapcache) !== 0) {
    const slot = yield* slotOfPage(cpu, pfn);
    yield* swapDuplicate(cpu, slot);
    const taken = yield* ptepExchange(cpu, ptep, swpEntryToPte(slot));
    yield* clearPteHigh(cpu, ptep);
    yield* cpu.and(flags, ~PG_anon_exclusive);
    return taken;
  }
  if ((pageFlags & PG_lazyfree) === 0) return 0;
  const clean = (entry & PTE_DIRTY) === 0;
  if (clean && (yield* ptepInstall(cpu, ptep, entry, 0))) return entry;
  yield* cpu.and(flags, ~PG_lazyfree);
  return 0;
}

/** Leaves nothing of a file's page in its pte or, in a non-linear mapping, which page it was. @returns the entry */
function* takeFilePage(cpu: Cpu, pfn: Pfn, ptep: Word, vmFlags: number): Op<number> {
  let left = 0;
  if ((vmFlags & VM_NONLINEAR) !== 0) {
    left = pgoffToPte(yield* cpu.load(pageOf(pfn) + Page.index));
  }
  const taken =
    left === 0 ? yield* ptepGetAndClear(cpu, ptep) : yield* ptepExchange(cpu, ptep, left);
  yield* clearPteHigh(cpu, ptep);
  return taken;
}
