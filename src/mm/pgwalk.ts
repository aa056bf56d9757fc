/** Walks of the tree of page tables that build nothing (Linux: pte_offset_map and its like). */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import {
  LEVEL_ENTRIES,
  LEVEL_SPAN,
  TOP_LEVEL,
  entryOffset,
  entryPfn,
} from '../hardware/machine.js';
import { MOVE_MARKS, RELOCATION } from './design.js';
import { Mm } from './layout/mm.js';
import { ptesLock, ptesUnlock, waitForMove } from './locking.js';
import { pmdHuge, pteMoved, ptepGet, tableGet } from './pte.js';

/** What `leafTable` returns where a huge page is mapped in the leaf table's stead. */
export const HUGE_LEAF = 0;

/** The top-level table of an address space. */
export function* topTable(cpu: Cpu, mm: Word): Op<Pfn> {
  return RELOCATION ? yield* cpu.readOnce(mm + Mm.pgd) : yield* cpu.load(mm + Mm.pgd);
}

/**
 * Finds the leaf table that holds the pte of an address.
 *
 * @returns its first word; or HUGE_LEAF; or, where no table is, minus the level of the empty entry, so
 *   that the whole span of that entry can be skipped
 */
export function* leafTable(cpu: Cpu, mm: Word, address: Vaddr): Op<number> {
  let table = frameOf(yield* topTable(cpu, mm));
  for (let level = TOP_LEVEL; level > 0; level--) {
    const entry = yield* tableGet(cpu, table + entryOffset(address, level));
    if (entry === 0) return -level;
    if (pteMoved(entry)) {
      yield* waitForMove(cpu, mm, address);
      return yield* leafTable(cpu, mm, address);
    }
    if (level === 1 && pmdHuge(entry)) return HUGE_LEAF;
    table = frameOf(entryPfn(entry));
  }
  return table;
}

/**
 * Finds the leaf table of an address and takes its lock, if there is one.
 *
 * @returns as for `leafTable`
 */
export function* leafTableLock(cpu: Cpu, mm: Word, address: Vaddr): Op<number> {
  for (;;) {
    const table = yield* leafTable(cpu, mm, address);
    if (table <= 0) return table;
    yield* ptesLock(cpu, mm, table);
    if (!MOVE_MARKS || !(yield* tableMoved(cpu, table))) return table;
    yield* ptesUnlock(cpu, mm, table);
    yield* waitForMove(cpu, mm, address);
  }
}

/** Whether a table's entries are in another one now. Locks: those of its ptes: it moves as a whole. */
function* tableMoved(cpu: Cpu, table: Word): Op<boolean> {
  return pteMoved(yield* ptepGet(cpu, table));
}

/**
 * Finds the entry above the leaves for an address (Linux: mm_find_pmd), which may have moved when it is looked at.
 *
 * @returns its word, or 0
 */
export function* findPmd(cpu: Cpu, mm: Word, address: Vaddr): Op<Word> {
  let table = frameOf(yield* topTable(cpu, mm));
  for (let level = TOP_LEVEL; level > 1; level--) {
    const entry = yield* tableGet(cpu, table + entryOffset(address, level));
    if (entry === 0) return 0;
    if (pteMoved(entry)) {
      yield* waitForMove(cpu, mm, address);
      return yield* findPmd(cpu, mm, address);
    }
    table = frameOf(entryPfn(entry));
  }
  return table + entryOffset(address, 1);
}

/** First address after `address` at which another entry of `level` begins. */
export function nextSpan(address: Vaddr, level: number): Vaddr {
  const span = LEVEL_SPAN[level];
  return (Math.floor(address / span) + 1) * span;
}

/** Ptes in one leaf table. */
export const PTRS_PER_PTE = LEVEL_ENTRIES[0];
