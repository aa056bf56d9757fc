/**
 * Entries that map a huge page become ptes that map its pages, each for itself (Linux: __split_huge_pmd,
 * mm/huge_memory.c, 6.x).
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import {
  ENTRY_WORDS,
  HUGE_PAGES,
  HUGE_SIZE,
  PFN_MASK,
  PMD_HUGE,
  entryPfn,
  pfnBits,
} from '../hardware/machine.js';
import { HIGHPTE } from './design.js';
import { kmapWord } from './kmap.js';
import { Mm } from './layout/mm.js';
import { PG_anon_exclusive, PG_tail, Page, ZERO_PFN, hugeMapcount, pageOf } from './layout/page.js';
import { Zone, zoneOf } from './layout/zone.js';
import { findPmd } from './pgwalk.js';
import { pmdHuge, tableEntry } from './pte.js';
import { pteOffsetMapAtomic, pteUnmapAtomic } from './pteMap.js';
import { flushTlbMm } from './tlbflush.js';
import { freeTable } from './freepgtables.js';

/** Whether an entry maps the huge page of zeros (Linux: is_huge_zero_pmd). */
export function* isHugeZero(cpu: Cpu, entry: number): Op<boolean> {
  return (yield* cpu.readOnce(zoneOf(0) + Zone.hugeZeroPage)) === entryPfn(entry);
}

function* withdrawTable(cpu: Cpu, mm: Word): Op<Pfn> {
  const table = yield* cpu.load(mm + Mm.spareTables);
  const next = yield* cpu.load(pageOf(table) + Page.lruNext);
  yield* cpu.store(mm + Mm.spareTables, next);
  yield* cpu.store(pageOf(table) + Page.lruNext, 0);
  return table;
}

/**
 * Maps the pages of a huge page by ptes, each for itself, in the place of its entry (Linux:
 * __split_huge_pmd). Does nothing where there is none any more.
 *
 * Locks: takes page_table_lock.
 */
export function* splitHugePmd(cpu: Cpu, mm: Word, pmdp: Word): Op<void> {
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  yield* splitHugePmdLocked(cpu, mm, pmdp);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
}

/** Locks: page_table_lock. */
function* splitHugePmdLocked(cpu: Cpu, mm: Word, pmdp: Word): Op<void> {
  if (!pmdHuge(yield* cpu.readOnce(pmdp))) return;
  // Empty for a while: who faults meanwhile waits for the lock before it hangs a table here.
  const entry = yield* cpu.xchg(pmdp, 0);
  const high = ENTRY_WORDS === 2 ? yield* cpu.readOnce(pmdp + 1) : 0;
  yield* flushTlbMm(cpu, mm);
  const table = yield* withdrawTable(cpu, mm);
  const zero = yield* isHugeZero(cpu, entry);
  const first = entryPfn(entry);
  const bits = entry & ~(PFN_MASK | PMD_HUGE);
  const mapped = yield* pteOffsetMapAtomic(cpu, frameOf(table));
  const ptes = HIGHPTE ? yield* kmapWord(cpu, mapped) : mapped;
  for (let frame = 0; frame < HUGE_PAGES; frame++) {
    const pfn = zero ? ZERO_PFN : first + frame;
    yield* cpu.writeOnce(ptes + frame * ENTRY_WORDS, pfnBits(pfn) | bits);
    if (ENTRY_WORDS === 2) yield* cpu.writeOnce(ptes + frame * ENTRY_WORDS + 1, high);
  }
  yield* pteUnmapAtomic(cpu, mapped);
  if (!zero) yield* claimBySmallPages(cpu, first);
  if (ENTRY_WORDS === 2) yield* cpu.writeOnce(pmdp + 1, 0);
  yield* cpu.writeOnce(pmdp, tableEntry(table));
}

/** The claim of an entry on a huge page becomes one of each pte on its page. */
function* claimBySmallPages(cpu: Cpu, first: Pfn): Op<void> {
  const flags = yield* cpu.readOnce(pageOf(first) + Page.flags);
  for (let frame = 0; frame < HUGE_PAGES; frame++) {
    const page = pageOf(first + frame);
    yield* cpu.add(page + Page.mapcount, 1);
    if (frame !== 0) yield* cpu.writeOnce(page + Page.flags, PG_tail | (flags & PG_anon_exclusive));
  }
  yield* cpu.add(pageOf(first) + Page.refcount, HUGE_PAGES - 1);
  yield* cpu.add(hugeMapcount(first), -1);
}

/** Splits the huge page that runs across an address (Linux: split_huge_pmd_if_needed). */
export function* splitHugePmdAt(cpu: Cpu, mm: Word, address: Vaddr): Op<void> {
  if (PMD_HUGE === 0 || address === hugeMask(address)) return;
  const pmdp = yield* findPmd(cpu, mm, address);
  if (pmdp !== 0) yield* splitHugePmd(cpu, mm, pmdp);
}

/** First address of the huge page that would hold an address. */
export function hugeMask(address: Vaddr): Vaddr {
  return Math.floor(address / HUGE_SIZE) * HUGE_SIZE;
}

/**
 * Takes a huge page out of its entry (Linux: zap_huge_pmd). The caller flushes, then puts the page.
 *
 * @returns its first frame, or 0 where the zeros were mapped
 * Locks: page_table_lock.
 */
export function* clearHugePmd(cpu: Cpu, mm: Word, pmdp: Word): Op<Pfn> {
  const entry = yield* cpu.xchg(pmdp, 0);
  if (ENTRY_WORDS === 2) yield* cpu.writeOnce(pmdp + 1, 0);
  const table = yield* withdrawTable(cpu, mm);
  yield* cpu.add(mm + Mm.nrTables, -1);
  yield* freeTable(cpu, table, 0);
  if (yield* isHugeZero(cpu, entry)) return 0;
  const pfn = entryPfn(entry);
  yield* cpu.add(hugeMapcount(pfn), -1);
  return pfn;
}
