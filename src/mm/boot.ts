/** Fills an empty machine: all frames free, no tasks (Linux: free_area_init, kmem_cache_init). */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { FRAMES, FRAMES_PER_NODE, NODES } from '../hardware/machine.js';
import { PG_reserved, Page, ZERO_PFN, pageOf } from './layout/page.js';
import { ALL_TABLES, Slab } from './layout/slab.js';
import { MAX_ORDER, Zone, zoneOf } from './layout/zone.js';
import { freeBlock, kernelUnmapPages } from './pagealloc.js';

/** Frames that are never handed out: the zero page. */
export const RESERVED_FRAMES = 1;

export function* bootMachine(cpu: Cpu): Op<void> {
  for (let node = 0; node < NODES; node++) {
    const zone = zoneOf(node);
    const first = Math.min(node * FRAMES_PER_NODE, FRAMES);
    const start = node === 0 ? RESERVED_FRAMES : first;
    const end = Math.min(first + FRAMES_PER_NODE, FRAMES);
    yield* cpu.store(zone + Zone.start, start);
    yield* cpu.store(zone + Zone.end, end);
    yield* freeAll(cpu, zone, start, end);
  }
  for (const table of ALL_TABLES) {
    yield* cpu.store(table.slab + Slab.fresh, table.base);
    yield* cpu.store(table.slab + Slab.end, table.end);
  }
  yield* cpu.store(pageOf(ZERO_PFN) + Page.flags, PG_reserved);
  yield* cpu.store(pageOf(ZERO_PFN) + Page.refcount, 1);
}

/** Frees all frames of a zone in the largest blocks that fit, the last first, so that the first is on top. */
function* freeAll(cpu: Cpu, zone: Word, start: Pfn, end: Pfn): Op<void> {
  let rest = end;
  while (rest > start) {
    let order = 0;
    while (
      order < MAX_ORDER - 1 &&
      rest % 2 ** (order + 1) === 0 &&
      rest - 2 ** (order + 1) >= start
    ) {
      order++;
    }
    rest -= 2 ** order;
    yield* kernelUnmapPages(cpu, rest, 2 ** order);
    yield* freeBlock(cpu, zone, rest, order, Zone.freeArea);
  }
}
