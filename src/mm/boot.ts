/** Fills an empty machine: all frames free, no tasks (Linux: free_area_init, kmem_cache_init). */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { HINTING } from '../hardware/hostStates.js';
import {
  FRAMES,
  FRAMES_PER_NODE,
  LOW_FRAMES,
  NODES,
  PAGE_SIZE,
  SWAP_SLOTS,
} from '../hardware/machine.js';
import { PG_reserved, Page, ZERO_PFN, pageOf } from './layout/page.js';
import { ALL_TABLES, Slab } from './layout/slab.js';
import { SWAP, Swap } from './layout/swap.js';
import { MAX_ORDER, Zone, zoneOf } from './layout/zone.js';
import { freeBlock, kernelUnmapPages } from './pagealloc.js';
import { pageSetStable } from './pageStates.js';

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
    yield* setWatermarks(cpu, zone, end - start);
    const low = Math.max(start, Math.min(LOW_FRAMES, end));
    yield* freeAll(cpu, zone, low, end);
    yield* freeAll(cpu, zone, start, low);
  }
  yield* cpu.writeOnce(SWAP + Swap.freeSlots, SWAP_SLOTS);
  for (const table of ALL_TABLES) {
    yield* cpu.writeOnce(table.slab + Slab.fresh, table.base);
    yield* cpu.store(table.slab + Slab.end, table.end);
  }
  yield* cpu.writeOnce(pageOf(ZERO_PFN) + Page.flags, PG_reserved);
  yield* cpu.writeOnce(pageOf(ZERO_PFN) + Page.refcount, 1);
  if (HINTING) yield* pageSetStable(cpu, ZERO_PFN);
}

/**
 * What a zone keeps free grows with the root of its size (Linux: init_per_zone_pages_min; in kilobytes, the root of
 * 16 times the size). Without swap nothing is kept back: an allocation that fails is then the caller's to handle.
 */
function* setWatermarks(cpu: Cpu, zone: Word, pages: number): Op<void> {
  if (SWAP_SLOTS === 0) return;
  const kilobytes = pages * (PAGE_SIZE / 1024);
  const keptKilobytes = Math.floor(Math.sqrt(kilobytes * 16));
  const min = Math.max(1, Math.min(keptKilobytes / (PAGE_SIZE / 1024), pages / 32) | 0);
  yield* cpu.store(zone + Zone.pagesMin, min);
  yield* cpu.store(zone + Zone.pagesLow, 2 * min);
  yield* cpu.store(zone + Zone.pagesHigh, 3 * min);
}

/** Frees a run of frames of a zone in the largest blocks that fit, the last first, so that the first is on top. */
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
