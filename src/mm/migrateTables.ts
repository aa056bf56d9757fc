/** Page tables that move as the design has it, and those of a process that goes to another node. */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { pfnNode } from '../hardware/machine.js';
import { MOVE_LIMBO } from './design.js';
import { relocateTables, type Move, type Moved } from './relocate.js';
import { relocateTablesPosted } from './relocatePosted.js';

/** All tables, to wherever there are frames. */
export const ALL_TABLES: Move = { wants: () => true, source: {} };

/** Moves the page tables of an address space. Locks: none. @returns what became of them */
export function* moveTables(cpu: Cpu, mm: Word, move: Move): Op<Moved> {
  if (MOVE_LIMBO) return yield* relocateTablesPosted(cpu, mm, move);
  return yield* relocateTables(cpu, mm, move);
}

/** Moves those that are on one node to another. */
export function* migratePageTables(cpu: Cpu, mm: Word, from: number, to: number): Op<Moved> {
  return yield* moveTables(cpu, mm, {
    wants: (pfn) => pfnNode(pfn) === from,
    source: { node: to },
  });
}
