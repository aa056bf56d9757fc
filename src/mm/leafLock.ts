/** Leaf tables that are found, locked and mapped at once, where they may move in between: see relocate.ts. */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { MOVE_MARKS } from './design.js';
import { ptesLock, ptesUnlock } from './locking.js';
import { leafTable } from './pgwalk.js';
import { pteMoved, ptepGet } from './pte.js';
import { pteOffsetMapAtomic, pteUnmapAtomic } from './pteMap.js';
import { waitForMove } from './waitForMove.js';

/** A leaf table whose lock is held. */
export interface LockedTable {
  /** Its first word; or as `leafTable` says, and nothing is held. */
  readonly table: number;
  /** The same as it can be reached. */
  readonly mapped: Word;
}

/** Finds the leaf table of an address, takes its lock and maps it, if there is one. */
export function* leafTableMapLock(cpu: Cpu, mm: Word, address: Vaddr): Op<LockedTable> {
  for (;;) {
    const table = yield* leafTable(cpu, mm, address);
    if (table <= 0) return { table, mapped: 0 };
    yield* ptesLock(cpu, mm, table);
    const mapped = yield* pteOffsetMapAtomic(cpu, table);
    if (!(yield* tableMoved(cpu, mapped))) return { table, mapped };
    yield* leafTableUnmapUnlock(cpu, mm, { table, mapped });
    yield* waitForMove(cpu, mm, address);
  }
}

export function* leafTableUnmapUnlock(
  cpu: Cpu,
  mm: Word,
  { table, mapped }: LockedTable,
): Op<void> {
  yield* pteUnmapAtomic(cpu, mapped);
  yield* ptesUnlock(cpu, mm, table);
}

/**
 * Whether a table's entries are in another one now.
 *
 * @param mapped - its first word, as it can be reached
 * Locks: those of its ptes: it moves as a whole.
 */
export function* tableMoved(cpu: Cpu, mapped: Word): Op<boolean> {
  return MOVE_MARKS && pteMoved(yield* ptepGet(cpu, mapped));
}
