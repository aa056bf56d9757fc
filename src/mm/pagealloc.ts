/**
 * The page allocator: per-CPU lists of free frames over a zone per node (Linux: mm/page_alloc.c,
 * 2.6.10: buffered_rmqueue, rmqueue_bulk, free_hot_cold_page).
 *
 * A CPU takes and gives single frames without a lock; sixteen at a time move to and from the
 * zones, under zone->lock. A full node spills to the next.
 */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { NODES, pfnNode } from '../hardware/machine.js';
import { countEvent } from './counters.js';
import { Page, pageOf } from './layout/page.js';
import { PCP_BATCH, PCP_HIGH, PageState, Percpu, percpuOf } from './layout/percpu.js';
import { Zone, zoneOf } from './layout/zone.js';

/**
 * References that a frame starts with: that of the pte or tree that it is for, and that of the
 * pagevec that it waits in for the LRU list.
 */
export const NEW_PAGE_REFERENCES = 2;

/**
 * Takes a frame for the calling CPU, with NEW_PAGE_REFERENCES and contents unknown.
 *
 * @returns the frame, or 0 when memory is full
 */
export function* allocPage(cpu: Cpu): Op<Pfn> {
  const pcpu = percpuOf(cpu.id);
  let count = yield* cpu.load(pcpu + Percpu.pcpCount);
  if (count === 0) {
    count = yield* rmqueueBulk(cpu, pcpu);
    if (count === 0) return 0;
  }
  const pfn = yield* cpu.load(pcpu + Percpu.pcp + count - 1);
  yield* cpu.store(pcpu + Percpu.pcpCount, count - 1);
  yield* countEvent(cpu, PageState.pgalloc);
  yield* cpu.store(pageOf(pfn) + Page.refcount, NEW_PAGE_REFERENCES);
  return pfn;
}

/** Takes a frame filled with zeros, or 0 (Linux: alloc_zeroed_user_highpage). */
export function* allocZeroedPage(cpu: Cpu): Op<Pfn> {
  const pfn = yield* allocPage(cpu);
  if (pfn !== 0) yield* cpu.zeroPage(frameOf(pfn));
  return pfn;
}

/**
 * Gives back a frame that nothing refers to any more. Its record must be clean but for the
 * reference count, which is 0.
 */
export function* freePage(cpu: Cpu, pfn: Pfn): Op<void> {
  const page = pageOf(pfn);
  yield* cpu.store(page + Page.flags, 0);
  yield* cpu.store(page + Page.mapping, 0);
  yield* cpu.store(page + Page.index, 0);
  yield* countEvent(cpu, PageState.pgfree);

  const pcpu = percpuOf(cpu.id);
  let count = yield* cpu.load(pcpu + Percpu.pcpCount);
  if (count === PCP_HIGH) count = yield* freePagesBulk(cpu, pcpu, count);
  yield* cpu.store(pcpu + Percpu.pcp + count, pfn);
  yield* cpu.store(pcpu + Percpu.pcpCount, count + 1);
}

/** Gives back a frame that was never shown to anyone, whatever its count. */
export function* freeNewPage(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* cpu.store(pageOf(pfn) + Page.refcount, 0);
  yield* freePage(cpu, pfn);
}

/**
 * Fills an empty per-CPU list from the nearest zone that has frames.
 *
 * @returns frames now on the list
 */
function* rmqueueBulk(cpu: Cpu, pcpu: Word): Op<number> {
  for (let distance = 0; distance < NODES; distance++) {
    const zone = zoneOf((cpu.node + distance) % NODES);
    yield* cpu.spinLock(zone + Zone.lock);
    const taken = yield* takeBatch(cpu, zone, pcpu);
    yield* cpu.spinUnlock(zone + Zone.lock);
    if (taken > 0) {
      yield* cpu.store(pcpu + Percpu.pcpCount, taken);
      return taken;
    }
  }
  return 0;
}

/** Moves up to PCP_BATCH frames from a locked zone to an empty list. @returns how many */
function* takeBatch(cpu: Cpu, zone: Word, pcpu: Word): Op<number> {
  const free = yield* cpu.load(zone + Zone.freePages);
  const batch = Math.min(free, PCP_BATCH);
  if (batch === 0) return 0;
  let head = yield* cpu.load(zone + Zone.freeHead);
  let fresh = yield* cpu.load(zone + Zone.fresh);
  // The stack pops from its end: fill it from there, so that frames come out in order.
  for (let slot = batch - 1; slot >= 0; slot--) {
    let pfn = head;
    if (head === 0) {
      pfn = fresh++;
    } else {
      head = yield* cpu.load(pageOf(pfn) + Page.lruNext);
      yield* cpu.store(pageOf(pfn) + Page.lruNext, 0);
    }
    yield* cpu.store(pcpu + Percpu.pcp + slot, pfn);
  }
  yield* cpu.store(zone + Zone.freeHead, head);
  yield* cpu.store(zone + Zone.fresh, fresh);
  yield* cpu.store(zone + Zone.freePages, free - batch);
  return batch;
}

/** Moves PCP_BATCH frames from a full list to the zones they belong to. @returns frames left */
function* freePagesBulk(cpu: Cpu, pcpu: Word, count: number): Op<number> {
  let locked: Word = 0;
  const left = count - PCP_BATCH;
  for (let slot = count - 1; slot >= left; slot--) {
    const pfn = yield* cpu.load(pcpu + Percpu.pcp + slot);
    const zone = zoneOf(pfnNode(pfn));
    if (zone !== locked) {
      if (locked !== 0) yield* cpu.spinUnlock(locked + Zone.lock);
      yield* cpu.spinLock(zone + Zone.lock);
      locked = zone;
    }
    const head = yield* cpu.load(zone + Zone.freeHead);
    yield* cpu.store(pageOf(pfn) + Page.lruNext, head);
    yield* cpu.store(zone + Zone.freeHead, pfn);
    const free = yield* cpu.load(zone + Zone.freePages);
    yield* cpu.store(zone + Zone.freePages, free + 1);
  }
  yield* cpu.spinUnlock(locked + Zone.lock);
  yield* cpu.store(pcpu + Percpu.pcpCount, left);
  return left;
}
