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
import { RELOCATION } from './design.js';
import { Mm } from './layout/mm.js';
import { pmdHuge, pteMoved, tableGet } from './pte.js';
import { waitForMove } from './waitForMove.js';

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
