/** MADV_FREE: pages whose contents may go when memory is short (Linux: madvise_free_pte_range, 6.x). */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE, PTE_ACCESSED, PTE_DIRTY, entryPfn, pteOffset } from '../hardware/machine.js';
import { hugeMappedOnce } from './huge.js';
import { hugeMask, splitHugePmd } from './hugeSplit.js';
import { Mm } from './layout/mm.js';
import { PG_lazyfree, PG_locked, PG_swapcache, Page, ZERO_PFN, pageOf } from './layout/page.js';
import { entryLock, entryUnlock, ptesLock, ptesUnlock } from './locking.js';
import { HUGE_LEAF, findPmd, leafTable, nextSpan } from './pgwalk.js';
import {
  ptePresent,
  ptepClearBits,
  ptepGet,
  ptepNone,
  ptepSet,
  pteSwap,
  pteToSlot,
} from './pte.js';
import { pteOffsetMap, pteUnmap } from './pteMap.js';
import { pageMappedOnce } from './rmap.js';
import { deleteFromSwapCache, freeSwapAndCache, onlyUserOfSwap } from './swapstate.js';
import { flushTlbMm } from './tlbflush.js';

/**
 * Marks the pages of a range as free for the taking. They stay mapped, clean: a write makes them dirty,
 * and theirs again. A page that another process maps too is left alone.
 *
 * Locks: mmap_sem; takes those of the ptes.
 */
export function* freePageRange(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<void> {
  let address = start;
  while (address < end) {
    const table = yield* leafTable(cpu, mm, address);
    if (table < 0) {
      address = nextSpan(address, -table);
      continue;
    }
    const next = nextSpan(address, 1);
    if (table === HUGE_LEAF) {
      const pmdp = yield* findPmd(cpu, mm, address);
      if (address === hugeMask(address) && next <= end) {
        yield* cpu.spinLock(mm + Mm.pageTableLock);
        const pfn = entryPfn(yield* cpu.readOnce(pmdp));
        if (yield* hugeMappedOnce(cpu, pfn)) yield* freeEntry(cpu, pmdp, pfn);
        yield* cpu.spinUnlock(mm + Mm.pageTableLock);
        address = next;
      } else {
        yield* splitHugePmd(cpu, mm, pmdp);
      }
      continue;
    }
    const stop = Math.min(end, next);
    const mapped = yield* pteOffsetMap(cpu, table);
    yield* ptesLock(cpu, mm, table);
    for (; address < stop; address += PAGE_SIZE) yield* freePte(cpu, mapped + pteOffset(address));
    yield* ptesUnlock(cpu, mm, table);
    yield* pteUnmap(cpu, mapped);
  }
  yield* flushTlbMm(cpu, mm);
}

function* freePte(cpu: Cpu, ptep: Word): Op<void> {
  if (yield* ptepNone(cpu, ptep)) return;
  yield* entryLock(cpu, ptep);
  const entry = yield* ptepGet(cpu, ptep);
  if (pteSwap(entry)) {
    yield* freeSwapAndCache(cpu, pteToSlot(entry));
    yield* ptepSet(cpu, ptep, 0);
  }
  const pfn = entryPfn(entry);
  const small = ptePresent(entry) && pfn !== ZERO_PFN;
  if (small && (yield* pageMappedOnce(cpu, pfn)) && (yield* leaveSwapCache(cpu, pfn))) {
    yield* freeEntry(cpu, ptep, pfn);
  }
  yield* entryUnlock(cpu, ptep);
}

/**
 * Takes a page out of the swap cache: its slot may hold what it was before it was written to, and must not be what
 * is read later.
 *
 * @returns false where another process refers to the slot, somebody is at work on the page, or the host has taken it:
 *   it is left alone
 * Locks: those of the pte; the page's comes before them, and is only tried.
 */
function* leaveSwapCache(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const flags = pageOf(pfn) + Page.flags;
  if (((yield* cpu.readOnce(flags)) & PG_swapcache) === 0) return true;
  if (!(yield* cpu.tryLockBit(flags, PG_locked))) return false;
  const alone = yield* onlyUserOfSwap(cpu, pfn);
  const cached = ((yield* cpu.readOnce(flags)) & PG_swapcache) !== 0;
  const left = alone && (!cached || (yield* deleteFromSwapCache(cpu, pfn)));
  yield* cpu.unlockBit(flags, PG_locked);
  return left;
}

function* freeEntry(cpu: Cpu, entryp: Word, pfn: Pfn): Op<void> {
  yield* ptepClearBits(cpu, entryp, PTE_DIRTY | PTE_ACCESSED);
  yield* cpu.or(pageOf(pfn) + Page.flags, PG_lazyfree);
}
