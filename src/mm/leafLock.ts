/** Leaf tables that are found and locked at once, where they may move in between: see relocate.ts. */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { MOVE_MARKS } from './design.js';
import { ptesLock, ptesUnlock } from './locking.js';
import { leafTable, waitForMove } from './pgwalk.js';
import { pteMoved, ptepGet } from './pte.js';

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
export function* tableMoved(cpu: Cpu, table: Word): Op<boolean> {
  return pteMoved(yield* ptepGet(cpu, table));
}
