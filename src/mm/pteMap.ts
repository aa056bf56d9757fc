/**
 * Which slot a walk reaches a leaf table by, where that may be in high memory (Linux: pte_offset_map and its like; Andrea
 * Arcangeli's mail of 26 March 2002 has the names of pte-highmem). A walk finds where a table lies (leafTable); that is
 * no address by which it could be read until it is mapped here, and what is mapped must be given back.
 *
 *   who                              persistent, two-kmaps   hybrid     atomic   window
 *   a fault                          pool                    atomic     atomic   window
 *   a walk that may sleep            pool                    pool       atomic   window
 *   two tables at a time             pool                    pool       atomic   window
 *   under a spinlock, or in reclaim  atomic                  atomic     atomic   window
 *
 * A fault has its pte from the walk to the end. Where that is by a slot of the CPU it lets go of it before it sleeps and
 * maps it again afterwards.
 */
import { InvariantError } from '../base/errors.js';
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { wordPfn } from '../hardware/frames.js';
import { PAGE_WORDS, pteOffset } from '../hardware/machine.js';
import { HIGHPTE, KMAP_POOL } from './design.js';
import {
  kmapHigh,
  kmapHighTwo,
  kmapOwned,
  kunmapHigh,
  kunmapOwned,
  type TwoKmaps,
} from './kmap.js';
import { KM_PTE0, KM_PTE1, KM_PTE2 } from './layout/kmap.js';
import { leafTable } from './pgwalk.js';

/** Maps a leaf table for a walk that may sleep. @param table - any word of it @returns the same word, as it can be reached */
export function* pteOffsetMap(cpu: Cpu, table: Word): Op<Word> {
  if (!HIGHPTE) return table;
  const pfn = wordPfn(table);
  const mapped = KMAP_POOL ? yield* kmapHigh(cpu, pfn) : yield* kmapOwned(cpu, pfn, KM_PTE0);
  return mapped + (table % PAGE_WORDS);
}

export function* pteUnmap(cpu: Cpu, mapped: Word): Op<void> {
  if (!HIGHPTE) return;
  if (KMAP_POOL) yield* kunmapHigh(cpu, mapped);
  else yield* kunmapOwned(cpu, mapped);
}

/** Maps two leaf tables for a walk that may sleep before that, but not while it has both. @param one - its first word */
export function* pteOffsetMapTwo(cpu: Cpu, one: Word, other: Word): Op<TwoKmaps> {
  if (!HIGHPTE) return { one, other };
  if (KMAP_POOL) return yield* kmapHighTwo(cpu, wordPfn(one), wordPfn(other));
  return yield* pteOffsetMapTwoAtomic(cpu, one, other);
}

export function* pteUnmapTwo(cpu: Cpu, { one, other }: TwoKmaps): Op<void> {
  yield* pteUnmap(cpu, other);
  yield* pteUnmap(cpu, one);
}

/**
 * Maps a leaf table for who holds a spinlock, or works for an allocation that another walk waits for: it sleeps neither
 * here nor until it has given the table back.
 */
export function* pteOffsetMapAtomic(cpu: Cpu, table: Word): Op<Word> {
  if (!HIGHPTE) return table;
  return (yield* kmapOwned(cpu, wordPfn(table), KM_PTE2)) + (table % PAGE_WORDS);
}

export function* pteUnmapAtomic(cpu: Cpu, mapped: Word): Op<void> {
  if (HIGHPTE) yield* kunmapOwned(cpu, mapped);
}

/** The same of two tables. @param one - its first word */
export function* pteOffsetMapTwoAtomic(cpu: Cpu, one: Word, other: Word): Op<TwoKmaps> {
  if (!HIGHPTE) return { one, other };
  return {
    one: yield* kmapOwned(cpu, wordPfn(one), KM_PTE0),
    other: yield* kmapOwned(cpu, wordPfn(other), KM_PTE1),
  };
}

export function* pteUnmapTwoAtomic(cpu: Cpu, { one, other }: TwoKmaps): Op<void> {
  yield* pteUnmapAtomic(cpu, other);
  yield* pteUnmapAtomic(cpu, one);
}

/** Lets go of a fault's pte, in designs where it could not be held while the task sleeps. */
export function* pteRelease(cpu: Cpu, ptep: Word): Op<void> {
  yield* kunmapOwned(cpu, ptep);
}

/**
 * Maps a fault's pte again that was let go so. Where its table has moved to another frame meanwhile, it is found there.
 *
 * @returns the pte, as it can be reached now
 * Locks: mmap_sem all the while.
 */
export function* pteRegain(cpu: Cpu, mm: Word, address: Vaddr): Op<Word> {
  const table = yield* leafTable(cpu, mm, address);
  if (table <= 0) throw new InvariantError(`the table of a fault at ${address} has gone`);
  return (yield* kmapOwned(cpu, wordPfn(table), KM_PTE0)) + pteOffset(address);
}
