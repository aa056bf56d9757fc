/**
 * The list of pages in use, by zone, and the end of a page's life (Linux: mm/swap.c, 2.6.10:
 * lru_cache_add_active, put_page, __page_cache_release).
 *
 * New pages wait in the CPU's pagevec, which holds a reference to each, and reach their zone's
 * list fourteen at a time.
 */
import { InvariantError } from '../base/errors.js';
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { pfnNode } from '../hardware/machine.js';
import { PG_head, Page, pageOf } from './layout/page.js';
import { PAGEVEC_SIZE, Percpu, percpuOf } from './layout/percpu.js';
import { Zone, zoneOf } from './layout/zone.js';
import { freeHugePage, freePage } from './pagealloc.js';
import { compoundHead } from './rmap.js';

/**
 * Puts a new page on its zone's active list, some time soon. The reference that the pagevec holds
 * till then is the caller's to give: a new page starts with it, which saves an atomic operation.
 */
export function* lruCacheAddActive(cpu: Cpu, pfn: Pfn): Op<void> {
  const pcpu = percpuOf(cpu.id);
  const count = yield* cpu.load(pcpu + Percpu.lruAddCount);
  yield* cpu.store(pcpu + Percpu.lruAdd + count, pfn);
  yield* cpu.store(pcpu + Percpu.lruAddCount, count + 1);
  if (count + 1 === PAGEVEC_SIZE) yield* lruAddDrain(cpu);
}

/** Empties the CPU's pagevec on to the active lists (Linux: lru_add_drain). */
export function* lruAddDrain(cpu: Cpu): Op<void> {
  const pcpu = percpuOf(cpu.id);
  const count = yield* cpu.load(pcpu + Percpu.lruAddCount);
  let locked: Word = 0;
  for (let slot = 0; slot < count; slot++) {
    const pfn = yield* cpu.load(pcpu + Percpu.lruAdd + slot);
    const zone = zoneOf(pfnNode(pfn));
    if (zone !== locked) {
      if (locked !== 0) yield* cpu.spinUnlock(locked + Zone.lruLock);
      yield* cpu.spinLock(zone + Zone.lruLock);
      locked = zone;
    }
    yield* addToActiveList(cpu, zone, pfn);
  }
  if (locked !== 0) yield* cpu.spinUnlock(locked + Zone.lruLock);
  yield* cpu.store(pcpu + Percpu.lruAddCount, 0);
  for (let slot = 0; slot < count; slot++) {
    const pfn = yield* cpu.load(pcpu + Percpu.lruAdd + slot);
    yield* putPage(cpu, pfn);
  }
}

/** Drops a reference; the last one frees the frame (Linux: put_page, page_cache_release). */
export function* putPage(cpu: Cpu, subpage: Pfn): Op<void> {
  const pfn = yield* compoundHead(cpu, subpage);
  const page = pageOf(pfn);
  const before = yield* cpu.add(page + Page.refcount, -1);
  if (before > 1) return;
  if (before < 1) throw new InvariantError(`page.refcount: frame ${pfn} put at count ${before}`);
  // Whoever put it on the list held a reference: nobody else can be doing so now.
  if ((yield* cpu.load(page + Page.onLru)) !== 0) yield* delPageFromLru(cpu, pfn);
  const flags = yield* cpu.load(page + Page.flags);
  if ((flags & PG_head) !== 0) yield* freeHugePage(cpu, pfn);
  else yield* freePage(cpu, pfn);
}

function* addToActiveList(cpu: Cpu, zone: Word, pfn: Pfn): Op<void> {
  const page = pageOf(pfn);
  const head = yield* cpu.load(zone + Zone.activeHead);
  yield* cpu.store(page + Page.lruNext, head);
  yield* cpu.store(page + Page.lruPrev, 0);
  if (head === 0) yield* cpu.store(zone + Zone.activeTail, pfn);
  else yield* cpu.store(pageOf(head) + Page.lruPrev, pfn);
  yield* cpu.store(zone + Zone.activeHead, pfn);
  const active = yield* cpu.load(zone + Zone.nrActive);
  yield* cpu.store(zone + Zone.nrActive, active + 1);
  yield* cpu.store(page + Page.onLru, 1);
}

function* delPageFromLru(cpu: Cpu, pfn: Pfn): Op<void> {
  const page = pageOf(pfn);
  const zone = zoneOf(pfnNode(pfn));
  yield* cpu.spinLock(zone + Zone.lruLock);
  const next = yield* cpu.load(page + Page.lruNext);
  const prev = yield* cpu.load(page + Page.lruPrev);
  if (prev === 0) yield* cpu.store(zone + Zone.activeHead, next);
  else yield* cpu.store(pageOf(prev) + Page.lruNext, next);
  if (next === 0) yield* cpu.store(zone + Zone.activeTail, prev);
  else yield* cpu.store(pageOf(next) + Page.lruPrev, prev);
  const active = yield* cpu.load(zone + Zone.nrActive);
  yield* cpu.store(zone + Zone.nrActive, active - 1);
  yield* cpu.spinUnlock(zone + Zone.lruLock);
  yield* cpu.store(page + Page.lruNext, 0);
  yield* cpu.store(page + Page.lruPrev, 0);
  yield* cpu.store(page + Page.onLru, 0);
}
