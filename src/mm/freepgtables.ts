/** Page tables that go (Linux: free_pgtables, mm/memory.c). */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { ENTRY_WORDS, LEVEL_SPAN, TOP_LEVEL, entryPfn, levelIndex } from '../hardware/machine.js';
import { countEvents } from './counters.js';
import { Mm } from './layout/mm.js';
import { PageState } from './layout/percpu.js';
import { freeNewPage } from './pagealloc.js';

/** Gives back a table that nothing points to. */
export function* freeTable(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* countEvents(cpu, PageState.nr_page_table_pages, -1);
  yield* freeNewPage(cpu, pfn);
}

/**
 * Frees the tables of an unmapped range, but for those that a neighbour still needs (Linux:
 * free_pgtables).
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
  yield* freeTablesBelow(cpu, mm, pgd, TOP_LEVEL, start, end, floor, ceiling);
}

function* freeTablesBelow(
  cpu: Cpu,
  mm: Word,
  tablePfn: Pfn,
  level: number,
  start: Vaddr,
  end: Vaddr,
  floor: Vaddr,
  ceiling: Vaddr,
): Op<void> {
  const span = LEVEL_SPAN[level];
  const table = frameOf(tablePfn);
  for (let first = Math.floor(start / span) * span; first < end; first += span) {
    const entryp = table + levelIndex(first, level) * ENTRY_WORDS;
    const entry = yield* cpu.readOnce(entryp);
    if (entry === 0) continue;
    const child = entryPfn(entry);
    if (level > 1) {
      const from = Math.max(start, first);
      const to = Math.min(end, first + span);
      yield* freeTablesBelow(cpu, mm, child, level - 1, from, to, floor, ceiling);
    }
    if (first < floor || first + span > ceiling) continue;
    yield* cpu.writeOnce(entryp, 0);
    yield* cpu.add(mm + Mm.nrTables, -1);
    yield* freeTable(cpu, child);
  }
}
