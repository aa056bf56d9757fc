/**
 * The tree of page tables, built (Linux: the p??_alloc functions of mm/memory.c; 2.6.10 and V18).
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf, wordPfn } from '../hardware/frames.js';
import { PAGE_WORDS, TABLE_ORDER, TOP_LEVEL, entryOffset, entryPfn } from '../hardware/machine.js';
import { walk } from '../hardware/mmu.js';
import { countEvents } from './counters.js';
import {
  HIGHPTE,
  KMAP_FAULT_ATOMIC,
  KMAP_WINDOW,
  MOVE_REWALK,
  POPULATE_LOSER_KEEPS,
} from './design.js';
import { kmapHigh, kmapHighNowait, kmapOwned } from './kmap.js';
import { KM_PTE0 } from './layout/kmap.js';
import { Mm } from './layout/mm.js';
import { PG_table, Page, pageOf } from './layout/page.js';
import { PageState } from './layout/percpu.js';
import {
  pageTableAtomicStart,
  pageTableAtomicStop,
  populateIfNone,
  testAndPopulate,
} from './locking.js';
import { allocZeroedLowPage, allocZeroedPage, allocZeroedPages } from './allocpages.js';
import { topTable } from './pgwalk.js';
import { pmdHuge, pteMoved, tableEntry, tableGet } from './pte.js';
import { freeTable } from './freepgtables.js';
import { NEW_PAGE_REFERENCES, setNewReferences } from './pagealloc.js';
import { waitForMove } from './waitForMove.js';

/**
 * Finds the pte for an address and builds the tables on the way (V18: the body of
 * handle_mm_fault; 2.6.10: pud_alloc, pmd_alloc, pte_alloc_map).
 *
 * @returns the pte's word, mapped; minus the word of the entry above where that maps a huge page; 0 when memory is
 *   full
 * Locks: mmap_sem for reading. Entered between page_table_atomic_start and _stop, and left so,
 * but stopped when it returns 0.
 */
export function* pteAllocMap(cpu: Cpu, mm: Word, address: Vaddr): Op<number> {
  if (mm === cpu.mm) {
    const ptep = yield* walk(cpu, address);
    if (ptep !== 0) return HIGHPTE && ptep > 0 ? yield* mapForFault(cpu, mm, ptep) : ptep;
  }
  const ptep = yield* entryAlloc(cpu, mm, address, 0);
  return HIGHPTE && ptep > 0 ? yield* mapForFault(cpu, mm, ptep) : ptep;
}

/**
 * Maps a fault's pte, which it has until pteRelease or, where it holds it as it sleeps, until its end. The lock over the
 * walk is let go to wait for a slot: while mmap_sem is held the table stays where it was found.
 *
 * Locks: as for `pteAllocMap`.
 */
function* mapForFault(cpu: Cpu, mm: Word, ptep: Word): Op<Word> {
  const pfn = wordPfn(ptep);
  const offset = ptep % PAGE_WORDS;
  if (KMAP_FAULT_ATOMIC || KMAP_WINDOW) return (yield* kmapOwned(cpu, pfn, KM_PTE0)) + offset;
  const mapped = yield* kmapHighNowait(cpu, pfn);
  if (mapped !== 0) return mapped + offset;
  yield* pageTableAtomicStop(cpu, mm);
  const waited = yield* kmapHigh(cpu, pfn);
  yield* pageTableAtomicStart(cpu, mm);
  return waited + offset;
}

/**
 * Finds the entry for an address in its table of `level`, and builds the tables above. Maps nothing.
 *
 * @returns as for `pteAllocMap`
 * Locks: as for `pteAllocMap`.
 */
function* entryAlloc(cpu: Cpu, mm: Word, address: Vaddr, level: number): Op<number> {
  let table = frameOf(yield* topTable(cpu, mm));
  for (let above = TOP_LEVEL; above > level; above--) {
    const entryp = table + entryOffset(address, above);
    let entry = yield* tableGet(cpu, entryp);
    if (entry === 0) {
      yield* pageTableAtomicStop(cpu, mm);
      const pfn = yield* allocTable(cpu, above - 1);
      if (pfn === 0) return 0;
      yield* pageTableAtomicStart(cpu, mm);
      const populated = MOVE_REWALK
        ? yield* populateInLimbo(cpu, mm, address, above, tableEntry(pfn))
        : yield* testAndPopulate(cpu, mm, entryp, tableEntry(pfn));
      if (populated) {
        // Atomic: V18 increments nr_ptes with no lock held, and two CPUs could lose a count.
        yield* cpu.add(mm + Mm.nrTables, 1);
      } else if (!POPULATE_LOSER_KEEPS) {
        yield* freeTable(cpu, pfn, above - 1);
      }
      if (MOVE_REWALK) return yield* entryAlloc(cpu, mm, address, level);
      entry = yield* tableGet(cpu, entryp);
    }
    if (pteMoved(entry)) {
      yield* pageTableAtomicStop(cpu, mm);
      yield* waitForMove(cpu, mm, address);
      yield* pageTableAtomicStart(cpu, mm);
      return yield* entryAlloc(cpu, mm, address, level);
    }
    if (above === 1 && pmdHuge(entry)) return -entryp;
    table = frameOf(entryPfn(entry));
  }
  return table + entryOffset(address, level);
}

/** Hangs a table into the entry that is in use by then (2008: __pte_alloc with delimbo_pmd, and its like). */
function* populateInLimbo(
  cpu: Cpu,
  mm: Word,
  address: Vaddr,
  level: number,
  entry: number,
): Op<boolean> {
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  let table = frameOf(yield* topTable(cpu, mm));
  for (let above = TOP_LEVEL; above > level; above--) {
    table = frameOf(entryPfn(yield* tableGet(cpu, table + entryOffset(address, above))));
  }
  const populated = yield* populateIfNone(cpu, table + entryOffset(address, level), entry);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  return populated;
}

/**
 * The same outside of an atomic section: a pte is not mapped.
 *
 * Locks: mmap_sem.
 */
export function* pteAlloc(cpu: Cpu, mm: Word, address: Vaddr, level: number): Op<number> {
  yield* pageTableAtomicStart(cpu, mm);
  const entryp = yield* entryAlloc(cpu, mm, address, level);
  if (entryp !== 0) yield* pageTableAtomicStop(cpu, mm);
  return entryp;
}

/**
 * Takes an empty table of `level` (Linux: pte_alloc_one and its like). Of a table of several frames each has the
 * mark and one reference. Leaf tables may be in high memory in designs that can reach them there.
 *
 * @returns its first frame, or 0 when memory is full
 */
export function* allocTable(cpu: Cpu, level: number): Op<Pfn> {
  const order = TABLE_ORDER[level];
  const pfn =
    order === 0 ? yield* allocTableFrame(cpu, level) : yield* allocZeroedPages(cpu, order);
  if (pfn === 0) return 0;
  // A frame of several has no reference yet, a single one those of any new page.
  yield* makeTable(cpu, pfn, order, order === 0 ? NEW_PAGE_REFERENCES : 0);
  return pfn;
}

function* allocTableFrame(cpu: Cpu, level: number): Op<Pfn> {
  return HIGHPTE && level === 0 ? yield* allocZeroedPage(cpu) : yield* allocZeroedLowPage(cpu);
}

/**
 * Makes frames of zeros a table.
 *
 * @param references - that its owner alone has to each of them
 */
export function* makeTable(cpu: Cpu, pfn: Pfn, order: number, references: number): Op<void> {
  for (let frame = 0; frame < 2 ** order; frame++) {
    yield* cpu.writeOnce(pageOf(pfn + frame) + Page.flags, PG_table);
    yield* setNewReferences(cpu, pfn + frame, references, 1);
  }
  yield* countEvents(cpu, PageState.nr_page_table_pages, 2 ** order);
}
