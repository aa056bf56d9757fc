/** MADV_PAGEOUT: the pages of a range leave memory at once, if nothing else keeps them (Linux 5.4: mm/madvise.c). */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE, PTE_ACCESSED, entryPfn, pfnNode, pteOffset } from '../hardware/machine.js';
import { MOVE_REWALK } from './design.js';
import { LRU_NONE, Page, ZERO_PFN, pageOf } from './layout/page.js';
import { Zone, zoneOf } from './layout/zone.js';
import { delimbo } from './limbo.js';
import { pteLock, pteUnlock } from './locking.js';
import { delFromList, lruAddDrain, putPage } from './lru.js';
import { leafTable, nextSpan } from './pgwalk.js';
import { pteMoved, ptePresent, ptepClearBits, ptepGet, ptepNone } from './pte.js';
import { pteOffsetMap, pteUnmap } from './pteMap.js';
import { compoundHead, getPage } from './rmap.js';
import { reclaimIsolated } from './vmscan.js';
import { waitForMove } from './waitForMove.js';

/** What getIdlePage gives instead of a frame where the pte is in another table by now. */
const TABLE_MOVED: Pfn = -1;

/** Huge pages are left alone. Locks: mmap_sem for reading. */
export function* pageOutRange(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<void> {
  yield* lruAddDrain(cpu);
  let address = start;
  while (address < end) {
    const table = yield* leafTable(cpu, mm, address);
    if (table <= 0) {
      address = nextSpan(address, Math.max(1, -table));
      continue;
    }
    const ptep = yield* pteOffsetMap(cpu, table + pteOffset(address));
    const pfn = yield* getIdlePage(cpu, mm, ptep, address);
    yield* pteUnmap(cpu, ptep);
    if (pfn === TABLE_MOVED) {
      yield* waitForMove(cpu, mm, address);
      continue;
    }
    if (pfn !== ZERO_PFN) yield* reclaimHeld(cpu, pfn);
    address += PAGE_SIZE;
  }
}

/**
 * Takes a reference to the page of a pte, and the mark that it was used from it.
 *
 * @returns it, or ZERO_PFN if none, or TABLE_MOVED
 */
function* getIdlePage(cpu: Cpu, mm: Word, found: Word, address: Vaddr): Op<Pfn> {
  if (yield* ptepNone(cpu, found)) return ZERO_PFN;
  yield* pteLock(cpu, mm, found);
  const ptep = MOVE_REWALK ? yield* delimbo(cpu, mm, found, address) : found;
  const entry = yield* ptepGet(cpu, ptep);
  let pfn = ptePresent(entry) ? entryPfn(entry) : ZERO_PFN;
  if (pfn !== ZERO_PFN && (yield* compoundHead(cpu, pfn)) !== pfn) pfn = ZERO_PFN;
  if (pfn !== ZERO_PFN) {
    yield* getPage(cpu, pfn);
    yield* ptepClearBits(cpu, ptep, PTE_ACCESSED);
  }
  yield* pteUnlock(cpu, mm, ptep);
  return pteMoved(entry) ? TABLE_MOVED : pfn;
}

/** Reclaims a page with the caller's reference, unless it waits in a pagevec or somebody else is at it. */
function* reclaimHeld(cpu: Cpu, pfn: Pfn): Op<void> {
  const zone = zoneOf(pfnNode(pfn));
  yield* cpu.spinLock(zone + Zone.lruLock);
  const listed = (yield* cpu.load(pageOf(pfn) + Page.lru)) !== LRU_NONE;
  if (listed) yield* delFromList(cpu, zone, pfn);
  yield* cpu.spinUnlock(zone + Zone.lruLock);
  if (listed) yield* reclaimIsolated(cpu, zone, pfn, 0);
  else yield* putPage(cpu, pfn);
}
