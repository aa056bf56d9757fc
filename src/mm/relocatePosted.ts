/**
 * Page tables that move, as posted (Biro, April 2008, "relocation code": migrate_page_tables_mm). What is wrong with it:
 *   - a table is copied while the MMU sets bits in it, and goes on to until the flush, which is put off: a dirty bit that
 *     is set in the old table is lost (SPEC S2-a)
 *   - when a frame is not to be had it returns at once: the old tables are never freed, and CPUs may hold on to them for
 *     ever (S2-c)
 *   - which node a table is on is asked of the table that has the entry, not of the one that it leads to (S2-d)
 *   - an old table is freed as any page, not as what it was: nr_page_table_pages goes on counting it
 *   - synchronize_rcu() does not wait for a fault that sleeps (S2-b)
 * Levels that are not a page in size are not looked for; no machine of ours with this design has one.
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf, wordPfn } from '../hardware/frames.js';
import {
  LEVEL_ENTRIES,
  LEVEL_SPAN,
  TOP_LEVEL,
  entryOffset,
  entryPfn,
} from '../hardware/machine.js';
import { PTE_LOCK_MM } from './design.js';
import { MMF_NEED_FLUSH, MMF_NEED_RELOAD, Mm } from './layout/mm.js';
import { maybeReloadTlbMm } from './limbo.js';
import { ptesLock, ptesUnlock } from './locking.js';
import { freeNewPage } from './pagealloc.js';
import { pmdHuge, tableEntry, tableGet, tableSet } from './pte.js';
import { synchronizeRcu } from './rcu.js';
import { topTable } from './pgwalk.js';
import type { Move, Moved } from './relocate.js';
import { allocTableFrom } from './tableSource.js';

/** Moves the page tables of an address space (migrate_page_tables_mm). Locks: takes mmap_sem for reading. */
export function* relocateTablesPosted(cpu: Cpu, mm: Word, move: Move): Op<Moved> {
  const result: Moved = { moved: 0, skipped: 0, noMemory: false };
  const old: Pfn[] = [];
  yield* cpu.downRead(mm + Mm.mmapSem);
  yield* countRelocation(cpu, mm, 1);
  yield* migrateBelow(cpu, mm, move, TOP_LEVEL, 0, result, old);
  if (!result.noMemory) yield* migrateTop(cpu, mm, move, result, old);
  if (!result.noMemory) {
    yield* maybeReloadTlbMm(cpu, mm);
    yield* synchronizeRcu(cpu);
    for (const pfn of old) yield* freeNewPage(cpu, pfn, 1);
  }
  yield* countRelocation(cpu, mm, -1);
  yield* cpu.upRead(mm + Mm.mmapSem);
  return result;
}

/** Linux: enter_page_table_relocation_mode and leave_page_table_relocation_mode. */
function* countRelocation(cpu: Cpu, mm: Word, by: number): Op<void> {
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const count = yield* cpu.readOnce(mm + Mm.relocationCount);
  yield* cpu.writeOnce(mm + Mm.relocationCount, count + by);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
}

/** Moves the tables that the entries of the table of `level` at an address lead to, then those below them. */
function* migrateBelow(
  cpu: Cpu,
  mm: Word,
  move: Move,
  level: number,
  base: Vaddr,
  result: Moved,
  old: Pfn[],
): Op<void> {
  for (let index = 0; index < LEVEL_ENTRIES[level] && !result.noMemory; index++) {
    const address = base + index * LEVEL_SPAN[level];
    const entryp = yield* walkToEntry(cpu, mm, address, level);
    const entry = yield* tableGet(cpu, entryp);
    if (entry === 0 || (level === 1 && pmdHuge(entry))) continue;
    // The table that holds the entry: page_to_nid(virt_to_page(pmd)).
    if (move.wants(wordPfn(entryp), level - 1)) {
      const to = yield* allocTableFrom(cpu, move.source);
      if (to === 0) {
        result.noMemory = true;
        return;
      }
      yield* migrateTable(cpu, mm, address, level, to, old);
      result.moved++;
    }
    if (level > 1) yield* migrateBelow(cpu, mm, move, level - 1, address, result, old);
  }
}

/** Moves the table that an entry leads to (migrate_pgd, migrate_pud, migrate_pmd). */
function* migrateTable(
  cpu: Cpu,
  mm: Word,
  address: Vaddr,
  level: number,
  to: Pfn,
  old: Pfn[],
): Op<void> {
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const entryp = yield* walkToEntry(cpu, mm, address, level);
  const from = entryPfn(yield* tableGet(cpu, entryp));
  const leaf = level === 1 && !PTE_LOCK_MM;
  if (leaf) yield* ptesLock(cpu, mm, frameOf(from));
  yield* cpu.copyPage(frameOf(to), frameOf(from));
  old.push(from);
  yield* tableSet(cpu, entryp, tableEntry(to));
  yield* cpu.or(mm + Mm.flags, MMF_NEED_FLUSH);
  if (leaf) yield* ptesUnlock(cpu, mm, frameOf(from));
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
}

/** Linux: the end of migrate_page_tables_mm, and migrate_top_level_page_table. */
function* migrateTop(cpu: Cpu, mm: Word, move: Move, result: Moved, old: Pfn[]): Op<void> {
  const from = yield* topTable(cpu, mm);
  if (!move.wants(from, TOP_LEVEL)) return;
  const to = yield* allocTableFrom(cpu, move.source);
  if (to === 0) {
    result.noMemory = true;
    return;
  }
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  yield* cpu.copyPage(frameOf(to), frameOf(from));
  old.push(from);
  yield* cpu.writeOnce(mm + Mm.pgd, to);
  yield* cpu.or(mm + Mm.flags, MMF_NEED_RELOAD);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  result.moved++;
}

/** The entry for an address in its table of `level`, which there must be (walk_page_table_pmd and its like). */
function* walkToEntry(cpu: Cpu, mm: Word, address: Vaddr, level: number): Op<Word> {
  let table = yield* topTable(cpu, mm);
  for (let above = TOP_LEVEL; above > level; above--) {
    table = entryPfn(yield* tableGet(cpu, frameOf(table) + entryOffset(address, above)));
  }
  return frameOf(table) + entryOffset(address, level);
}
