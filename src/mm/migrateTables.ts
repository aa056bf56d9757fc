/**
 * What page tables are moved for (Biro, April 2008: process migration between nodes, memory that is taken off-line,
 * memory in pieces that are too small).
 */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { pfnNode } from '../hardware/machine.js';
import { shouldFail } from './failpoint.js';
import { drainLocalPages, takePagesOfNode } from './pagealloc.js';
import { allocTable, makeTable } from './pgtable.js';
import { MOVE_LIMBO } from './design.js';
import { relocateTables, type Move, type Moved } from './relocate.js';
import { relocateTablesPosted } from './relocatePosted.js';

/** All tables, to wherever there are frames. */
export const ALL_TABLES: Move = {
  wants: () => true,
  *alloc(cpu: Cpu): Op<Pfn> {
    return yield* allocTable(cpu, 0);
  },
};

/** Moves the page tables of an address space as the design does. Locks: none. */
export function* moveTables(cpu: Cpu, mm: Word, move: Move): Op<Moved> {
  if (MOVE_LIMBO) return yield* relocateTablesPosted(cpu, mm, move);
  return yield* relocateTables(cpu, mm, move);
}

/**
 * Moves the page tables of an address space that are on one node to another.
 *
 * @returns what became of them
 */
export function* migratePageTables(cpu: Cpu, mm: Word, from: number, to: number): Op<Moved> {
  return yield* moveTables(cpu, mm, {
    wants: (pfn) => pfnNode(pfn) === from,
    *alloc(taker: Cpu): Op<Pfn> {
      return yield* allocTableOfNode(taker, to);
    },
  });
}

/** Takes an empty table of one frame from a node alone. @returns 0 where it has none free */
export function* allocTableOfNode(cpu: Cpu, node: number): Op<Pfn> {
  if (yield* shouldFail(cpu)) return 0;
  let pfn = yield* takePagesOfNode(cpu, node, 0, false);
  if (pfn === 0) {
    yield* drainLocalPages(cpu);
    pfn = yield* takePagesOfNode(cpu, node, 0, false);
  }
  if (pfn === 0) return 0;
  yield* cpu.zeroPage(frameOf(pfn));
  yield* makeTable(cpu, pfn, 0, 0);
  return pfn;
}
