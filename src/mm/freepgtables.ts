/** Page tables that go (Linux: free_pgtables, mm/memory.c). */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { LEVEL_SPAN, TABLE_ORDER, TOP_LEVEL, entryOffset, entryPfn } from '../hardware/machine.js';
import { countEvents } from './counters.js';
import { Mm } from './layout/mm.js';
import { PageState } from './layout/percpu.js';
import { freeNewPage, freeNewPages } from './pagealloc.js';
import { tableGet, tableSet } from './pte.js';
import { flushTlbMm } from './tlbflush.js';

/** A table that nothing points to any more, while a CPU may still be on its way through it. */
export interface GoneTable {
  readonly pfn: Pfn;
  readonly level: number;
}

/** Gives back a table of `level` that nothing points to. */
export function* freeTable(cpu: Cpu, pfn: Pfn, level: number): Op<void> {
  const order = TABLE_ORDER[level];
  yield* countEvents(cpu, PageState.nr_page_table_pages, -(2 ** order));
  if (order === 0) yield* freeNewPage(cpu, pfn, 1);
  else yield* freeNewPages(cpu, pfn, order);
}

/**
 * Frees the tables of an unmapped range, but for those that a neighbour still needs (Linux:
 * free_pgtables).
 *
 * The MMU of another CPU walks the tables with no lock, and may have read the entry that led to a table just before
 * it was emptied. Until the TLBs are flushed the frame must not be used for anything else (Linux: tlb_remove_table,
 * and mmu_gather's freed_tables); a flush waits until the other CPU is between two instructions.
 *
 * @param floor - end of the mapping below, 0 if none
 * @param ceiling - start of the mapping above, Infinity if none
 * Locks: mmap_sem for writing; the range is zapped and its translations are flushed.
 */
export function* freePgtables(
  cpu: Cpu,
  mm: Word,
  start: Vaddr,
  end: Vaddr,
  floor: Vaddr,
  ceiling: Vaddr,
): Op<void> {
  const pgd = yield* cpu.load(mm + Mm.pgd);
  const gone: GoneTable[] = [];
  yield* unhookTables(cpu, mm, pgd, TOP_LEVEL, start, end, floor, ceiling, gone);
  if (gone.length === 0) return;
  yield* flushTlbMm(cpu, mm);
  for (const { pfn, level } of gone) yield* freeTable(cpu, pfn, level);
}

/** Empties the entries that lead to tables of a range. */
function* unhookTables(
  cpu: Cpu,
  mm: Word,
  tablePfn: Pfn,
  level: number,
  start: Vaddr,
  end: Vaddr,
  floor: Vaddr,
  ceiling: Vaddr,
  gone: GoneTable[],
): Op<void> {
  const span = LEVEL_SPAN[level];
  const table = frameOf(tablePfn);
  for (let first = Math.floor(start / span) * span; first < end; first += span) {
    const entryp = table + entryOffset(first, level);
    const entry = yield* tableGet(cpu, entryp);
    if (entry === 0) continue;
    const child = entryPfn(entry);
    if (level > 1) {
      const from = Math.max(start, first);
      const to = Math.min(end, first + span);
      yield* unhookTables(cpu, mm, child, level - 1, from, to, floor, ceiling, gone);
    }
    if (first < floor || first + span > ceiling) continue;
    yield* tableSet(cpu, entryp, 0);
    yield* cpu.add(mm + Mm.nrTables, -1);
    gone.push({ pfn: child, level: level - 1 });
  }
}
