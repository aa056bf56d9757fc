/**
 * Frames for whoever needs them, and what is done when there are none (Linux: __alloc_pages, mm/page_alloc.c,
 * 2.6.10): who asks reclaims, and in the end a process is killed or the answer is no.
 *
 * Locks: none but mmap_sem may be held.
 */
import type { Pfn } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { HIGHMEM, OOM_KILLER, SWAP_SLOTS } from '../hardware/machine.js';
import { FREE_AFTER_RCU, KMAP_CHECKED, PREZERO } from './design.js';
import { shouldFail } from './failpoint.js';
import { mightSleep } from './kmap.js';
import { outOfMemory } from './oomKill.js';
import { Zone } from './layout/zone.js';
import {
  drainLocalPages,
  refillZeroed,
  takeLowPage,
  takePage,
  takePages,
  takeZeroed,
} from './pagealloc.js';
import { quiescentState } from './rcu.js';
import { tryToFreePages } from './vmscan.js';

/** How often who asks reclaims and finds that others were faster. */
const MAX_TRIES = 16;
/** How often nothing can be had before there is nothing: a page that was in use once may not be the next time. */
const TRIES_IN_VAIN = SWAP_SLOTS === 0 ? 1 : 3;

/**
 * Takes a frame for the calling CPU, with NEW_PAGE_REFERENCES and contents unknown.
 *
 * @returns the frame, or 0 when memory is full
 */
export function* allocPage(cpu: Cpu): Op<Pfn> {
  if (FREE_AFTER_RCU) yield* quiescentState(cpu);
  if (KMAP_CHECKED) yield* mightSleep(cpu);
  if (yield* shouldFail(cpu)) return 0;
  const pfn = yield* takePage(cpu, false);
  return pfn !== 0 ? pfn : yield* allocSlowly(cpu, 0, Zone.freeArea);
}

/** Takes a frame filled with zeros, or 0 (Linux: alloc_zeroed_user_highpage). */
export function* allocZeroedPage(cpu: Cpu): Op<Pfn> {
  if (PREZERO && (yield* refillZeroed(cpu))) {
    return (yield* shouldFail(cpu)) ? 0 : yield* takeZeroed(cpu);
  }
  const pfn = yield* allocPage(cpu);
  if (pfn !== 0) yield* cpu.zeroPage(frameOf(pfn));
  return pfn;
}

/** The same for who can do without: takes what is free, and reclaims nothing (Linux: GFP_NOWAIT). */
export function* allocZeroedPageNowait(cpu: Cpu): Op<Pfn> {
  if (yield* shouldFail(cpu)) return 0;
  if (PREZERO && (yield* refillZeroed(cpu))) return yield* takeZeroed(cpu);
  const pfn = yield* takePage(cpu, false);
  if (pfn !== 0) yield* cpu.zeroPage(frameOf(pfn));
  return pfn;
}

/** The same where the kernel must reach it at any time (Linux: GFP_KERNEL): not in high memory. */
export function* allocZeroedLowPage(cpu: Cpu): Op<Pfn> {
  if (!HIGHMEM) return yield* allocZeroedPage(cpu);
  if (KMAP_CHECKED) yield* mightSleep(cpu);
  if (yield* shouldFail(cpu)) return 0;
  let pfn = yield* takeLowPage(cpu, false);
  if (pfn === 0) pfn = yield* allocSlowly(cpu, 0, Zone.freeAreaLow);
  if (pfn !== 0) yield* cpu.zeroPage(frameOf(pfn));
  return pfn;
}

/** Takes a block of 2^order frames, order above 0, not in high memory, filled with zeros and without references; or 0. */
export function* allocZeroedPages(cpu: Cpu, order: number): Op<Pfn> {
  if (KMAP_CHECKED) yield* mightSleep(cpu);
  if (yield* shouldFail(cpu)) return 0;
  const area = HIGHMEM ? Zone.freeAreaLow : Zone.freeArea;
  let pfn = yield* takePages(cpu, order, area, false);
  if (pfn === 0) pfn = yield* allocSlowly(cpu, order, area);
  if (pfn === 0) return 0;
  for (let frame = 0; frame < 2 ** order; frame++) yield* cpu.zeroPage(frameOf(pfn + frame));
  return pfn;
}

function* allocSlowly(cpu: Cpu, order: number, area: number): Op<Pfn> {
  let inVain = 0;
  for (let tries = 0; tries < MAX_TRIES && inVain < TRIES_IN_VAIN; tries++) {
    const freed = yield* tryToFreePages(cpu);
    // With nothing to be had, what is kept back for emergencies may go.
    const pfn = yield* takeAgain(cpu, order, area, freed === 0);
    if (pfn !== 0) return pfn;
    inVain = freed > 0 || (OOM_KILLER && (yield* outOfMemory(cpu))) ? 0 : inVain + 1;
  }
  return yield* takeAgain(cpu, order, area, true);
}

/** What was freed is on this CPU's list, where a block is looked for in vain. */
function* takeAgain(cpu: Cpu, order: number, area: number, reserve: boolean): Op<Pfn> {
  if (HIGHMEM && order === 0 && area === Zone.freeAreaLow) return yield* takeLowPage(cpu, reserve);
  if (order === 0) return yield* takePage(cpu, reserve);
  yield* drainLocalPages(cpu);
  return yield* takePages(cpu, order, area, reserve);
}
