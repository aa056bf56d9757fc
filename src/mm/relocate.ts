/**
 * Page tables that move to other frames while they are in use (Ross Biro, "Make Page Tables Relocatable", April 2008:
 * what it is for; the protocol is ours, docs/relocation.md).
 *
 * A table is emptied into its new frame entry by entry: each is exchanged for PTE_MOVED, which no MMU translates and
 * which is like nothing that anybody expects of a pte. So
 *   - what the MMU has set in an entry by then is in what the exchange returns, and it sets nothing any more: it does so
 *     by compare-exchange on a present entry;
 *   - who installs by compare-exchange fails, and who takes the pte's lock and looks again finds another entry. Both
 *     then do what they do where another CPU was faster. The fault path has no instruction more.
 * An entry that points to a lower table is copied as it is: only this file changes such entries while anybody may read
 * them. Who comes to a lower table by an old one finds in it what it would otherwise: the table, or marks.
 *
 * Who meets a mark waits for page_table_lock, which is held over the move of one table, and walks again.
 *
 * Locks: mmap_sem for reading. That keeps away who would see a mark and does not expect one, or frees tables. Then the
 * locks of the leaf table's ptes, and page_table_lock, in this order.
 */
import { InvariantError } from '../base/errors.js';
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import {
  LEVEL_ENTRIES,
  LEVEL_SPAN,
  PAGE_WORDS,
  PTE_MOVED,
  RELOADS_TOP,
  TOP_LEVEL,
  entryOffset,
  entryPfn,
  wordsPerEntry,
} from '../hardware/machine.js';
import { FREE_AFTER_RCU, FREE_AFTER_WALKERS, FREE_AT_ONCE, PTE_LOCK_MM } from './design.js';
import { freeTable, type GoneTable } from './freepgtables.js';
import { Mm } from './layout/mm.js';
import { Vma } from './layout/vma.js';
import { ptesLock, ptesUnlock } from './locking.js';
import { mmapWriteLock, mmapWriteUnlock, vmaStartWrite } from './mmapLock.js';
import { pinTable, unpinTable } from './paravirt.js';
import { topTable } from './pgwalk.js';
import {
  copyPteHigh,
  pmdHuge,
  ptepExchange,
  ptepSet,
  tableEntry,
  tableGet,
  tableSet,
} from './pte.js';
import { synchronizeRcu } from './rcu.js';
import { allocTableFrom, type TableSource } from './tableSource.js';
import { flushTlbMm } from './tlbflush.js';
import { rmapLock, rmapUnlock } from './vmas.js';

/** Which tables are to move, and to where. */
export interface Move {
  readonly wants: (pfn: Pfn, level: number) => boolean;
  readonly source: TableSource;
}

/** What became of it. */
export interface Moved {
  /** Tables that moved. */
  moved: number;
  /** Tables that stay where they are: no page in size, or at the top where that cannot be told to a CPU that runs. */
  skipped: number;
  /** Whether it ended early, for want of a frame. */
  noMemory: boolean;
}

/**
 * Moves the page tables of an address space: all that are wanted, as far as there are frames.
 *
 * Locks: none; takes mmap_sem for reading, then for writing.
 */
export function* relocateTables(cpu: Cpu, mm: Word, move: Move): Op<Moved> {
  const result: Moved = { moved: 0, skipped: 0, noMemory: false };
  const gone: GoneTable[] = [];
  yield* cpu.downRead(mm + Mm.mmapSem);
  const top = yield* topTable(cpu, mm);
  yield* moveTablesBelow(cpu, mm, move, top, TOP_LEVEL, 0, result, gone);
  yield* moveIfWanted(cpu, mm, move, top, TOP_LEVEL, 0, result, gone);
  yield* cpu.upRead(mm + Mm.mmapSem);
  if (gone.length === 0) return result;
  yield* flushTlbMm(cpu, mm);
  if (FREE_AFTER_WALKERS) yield* waitForWalkers(cpu, mm);
  if (FREE_AFTER_RCU) yield* synchronizeRcu(cpu);
  for (const { pfn, level } of gone) yield* freeMoved(cpu, pfn, level);
  return result;
}

/** The lower tables first: a table moves with entries that lead to where those are by then. */
function* moveTablesBelow(
  cpu: Cpu,
  mm: Word,
  move: Move,
  table: Pfn,
  level: number,
  base: Vaddr,
  result: Moved,
  gone: GoneTable[],
): Op<void> {
  for (let index = 0; index < LEVEL_ENTRIES[level] && !result.noMemory; index++) {
    const entryp = frameOf(table) + index * wordsPerEntry(level);
    const entry = yield* tableGet(cpu, entryp);
    const child = entryPfn(entry);
    if (child === 0 || (level === 1 && pmdHuge(entry))) continue;
    const address = base + index * LEVEL_SPAN[level];
    if (level > 1) {
      yield* moveTablesBelow(cpu, mm, move, child, level - 1, address, result, gone);
    }
    yield* moveIfWanted(cpu, mm, move, child, level - 1, address, result, gone);
  }
}

function* moveIfWanted(
  cpu: Cpu,
  mm: Word,
  move: Move,
  pfn: Pfn,
  level: number,
  address: Vaddr,
  result: Moved,
  gone: GoneTable[],
): Op<void> {
  if (result.noMemory || !move.wants(pfn, level)) return;
  if (!mayMove(level)) {
    result.skipped++;
    return;
  }
  const to = yield* allocTableFrom(cpu, move.source);
  if (to === 0) {
    result.noMemory = true;
    return;
  }
  yield* pinTable(cpu, { pfn: to, level });
  if (yield* moveTable(cpu, mm, pfn, to, level, address)) {
    result.moved++;
    if (FREE_AT_ONCE) yield* freeMoved(cpu, pfn, level);
    else gone.push({ pfn, level });
  } else {
    // Somebody else has moved it meanwhile.
    yield* freeMoved(cpu, to, level);
  }
}

/** Whether tables of a level are a page each, and CPUs can be told of the new one. */
function mayMove(level: number): boolean {
  if (level === TOP_LEVEL && !RELOADS_TOP) return false;
  return LEVEL_ENTRIES[level] * wordsPerEntry(level) === PAGE_WORDS;
}

function* freeMoved(cpu: Cpu, pfn: Pfn, level: number): Op<void> {
  yield* unpinTable(cpu, { pfn, level });
  yield* freeTable(cpu, pfn, level);
}

/**
 * Moves one table.
 *
 * @param from - where it was last seen
 * @param to - a table of zeros
 * @param address - one that it maps
 * @returns whether it was still there
 * Locks: mmap_sem for reading.
 */
export function* moveTable(
  cpu: Cpu,
  mm: Word,
  from: Pfn,
  to: Pfn,
  level: number,
  address: Vaddr,
): Op<boolean> {
  yield* tableLock(cpu, mm, from, level);
  const entryp = level === TOP_LEVEL ? 0 : yield* entryAbove(cpu, mm, address, level);
  const now = entryp === 0 ? yield* topTable(cpu, mm) : entryPfn(yield* tableGet(cpu, entryp));
  if (now === from) {
    for (let index = 0; index < LEVEL_ENTRIES[level]; index++) {
      const offset = index * wordsPerEntry(level);
      yield* moveEntry(cpu, frameOf(from) + offset, frameOf(to) + offset, level);
    }
    if (entryp === 0) yield* cpu.writeOnce(mm + Mm.pgd, to);
    else yield* tableSet(cpu, entryp, tableEntry(to));
  }
  yield* tableUnlock(cpu, mm, from, level);
  return now === from;
}

/** Takes what keeps a table's entries as they are, but for those that are changed by compare-exchange. */
function* tableLock(cpu: Cpu, mm: Word, pfn: Pfn, level: number): Op<void> {
  if (level === 0) yield* ptesLock(cpu, mm, frameOf(pfn));
  if (level > 0 || !PTE_LOCK_MM) yield* cpu.spinLock(mm + Mm.pageTableLock);
}

function* tableUnlock(cpu: Cpu, mm: Word, pfn: Pfn, level: number): Op<void> {
  if (level > 0 || !PTE_LOCK_MM) yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  if (level === 0) yield* ptesUnlock(cpu, mm, frameOf(pfn));
}

/**
 * The entry that points to a table of `level`, which there must be.
 *
 * Locks: page_table_lock, so that no table on the way is an old one.
 */
function* entryAbove(cpu: Cpu, mm: Word, address: Vaddr, level: number): Op<Word> {
  let table = yield* topTable(cpu, mm);
  for (let above = TOP_LEVEL; above > level + 1; above--) {
    table = entryPfn(yield* tableGet(cpu, frameOf(table) + entryOffset(address, above)));
    if (table === 0) throw new InvariantError(`no table of level ${above - 1} to move from`);
  }
  return frameOf(table) + entryOffset(address, level + 1);
}

/** Moves one entry, unless it points to a lower table: that one has two then. */
function* moveEntry(cpu: Cpu, from: Word, to: Word, level: number): Op<void> {
  if (level > 0) {
    const entry = yield* tableGet(cpu, from);
    if (entryPfn(entry) !== 0 && !(level === 1 && pmdHuge(entry))) {
      yield* tableSet(cpu, to, entry);
      return;
    }
  }
  const entry = yield* ptepExchange(cpu, from, PTE_MOVED);
  if (entry === 0) return;
  yield* copyPteHigh(cpu, to, from);
  yield* ptepSet(cpu, to, entry);
}

/**
 * Waits until nobody can have a pointer into a table that nothing leads to any more: faults are under mmap_sem or under
 * the lock of their VMA, and may sleep with it; walks from a page to its ptes are under the lock of the list that led
 * them to the VMA.
 */
function* waitForWalkers(cpu: Cpu, mm: Word): Op<void> {
  yield* mmapWriteLock(cpu, mm);
  let vma = yield* cpu.load(mm + Mm.mmap);
  while (vma !== 0) {
    yield* vmaStartWrite(cpu, vma);
    yield* rmapLock(cpu, vma);
    yield* rmapUnlock(cpu, vma);
    vma = yield* cpu.load(vma + Vma.vmNext);
  }
  yield* mmapWriteUnlock(cpu, mm);
}
