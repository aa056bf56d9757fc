/** Fills an empty machine: all frames free, no tasks (Linux: free_area_init, kmem_cache_init). */
import type { Cpu, Op } from '../hardware/cpu.js';
import { FRAMES, FRAMES_PER_NODE, NODES } from '../hardware/machine.js';
import { PG_reserved, Page, ZERO_PFN, pageOf } from './layout/page.js';
import { ALL_TABLES, Slab } from './layout/slab.js';
import { Zone, zoneOf } from './layout/zone.js';

/** Frames that are never handed out: the zero page. */
export const RESERVED_FRAMES = 1;

export function* bootMachine(cpu: Cpu): Op<void> {
  for (let node = 0; node < NODES; node++) {
    const zone = zoneOf(node);
    const first = Math.min(node * FRAMES_PER_NODE, FRAMES);
    const fresh = node === 0 ? RESERVED_FRAMES : first;
    const end = Math.min(first + FRAMES_PER_NODE, FRAMES);
    yield* cpu.store(zone + Zone.fresh, fresh);
    yield* cpu.store(zone + Zone.end, end);
    yield* cpu.store(zone + Zone.freePages, end - fresh);
  }
  for (const table of ALL_TABLES) {
    yield* cpu.store(table.slab + Slab.fresh, table.base);
    yield* cpu.store(table.slab + Slab.end, table.end);
  }
  yield* cpu.store(pageOf(ZERO_PFN) + Page.flags, PG_reserved);
  yield* cpu.store(pageOf(ZERO_PFN) + Page.refcount, 1);
}
