/**
 * Huge pages under pressure: they fall apart, so that reclaim can take their pages one by one (Linux:
 * split_huge_page, mm/huge_memory.c, 6.x).
 */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import {
  ENTRY_WORDS,
  HUGE_PAGES,
  PAGES_PER_BYTE,
  PAGE_SIZE,
  entryPfn,
  pfnNode,
} from '../hardware/machine.js';
import { PTE_LOCK_BIT } from './design.js';
import { hugeMask, splitHugePmd } from './hugeSplit.js';
import {
  LRU_INACTIVE,
  PG_head,
  PG_locked,
  PG_tail,
  Page,
  hugeMapcount,
  pageOf,
} from './layout/page.js';
import { AnonVma, AnonVmaChain, Vma } from './layout/vma.js';
import { Zone, zoneOf } from './layout/zone.js';
import { ptesLock, ptesUnlock } from './locking.js';
import { addToList } from './lru.js';
import { freeNewPage, setNewReferences } from './pagealloc.js';
import { ptePresent, ptepGet } from './pte.js';
import { pteOffsetMapAtomic, pteUnmapAtomic } from './pteMap.js';
import { findPmd, leafTable } from './pgwalk.js';
import { pageLockAnonVma } from './rmapwalk.js';
import { anonVmaUnlock } from './anonvma.js';

/**
 * Splits a huge page where one leaf table, or the entry above it, maps all of it that is mapped, and nobody else
 * has a reference but the caller. Otherwise it stays as it is.
 *
 * Locks: takes the page's lock, that of its anon_vma's family, page_table_lock and those of the ptes.
 */
export function* splitIfAlone(cpu: Cpu, head: Pfn): Op<void> {
  // A lock in each pte: there is none for a table.
  if (PTE_LOCK_BIT) return;
  const flags = pageOf(head) + Page.flags;
  if (!(yield* cpu.tryLockBit(flags, PG_locked))) return;
  const mapped = (yield* cpu.readOnce(pageOf(head) + Page.refcount)) > 1;
  const anonVma = mapped ? yield* pageLockAnonVma(cpu, head) : 0;
  if (anonVma !== 0) {
    let chain = yield* cpu.load(anonVma + AnonVma.head);
    let split = false;
    while (chain !== 0 && !split) {
      const vma = yield* cpu.load(chain + AnonVmaChain.vma);
      split = yield* splitInVma(cpu, vma, head);
      chain = yield* cpu.load(chain + AnonVmaChain.nextOfAnonVma);
    }
    yield* anonVmaUnlock(cpu, anonVma);
  }
  yield* cpu.unlockBit(flags, PG_locked);
}

/** @returns whether the page is in pieces now */
function* splitInVma(cpu: Cpu, vma: Word, head: Pfn): Op<boolean> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const end = yield* cpu.loadWide(vma + Vma.vmEnd);
  const pgoff = yield* cpu.load(vma + Vma.vmPgoff);
  const index = yield* cpu.load(pageOf(head) + Page.index);
  const offset = (index - pgoff) | 0;
  const address = start + offset * PAGE_SIZE;
  // A part may be unmapped: the first page lies before the VMA then, or the last behind it.
  if (offset + HUGE_PAGES <= 0 || offset >= (end - start) * PAGES_PER_BYTE) return false;
  if (address !== hugeMask(address)) return false;
  const mm = yield* cpu.load(vma + Vma.vmMm);
  const pmdp = yield* findPmd(cpu, mm, address);
  if (pmdp !== 0 && entryPfn(yield* cpu.readOnce(pmdp)) === head) {
    yield* splitHugePmd(cpu, mm, pmdp);
  }
  const table = yield* leafTable(cpu, mm, address);
  if (table <= 0) return false;
  const mapped = yield* pteOffsetMapAtomic(cpu, table);
  yield* ptesLock(cpu, mm, table);
  const ptes = yield* ptesIfAll(cpu, mapped, head);
  if (ptes >= 0) yield* fallApart(cpu, head, ptes);
  yield* ptesUnlock(cpu, mm, table);
  yield* pteUnmapAtomic(cpu, mapped);
  return ptes >= 0;
}

/**
 * Counts the ptes of a table that map pages of a huge page, if these are all there are, and nothing else refers to it
 * but the caller. @returns them, or -1
 */
function* ptesIfAll(cpu: Cpu, table: Word, head: Pfn): Op<number> {
  let here = 0;
  let anywhere = 0;
  for (let frame = 0; frame < HUGE_PAGES; frame++) {
    const entry = yield* ptepGet(cpu, table + frame * ENTRY_WORDS);
    if (ptePresent(entry) && entryPfn(entry) === head + frame) here++;
    anywhere += yield* cpu.readOnce(pageOf(head + frame) + Page.mapcount);
  }
  if (here !== anywhere || (yield* cpu.readOnce(hugeMapcount(head))) !== 0) return -1;
  return (yield* cpu.readOnce(pageOf(head) + Page.refcount)) === here + 1 ? here : -1;
}

/**
 * Each page gets the references to it for itself; those that nobody maps are free.
 *
 * @param ptes - that map pages of it: with the caller's these are all references
 * Locks: those of the ptes.
 */
function* fallApart(cpu: Cpu, head: Pfn, ptes: number): Op<void> {
  const zone = zoneOf(pfnNode(head));
  yield* cpu.and(pageOf(head) + Page.flags, ~PG_head);
  const first = yield* cpu.readOnce(pageOf(head) + Page.mapcount);
  yield* setNewReferences(cpu, head, ptes + 1, first + 1);
  for (let pfn = head + 1; pfn < head + HUGE_PAGES; pfn++) {
    const page = pageOf(pfn);
    const mapcount = yield* cpu.readOnce(page + Page.mapcount);
    yield* cpu.and(page + Page.flags, ~PG_tail);
    yield* cpu.writeOnce(page + Page.refcount, mapcount);
    if (mapcount === 0) {
      yield* freeNewPage(cpu, pfn, 0);
      continue;
    }
    yield* cpu.spinLock(zone + Zone.lruLock);
    yield* addToList(cpu, zone, pfn, LRU_INACTIVE);
    yield* cpu.spinUnlock(zone + Zone.lruLock);
  }
}
