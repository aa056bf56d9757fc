/**
 * Prezeroing: free memory is filled with zeros before it is asked for, so that an anonymous fault need
 * not (Lameter, "Prezeroing V2", 23 December 2004, to V7, 17 February 2005; mm/scrubd.c of those patches).
 *
 * It pays where a page's lines are not all used at once, and where another CPU does the work. Large blocks
 * are zeroed in pieces of 2^SCRUB_START frames, so that no more are out of reach at a time; the patches
 * take a block whole.
 */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { CpuLine, cpuLine } from '../hardware/memory.js';
import { countEvents } from './counters.js';
import { DEBUG_PAGEALLOC, SCRUB_START, SCRUB_STOP } from './design.js';
import { PageState } from './layout/percpu.js';
import { Zone, zoneOf } from './layout/zone.js';
import {
  addZeroedPages,
  freeBlock,
  kernelMapPages,
  kernelUnmapPages,
  rmqueueArea,
} from './pagealloc.js';

/**
 * The daemon of a node: zeroes its free memory whenever that is worth while, on a CPU that nothing else
 * runs on. (The patches let the scheduler find it one, and it stays off where the load is above scrub_load.)
 *
 * @returns frames zeroed, once it is told to stop
 */
export function* kscrubd(cpu: Cpu, node: number): Op<number> {
  const zone = zoneOf(node);
  const line = cpuLine(cpu.id);
  yield* cpu.writeOnce(zone + Zone.kscrubd, cpu.id + 1);
  let total = 0;
  for (;;) {
    const seen = yield* cpu.readOnce(line + CpuLine.wakeup);
    if ((yield* cpu.readOnce(line + CpuLine.stop)) !== 0) break;
    const frames = yield* scrubBlock(cpu, zone);
    if (frames === 0) yield* cpu.sleepOn(line + CpuLine.wakeup, seen);
    total += frames;
  }
  yield* cpu.writeOnce(zone + Zone.kscrubd, 0);
  return total;
}

/** Zeroes a node's free blocks of order SCRUB_STOP and more (Linux: scrub_pgdat). @returns frames zeroed */
export function* scrubNode(cpu: Cpu, node: number): Op<number> {
  let total = 0;
  for (;;) {
    const frames = yield* scrubBlock(cpu, zoneOf(node));
    if (frames === 0) return total;
    total += frames;
  }
}

/**
 * Zeroes one free block of a zone, from order SCRUB_START down (zero_highest_order_page). Takes none where
 * as many frames would not be left: who needs them must not find memory full meanwhile.
 *
 * @returns its frames; 0 when there is no such block
 */
export function* scrubBlock(cpu: Cpu, zone: Word): Op<number> {
  for (let order = SCRUB_START; order >= SCRUB_STOP; order--) {
    const frames = 2 ** order;
    yield* cpu.spinLock(zone + Zone.lock);
    const free = yield* cpu.load(zone + Zone.freePages);
    const pfn = free < 2 * frames ? 0 : yield* rmqueueArea(cpu, zone, order, Zone.freeArea);
    yield* cpu.spinUnlock(zone + Zone.lock);
    if (pfn === 0) continue;

    if (DEBUG_PAGEALLOC) yield* kernelMapPages(cpu, pfn, frames);
    for (let frame = pfn; frame < pfn + frames; frame++) yield* cpu.zeroPage(frameOf(frame));
    yield* kernelUnmapPages(cpu, pfn, frames);
    yield* countEvents(cpu, PageState.pgscrub, frames);

    yield* cpu.spinLock(zone + Zone.lock);
    yield* addZeroedPages(cpu, zone, frames);
    yield* freeBlock(cpu, zone, pfn, order, Zone.freeAreaZeroed);
    yield* cpu.spinUnlock(zone + Zone.lock);
    return frames;
  }
  return 0;
}
