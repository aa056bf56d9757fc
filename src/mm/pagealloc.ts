/**
 * The page allocator: per-CPU lists of free frames over a zone per node (Linux: mm/page_alloc.c,
 * 2.6.10: buffered_rmqueue, rmqueue_bulk, free_hot_cold_page).
 *
 * A CPU takes and gives single frames without a lock; sixteen at a time move to and from the
 * zones, under zone->lock. A full node spills to the next. A zone keeps its free frames in blocks of
 * 2^order, the buddy system: a block that is given back joins its buddy if that is free too.
 *
 * With prezeroing (Lameter, "Prezeroing V2", 23 December 2004, to V7, 17 February 2005) blocks that hold
 * zeros have lists of their own, in the zone and on each CPU; scrubd.ts moves blocks to them.
 * With DEBUG_PAGEALLOC a free frame says so in its record, and engines look before they touch a frame.
 * Where there is high memory, blocks of low memory have lists of their own: what the kernel must reach at any time comes
 * from there, all else as far as high memory lasts (Linux: ZONE_NORMAL, and the zonelist of GFP_HIGHUSER).
 */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { HINTING } from '../hardware/hostStates.js';
import {
  HIGHMEM,
  HUGE_ORDER,
  HUGE_PAGES,
  LOW_FRAMES,
  NODES,
  SWAP_SLOTS,
  pfnNode,
} from '../hardware/machine.js';
import { CpuLine, cpuLine } from '../hardware/memory.js';
import { countEvent, countEvents } from './counters.js';
import {
  DEBUG_PAGEALLOC,
  GUESSED_REFERENCES,
  KMAP_CHECKED,
  PREZERO,
  SCRUB_START,
  SCRUB_STOP,
} from './design.js';
import { shouldFail } from './failpoint.js';
import { mightSleep } from './kmap.js';
import { PG_buddy, PG_head, PG_tail, PG_zeroed, Page, pageOf, unmappedBy } from './layout/page.js';
import { PCP_BATCH, PCP_HIGH, PageState, Percpu, percpuOf } from './layout/percpu.js';
import { MAX_ORDER, Zone, zoneOf } from './layout/zone.js';
import { pageSetStable, pageSetUnused } from './pageStates.js';

/**
 * References that a frame starts with: that of the pte or tree that it is for, and that of the
 * pagevec that it waits in for the LRU list.
 */
export const NEW_PAGE_REFERENCES = 2;
/** References of a page that comes into the page cache or the swap cache: the cache's, the pagevec's, the caller's. */
export const CACHE_PAGE_REFERENCES = NEW_PAGE_REFERENCES + 1;

/**
 * Takes a frame for the calling CPU, with NEW_PAGE_REFERENCES and contents unknown (Linux: buffered_rmqueue).
 *
 * @param reserve - whether what the zones keep back may be taken too
 * @returns the frame, or 0 when none is free
 */
export function* takePage(cpu: Cpu, reserve: boolean): Op<Pfn> {
  const pcpu = percpuOf(cpu.id);
  let count = yield* cpu.load(pcpu + Percpu.pcpCount);
  if (count === 0) {
    count = yield* rmqueueBulk(cpu, pcpu, reserve);
    if (count === 0) return PREZERO ? yield* takeZeroed(cpu) : 0;
  }
  const pfn = yield* cpu.load(pcpu + Percpu.pcp + count - 1);
  yield* cpu.store(pcpu + Percpu.pcpCount, count - 1);
  yield* prepNewPage(cpu, pfn);
  return pfn;
}

/** The same of a frame of low memory, where there is high memory. */
export function* takeLowPage(cpu: Cpu, reserve: boolean): Op<Pfn> {
  const pcpu = percpuOf(cpu.id);
  let count = yield* cpu.load(pcpu + Percpu.pcpLowCount);
  if (count === 0) count = yield* refillLow(cpu, pcpu, reserve);
  if (count === 0) return 0;
  const pfn = yield* cpu.load(pcpu + Percpu.pcpLow + count - 1);
  yield* cpu.store(pcpu + Percpu.pcpLowCount, count - 1);
  yield* prepNewPage(cpu, pfn);
  return pfn;
}

/** Fills the CPU's empty list of low memory from the nearest zone that has some. @returns frames now on it */
function* refillLow(cpu: Cpu, pcpu: Word, reserve: boolean): Op<number> {
  for (let distance = 0; distance < NODES; distance++) {
    const zone = zoneOf((cpu.node + distance) % NODES);
    if ((yield* cpu.load(zone + Zone.start)) >= LOW_FRAMES) continue;
    yield* cpu.spinLock(zone + Zone.lock);
    const spare = reserve ? PCP_BATCH : yield* spareFrames(cpu, zone);
    const batch = Math.min(spare, PCP_BATCH);
    let taken = 0;
    while (taken < batch) {
      const pfn = yield* rmqueueArea(cpu, zone, 0, Zone.freeAreaLow);
      if (pfn === 0) break;
      yield* cpu.store(pcpu + Percpu.pcpLow + taken, pfn);
      taken++;
    }
    yield* cpu.spinUnlock(zone + Zone.lock);
    if (SWAP_SLOTS > 0) yield* wakeupKswapd(cpu, zone);
    if (taken === 0) continue;
    yield* cpu.store(pcpu + Percpu.pcpLowCount, taken);
    return taken;
  }
  return 0;
}

/** Linux: prep_new_page. */
function* prepNewPage(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* countEvent(cpu, PageState.pgalloc);
  if (DEBUG_PAGEALLOC) yield* kernelMapPages(cpu, pfn, 1);
  if (HINTING) yield* pageSetStable(cpu, pfn);
  yield* cpu.writeOnce(pageOf(pfn) + Page.refcount, NEW_PAGE_REFERENCES);
}

/**
 * Sees to it that the calling CPU has frames of zeros at hand. One that has to be zeroed on the
 * CPU's own node is nearer than one of zeros on another.
 *
 * @returns whether there are any
 */
export function* refillZeroed(cpu: Cpu): Op<boolean> {
  const pcpu = percpuOf(cpu.id);
  if ((yield* cpu.load(pcpu + Percpu.pcpZeroedCount)) > 0) return true;
  for (let distance = 0; distance < NODES; distance++) {
    const zone = zoneOf((cpu.node + distance) % NODES);
    if ((yield* cpu.readOnce(zone + Zone.zeroedPages)) > 0) {
      yield* cpu.spinLock(zone + Zone.lock);
      const zeroed = yield* cpu.load(zone + Zone.zeroedPages);
      const spare = yield* spareFrames(cpu, zone);
      const batch = Math.max(0, Math.min(zeroed, spare, PCP_BATCH));
      yield* takeBatch(cpu, zone, pcpu + Percpu.pcpZeroed, batch, Zone.freeAreaZeroed);
      yield* cpu.spinUnlock(zone + Zone.lock);
      yield* cpu.store(pcpu + Percpu.pcpZeroedCount, batch);
      if (batch > 0) return true;
    }
    if (distance === NODES - 1 || (yield* cpu.readOnce(zone + Zone.freePages)) > 0) return false;
  }
  return false;
}

/** Takes a frame of zeros that the calling CPU has at hand. @returns 0 when it has none */
export function* takeZeroed(cpu: Cpu): Op<Pfn> {
  const pcpu = percpuOf(cpu.id);
  const count = yield* cpu.load(pcpu + Percpu.pcpZeroedCount);
  if (count === 0) return 0;
  const pfn = yield* cpu.load(pcpu + Percpu.pcpZeroed + count - 1);
  yield* cpu.store(pcpu + Percpu.pcpZeroedCount, count - 1);
  yield* countEvent(cpu, PageState.pgalloc_zeroed);
  yield* prepNewPage(cpu, pfn);
  return pfn;
}

/**
 * Gives back a frame that nothing refers to any more. Its record must be clean but for the
 * reference count, which is 0.
 */
export function* freePage(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* clearPage(cpu, pfn);
  yield* countEvent(cpu, PageState.pgfree);
  const pcpu = percpuOf(cpu.id);
  const list = pcpu + (HIGHMEM && pfn < LOW_FRAMES ? Percpu.pcpLowCount : Percpu.pcpCount);
  let count = yield* cpu.load(list);
  if (count === PCP_HIGH) count = yield* freePagesBulk(cpu, list, count);
  yield* cpu.store(list + 1 + count, pfn);
  yield* cpu.store(list, count + 1);
}

/** Makes the references to a frame that its owner alone knows `to`; they are `from`. */
export function* setNewReferences(cpu: Cpu, pfn: Pfn, from: number, to: number): Op<void> {
  if (GUESSED_REFERENCES) yield* cpu.add(pageOf(pfn) + Page.refcount, to - from);
  else yield* cpu.writeOnce(pageOf(pfn) + Page.refcount, to);
}

/** Gives back a frame that was never shown to anyone. @param references - that its owner has to it */
export function* freeNewPage(
  cpu: Cpu,
  pfn: Pfn,
  references: number = NEW_PAGE_REFERENCES,
): Op<void> {
  if (yield* dropNewReferences(cpu, pfn, references)) yield* freePage(cpu, pfn);
}

/** @returns whether there are no others: who has taken one by guess will free the frame */
export function* dropNewReferences(cpu: Cpu, pfn: Pfn, references: number): Op<boolean> {
  if (GUESSED_REFERENCES) {
    return (yield* cpu.add(pageOf(pfn) + Page.refcount, -references)) === references;
  }
  yield* cpu.writeOnce(pageOf(pfn) + Page.refcount, 0);
  return true;
}

/**
 * Fills an empty per-CPU list from the nearest zone that has frames.
 *
 * @returns frames now on the list
 */
function* rmqueueBulk(cpu: Cpu, pcpu: Word, reserve: boolean): Op<number> {
  for (let distance = 0; distance < NODES; distance++) {
    const zone = zoneOf((cpu.node + distance) % NODES);
    yield* cpu.spinLock(zone + Zone.lock);
    const spare = reserve ? PCP_BATCH : yield* spareFrames(cpu, zone);
    const free = yield* cpu.load(zone + Zone.freePages);
    const taken = Math.max(0, Math.min(free, spare, PCP_BATCH));
    yield* takeBatch(cpu, zone, pcpu + Percpu.pcp, taken, Zone.freeArea);
    yield* cpu.spinUnlock(zone + Zone.lock);
    if (SWAP_SLOTS > 0) yield* wakeupKswapd(cpu, zone);
    if (taken > 0) {
      yield* cpu.store(pcpu + Percpu.pcpCount, taken);
      return taken;
    }
  }
  return 0;
}

/** Free frames of a locked zone beyond those that it keeps back. */
function* spareFrames(cpu: Cpu, zone: Word): Op<number> {
  const free = yield* cpu.load(zone + Zone.freePages);
  return free - (yield* cpu.load(zone + Zone.pagesMin));
}

/** Wakes the node's kswapd, if it has one and too little is free (Linux: wakeup_kswapd). */
function* wakeupKswapd(cpu: Cpu, zone: Word): Op<void> {
  const low = yield* cpu.load(zone + Zone.pagesLow);
  if ((yield* cpu.readOnce(zone + Zone.freePages)) >= low) return;
  const kswapd = yield* cpu.readOnce(zone + Zone.kswapdCpu);
  if (kswapd !== 0) yield* cpu.wakeUp(cpuLine(kswapd - 1) + CpuLine.wakeup);
}

/** Moves so many frames, which it has, from a locked zone to an empty stack. @param area - see rmqueue */
function* takeBatch(cpu: Cpu, zone: Word, stack: Word, batch: number, area: number): Op<void> {
  // The stack pops from its end: fill it from there, so that frames come out in order.
  for (let slot = batch - 1; slot >= 0; slot--) {
    const pfn = yield* rmqueue(cpu, zone, 0, area);
    yield* cpu.store(stack + slot, pfn);
  }
}

/**
 * Moves PCP_BATCH frames from a full list to the zones they belong to.
 *
 * @param list - of the CPU: its count, with the frames behind it
 * @returns frames left
 */
function* freePagesBulk(cpu: Cpu, list: Word, count: number): Op<number> {
  let locked: Word = 0;
  const left = count - PCP_BATCH;
  for (let slot = count - 1; slot >= left; slot--) {
    const pfn = yield* cpu.load(list + 1 + slot);
    const zone = zoneOf(pfnNode(pfn));
    if (zone !== locked) {
      if (locked !== 0) yield* cpu.spinUnlock(locked + Zone.lock);
      yield* cpu.spinLock(zone + Zone.lock);
      locked = zone;
    }
    yield* freeBlock(cpu, zone, pfn, 0, Zone.freeArea);
  }
  yield* cpu.spinUnlock(locked + Zone.lock);
  yield* cpu.store(list, left);
  return left;
}

/**
 * Takes the 2^HUGE_ORDER frames of a huge page, as one: the first frame has NEW_PAGE_REFERENCES, for
 * all. Contents are zeros.
 *
 * @returns the first frame, or 0 when no block is large enough
 */
export function* allocHugePage(cpu: Cpu): Op<Pfn> {
  if (KMAP_CHECKED) yield* mightSleep(cpu);
  if (yield* shouldFail(cpu)) return 0;
  for (let distance = 0; distance < NODES; distance++) {
    const zone = zoneOf((cpu.node + distance) % NODES);
    yield* cpu.spinLock(zone + Zone.lock);
    const enough = (yield* spareFrames(cpu, zone)) >= HUGE_PAGES;
    const zeroed =
      PREZERO && enough ? yield* rmqueueArea(cpu, zone, HUGE_ORDER, Zone.freeAreaZeroed) : 0;
    let pfn = zeroed;
    if (enough && pfn === 0) pfn = yield* rmqueueArea(cpu, zone, HUGE_ORDER, Zone.freeArea);
    yield* cpu.spinUnlock(zone + Zone.lock);
    if (SWAP_SLOTS > 0) yield* wakeupKswapd(cpu, zone);
    if (pfn === 0) continue;
    if (DEBUG_PAGEALLOC) yield* kernelMapPages(cpu, pfn, HUGE_PAGES);
    for (let frame = 0; frame < HUGE_PAGES; frame++) {
      if (HINTING) yield* pageSetStable(cpu, pfn + frame);
      yield* cpu.writeOnce(pageOf(pfn + frame) + Page.flags, frame === 0 ? PG_head : PG_tail);
      if (zeroed === 0) yield* cpu.zeroPage(frameOf(pfn + frame));
    }
    yield* cpu.writeOnce(pageOf(pfn) + Page.refcount, NEW_PAGE_REFERENCES);
    yield* countEvents(cpu, PageState.pgalloc, HUGE_PAGES);
    return pfn;
  }
  return 0;
}

/**
 * Takes a block of 2^order frames for the calling CPU, past its list (Linux: __rmqueue with an order above 0).
 * Their contents are unknown and their reference counts 0.
 *
 * @param area - Zone.freeArea, or Zone.freeAreaLow for low memory only
 * @param reserve - whether what the zones keep back may be taken too
 * @returns the first frame, or 0 when no block is large enough
 */
export function* takePages(cpu: Cpu, order: number, area: number, reserve: boolean): Op<Pfn> {
  for (let distance = 0; distance < NODES; distance++) {
    const node = (cpu.node + distance) % NODES;
    const pfn = yield* takePagesOfNode(cpu, node, order, area, reserve);
    if (pfn !== 0) return pfn;
  }
  return 0;
}

/** The same of one node alone. */
export function* takePagesOfNode(
  cpu: Cpu,
  node: number,
  order: number,
  area: number,
  reserve: boolean,
): Op<Pfn> {
  const zone = zoneOf(node);
  yield* cpu.spinLock(zone + Zone.lock);
  const spare = reserve ? 2 ** order : yield* spareFrames(cpu, zone);
  const pfn = spare >= 2 ** order ? yield* rmqueue(cpu, zone, order, area) : 0;
  yield* cpu.spinUnlock(zone + Zone.lock);
  if (pfn === 0) return 0;
  if (DEBUG_PAGEALLOC) yield* kernelMapPages(cpu, pfn, 2 ** order);
  if (HINTING) {
    for (let frame = 0; frame < 2 ** order; frame++) yield* pageSetStable(cpu, pfn + frame);
  }
  yield* countEvents(cpu, PageState.pgalloc, 2 ** order);
  return pfn;
}

/** Gives back a block that nothing refers to any more, whatever its counts. */
export function* freeNewPages(cpu: Cpu, pfn: Pfn, order: number): Op<void> {
  for (let frame = 0; frame < 2 ** order; frame++) {
    yield* cpu.writeOnce(pageOf(pfn + frame) + Page.refcount, 0);
    yield* clearPage(cpu, pfn + frame);
  }
  yield* countEvents(cpu, PageState.pgfree, 2 ** order);
  yield* freeToZone(cpu, pfn, order);
}

function* freeToZone(cpu: Cpu, pfn: Pfn, order: number): Op<void> {
  const zone = zoneOf(pfnNode(pfn));
  yield* cpu.spinLock(zone + Zone.lock);
  yield* freeBlock(cpu, zone, pfn, order, Zone.freeArea);
  yield* cpu.spinUnlock(zone + Zone.lock);
}

/** Gives the frames of this CPU's lists back to their zones, where they may make up blocks (Linux: drain_local_pages). */
export function* drainLocalPages(cpu: Cpu): Op<void> {
  const pcpu = percpuOf(cpu.id);
  yield* drainList(cpu, pcpu + Percpu.pcpCount);
  if (HIGHMEM) yield* drainList(cpu, pcpu + Percpu.pcpLowCount);
}

function* drainList(cpu: Cpu, list: Word): Op<void> {
  const count = yield* cpu.load(list);
  for (let slot = 0; slot < count; slot++) {
    const pfn = yield* cpu.load(list + 1 + slot);
    yield* freeToZone(cpu, pfn, 0);
  }
  yield* cpu.store(list, 0);
}

/** Gives back a huge page that nothing refers to any more. */
export function* freeHugePage(cpu: Cpu, pfn: Pfn): Op<void> {
  for (let frame = 0; frame < HUGE_PAGES; frame++) yield* clearPage(cpu, pfn + frame);
  yield* countEvents(cpu, PageState.pgfree, HUGE_PAGES);
  yield* freeToZone(cpu, pfn, HUGE_ORDER);
}

function* clearPage(cpu: Cpu, pfn: Pfn): Op<void> {
  const page = pageOf(pfn);
  yield* cpu.writeOnce(page + Page.flags, 0);
  yield* cpu.writeOnce(page + Page.mapping, DEBUG_PAGEALLOC ? unmappedBy(cpu.id) : 0);
  yield* cpu.store(page + Page.index, 0);
  if (HINTING) yield* pageSetUnused(cpu, pfn);
}

/** Maps frames that are handed out into the kernel's own space (Linux: kernel_map_pages, enable = 1). */
export function* kernelMapPages(cpu: Cpu, pfn: Pfn, pages: number): Op<void> {
  for (let frame = pfn; frame < pfn + pages; frame++) {
    yield* cpu.writeOnce(pageOf(frame) + Page.mapping, 0);
  }
}

/** Unmaps frames that become free, where the design has it (Linux: kernel_map_pages, enable = 0). */
export function* kernelUnmapPages(cpu: Cpu, pfn: Pfn, pages: number): Op<void> {
  if (!DEBUG_PAGEALLOC) return;
  for (let frame = pfn; frame < pfn + pages; frame++) {
    yield* cpu.writeOnce(pageOf(frame) + Page.mapping, unmappedBy(cpu.id));
  }
}

/**
 * Takes a block from a locked zone: of zeros, or of low memory, only where the caller asks for them, or where nothing
 * else is left.
 *
 * @param area - Zone.freeArea, Zone.freeAreaLow, or Zone.freeAreaZeroed for a block that holds zeros
 * @returns its first frame, or 0
 */
function* rmqueue(cpu: Cpu, zone: Word, order: number, area: number): Op<Pfn> {
  const pfn = yield* rmqueueArea(cpu, zone, order, area);
  if (HIGHMEM && pfn === 0 && area === Zone.freeArea) {
    return yield* rmqueueArea(cpu, zone, order, Zone.freeAreaLow);
  }
  if (!PREZERO || pfn !== 0 || area === Zone.freeAreaZeroed) return pfn;
  return yield* rmqueueArea(cpu, zone, order, Zone.freeAreaZeroed);
}

/**
 * Takes a block from lists of a locked zone, out of the smallest that is large enough; what is left
 * over goes back, half by half (Linux: __rmqueue and expand).
 */
export function* rmqueueArea(cpu: Cpu, zone: Word, order: number, area: number): Op<Pfn> {
  for (let size = order; size < MAX_ORDER; size++) {
    const pfn = yield* cpu.load(zone + area + size);
    if (pfn === 0) continue;
    yield* delFreeBlock(cpu, zone, pfn, size, area);
    while (size > order) {
      size--;
      yield* addFreeBlock(cpu, zone, pfn + 2 ** size, size, area);
    }
    const free = yield* cpu.load(zone + Zone.freePages);
    yield* cpu.writeOnce(zone + Zone.freePages, free - 2 ** order);
    if (PREZERO && area === Zone.freeAreaZeroed) yield* addZeroedPages(cpu, zone, -(2 ** order));
    return pfn;
  }
  return 0;
}

/**
 * Gives a block to a locked zone, joined with its buddies as far as they are free (__free_one_page).
 * Blocks that are zeroed and blocks that are not join only below scrub_stop, where kscrubd would not
 * bring them together: what was zeroed there counts as used.
 *
 * @param given - Zone.freeArea, or Zone.freeAreaZeroed where it holds zeros
 */
export function* freeBlock(cpu: Cpu, zone: Word, pfn: Pfn, order: number, given: number): Op<void> {
  const area = HIGHMEM ? areaOf(pfn) : given;
  const free = yield* cpu.load(zone + Zone.freePages);
  yield* cpu.writeOnce(zone + Zone.freePages, free + 2 ** order);
  const start = yield* cpu.load(zone + Zone.start);
  const end = yield* cpu.load(zone + Zone.end);
  while (order < MAX_ORDER - 1) {
    const buddy = pfn ^ (2 ** order);
    if (buddy < start || buddy + 2 ** order > end) break;
    if (HIGHMEM && areaOf(buddy) !== area) break;
    const flags = yield* cpu.readOnce(pageOf(buddy) + Page.flags);
    if ((flags & PG_buddy) === 0) break;
    if ((yield* cpu.load(pageOf(buddy) + Page.index)) !== order) break;
    const buddyArea = PREZERO ? zeroedArea(flags) : area;
    if (PREZERO && buddyArea !== area) {
      if (order >= SCRUB_STOP) break;
      yield* addZeroedPages(cpu, zone, -(2 ** order));
    }
    yield* delFreeBlock(cpu, zone, buddy, order, buddyArea);
    pfn &= ~(2 ** order);
    order++;
  }
  yield* addFreeBlock(cpu, zone, pfn, order, area);
  if (PREZERO && area === Zone.freeArea && order >= SCRUB_START) yield* wakeupKscrubd(cpu, zone);
}

/** The lists that a free block is on where there is high memory; none reaches from the one into the other. */
function areaOf(pfn: Pfn): number {
  return pfn < LOW_FRAMES ? Zone.freeAreaLow : Zone.freeArea;
}

/** The same with prezeroing. @param flags - of its first frame */
function zeroedArea(flags: number): number {
  return (flags & PG_zeroed) !== 0 ? Zone.freeAreaZeroed : Zone.freeArea;
}

function* wakeupKscrubd(cpu: Cpu, zone: Word): Op<void> {
  const kscrubd = yield* cpu.readOnce(zone + Zone.kscrubd);
  if (kscrubd !== 0) yield* cpu.wakeUp(cpuLine(kscrubd - 1) + CpuLine.wakeup);
}

/** Adds to the count of frames in blocks of zeros of a locked zone. */
export function* addZeroedPages(cpu: Cpu, zone: Word, pages: number): Op<void> {
  const zeroed = yield* cpu.load(zone + Zone.zeroedPages);
  yield* cpu.writeOnce(zone + Zone.zeroedPages, zeroed + pages);
}

function* addFreeBlock(cpu: Cpu, zone: Word, pfn: Pfn, order: number, area: number): Op<void> {
  const page = pageOf(pfn);
  const head = yield* cpu.load(zone + area + order);
  const flags = PREZERO && area === Zone.freeAreaZeroed ? PG_buddy | PG_zeroed : PG_buddy;
  yield* cpu.writeOnce(page + Page.flags, flags);
  yield* cpu.store(page + Page.index, order);
  yield* cpu.store(page + Page.lruNext, head);
  if (head !== 0) yield* cpu.store(pageOf(head) + Page.lruPrev, pfn);
  yield* cpu.store(zone + area + order, pfn);
}

function* delFreeBlock(cpu: Cpu, zone: Word, pfn: Pfn, order: number, area: number): Op<void> {
  const page = pageOf(pfn);
  const next = yield* cpu.load(page + Page.lruNext);
  const prev = yield* cpu.load(page + Page.lruPrev);
  if (next !== 0) yield* cpu.store(pageOf(next) + Page.lruPrev, prev);
  if (prev !== 0) yield* cpu.store(pageOf(prev) + Page.lruNext, next);
  else yield* cpu.store(zone + area + order, next);
  yield* cpu.writeOnce(page + Page.flags, 0);
  yield* cpu.store(page + Page.index, 0);
  yield* cpu.store(page + Page.lruNext, 0);
  yield* cpu.store(page + Page.lruPrev, 0);
}
