/**
 * Removal of mapped pages from a range (Linux: zap_page_range and zap_pte_range, mm/memory.c).
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import { FrameWork, type Cpu, type Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import {
  HUGE_PAGES,
  HUGE_SIZE,
  PAGE_SIZE,
  PTE_DIRTY,
  entryPfn,
  pteOffset,
} from '../hardware/machine.js';
import { MmCounter, updateHiwaterRss, updateMmCounter } from './counters.js';
import { clearHugePmd, hugeMask, splitHugePmd } from './hugeSplit.js';
import { MOVE_MARKS } from './design.js';
import { Mm } from './layout/mm.js';
import { PG_dirty, Page, ZERO_PFN, pageOf } from './layout/page.js';
import { VM_NONLINEAR, VM_PFNMAP, Vma } from './layout/vma.js';
import { tableMoved } from './leafLock.js';
import { entryLock, entryUnlock, ptesLock, ptesUnlock } from './locking.js';
import { freePageAndSwapCache, freeSwapAndCache } from './swapstate.js';
import { freePgtables } from './freepgtables.js';
import { HUGE_LEAF, findPmd, leafTable, nextSpan } from './pgwalk.js';
import { pteOffsetMap, pteOffsetMapAtomic, pteUnmap, pteUnmapAtomic } from './pteMap.js';
import {
  clearPteHigh,
  pgoffToPte,
  ptePresent,
  ptepExchange,
  ptepGet,
  ptepGetAndClear,
  ptepNone,
  ptepSet,
  pteSwap,
  pteToSlot,
} from './pte.js';
import { pageAnon, pageRemoveRmap } from './rmap.js';
import { flushTlbMm } from './tlbflush.js';
import { rmapLock, rmapUnlock } from './vmas.js';
import { waitForMove } from './waitForMove.js';

/** Pages whose ptes are cleared before the TLBs are flushed and the pages freed. */
const GATHER_PAGES = 256;

/** What has been unmapped and not yet flushed and freed (Linux: struct mmu_gather). */
interface Gather {
  /** Whether its pages count towards rss. */
  readonly counted: boolean;
  /** Whether empty ptes are to remember pages of the file: those of a non-linear mapping that stays. */
  readonly remember: boolean;
  /** Frames to put. */
  readonly frames: Pfn[];
  /** Ptes cleared; with any, the TLBs are stale. */
  cleared: number;
  anon: number;
  rss: number;
}

/** Pages of a file, where only they are to go (Linux: struct zap_details). */
export interface ZapDetails {
  /** First page, and one past the last. */
  readonly first: number;
  readonly end: number;
  /** Whether private copies go too. */
  readonly evenCows: boolean;
}

/**
 * Unmaps the pages of a range, and gives back each leaf table that lies all in it, so that a huge page can take
 * its place (Linux 6.14: CONFIG_PT_RECLAIM).
 *
 * Locks: mmap_sem for writing.
 */
export function* zapAndReclaimTables(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  start: Vaddr,
  end: Vaddr,
): Op<void> {
  yield* zapPageRange(cpu, mm, vma, start, end);
  if (((yield* cpu.readOnce(vma + Vma.vmFlags)) & VM_NONLINEAR) !== 0) return;
  const first = Math.ceil(start / HUGE_SIZE) * HUGE_SIZE;
  for (let address = first; address + HUGE_SIZE <= end; address += HUGE_SIZE) {
    const table = yield* leafTable(cpu, mm, address);
    if (table <= 0) continue;
    // Walks that come by a file or an anon_vma hold no mmap_sem.
    yield* rmapLock(cpu, vma);
    yield* freePgtables(cpu, mm, address, address + HUGE_SIZE, address, address + HUGE_SIZE);
    yield* rmapUnlock(cpu, vma);
  }
}

/**
 * Unmaps the pages of a part of a VMA that goes itself, with all that its empty ptes remember.
 *
 * @param inAllocation - whether that is to make memory free for somebody who is at work on page tables
 * Locks: mmap_sem for writing; takes those of the ptes.
 */
export function* unmapPageRange(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  start: Vaddr,
  end: Vaddr,
  inAllocation: boolean,
): Op<void> {
  const vmFlags = yield* cpu.readOnce(vma + Vma.vmFlags);
  yield* zapRange(cpu, mm, start, end, vmFlags & ~VM_NONLINEAR, inAllocation);
}

/**
 * Unmaps the pages of a range, all within one VMA.
 *
 * @param details - if given, what of them; the caller holds the lock of the file's list, and may not sleep
 * Locks: mmap_sem for writing, or the lock of the file's list of VMAs; takes those of the ptes.
 */
export function* zapPageRange(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  start: Vaddr,
  end: Vaddr,
  details?: ZapDetails,
): Op<void> {
  const vmFlags = yield* cpu.readOnce(vma + Vma.vmFlags);
  yield* zapRange(cpu, mm, start, end, vmFlags, details !== undefined, details);
}

/** @param atomic - whether tables are to be mapped without sleeping, see pteMap.ts */
function* zapRange(
  cpu: Cpu,
  mm: Word,
  start: Vaddr,
  end: Vaddr,
  vmFlags: number,
  atomic: boolean,
  details?: ZapDetails,
): Op<void> {
  const gather: Gather = {
    counted: (vmFlags & VM_PFNMAP) === 0,
    remember: (vmFlags & VM_NONLINEAR) !== 0,
    frames: [],
    cleared: 0,
    anon: 0,
    rss: 0,
  };
  yield* updateHiwaterRss(cpu, mm);
  let address = start;
  while (address < end) {
    const table = yield* leafTable(cpu, mm, address);
    if (table < 0) {
      address = nextSpan(address, -table);
      continue;
    }
    if (table === HUGE_LEAF) {
      address = yield* zapHuge(cpu, mm, address, end, gather);
      continue;
    }
    const stop = Math.min(end, nextSpan(address, 1));
    const mapped = atomic ? yield* pteOffsetMapAtomic(cpu, table) : yield* pteOffsetMap(cpu, table);
    yield* ptesLock(cpu, mm, table);
    // Who holds mmap_sem for writing meets none that moves.
    if (MOVE_MARKS && atomic && (yield* tableMoved(cpu, mapped))) {
      yield* ptesUnlock(cpu, mm, table);
      yield* pteUnmapAtomic(cpu, mapped);
      yield* waitForMove(cpu, mm, address);
      continue;
    }
    for (; address < stop && gather.cleared < GATHER_PAGES; address += PAGE_SIZE) {
      yield* zapPte(cpu, mapped + pteOffset(address), gather, details);
    }
    yield* countGather(cpu, mm, gather);
    yield* ptesUnlock(cpu, mm, table);
    if (atomic) yield* pteUnmapAtomic(cpu, mapped);
    else yield* pteUnmap(cpu, mapped);
    if (gather.cleared >= GATHER_PAGES) yield* finishGather(cpu, mm, gather);
  }
  yield* finishGather(cpu, mm, gather);
}

/**
 * Unmaps a huge page if all of it is in the range; otherwise splits its entry.
 *
 * @returns where to go on
 */
function* zapHuge(cpu: Cpu, mm: Word, address: Vaddr, end: Vaddr, gather: Gather): Op<Vaddr> {
  const pmdp = yield* findPmd(cpu, mm, address);
  const next = nextSpan(address, 1);
  if (address !== hugeMask(address) || next > end) {
    yield* splitHugePmd(cpu, mm, pmdp);
    return address;
  }
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const pfn = yield* clearHugePmd(cpu, mm, pmdp);
  if (pfn !== 0) {
    gather.rss += HUGE_PAGES;
    gather.anon += HUGE_PAGES;
    gather.frames.push(pfn);
  }
  yield* countGather(cpu, mm, gather);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  gather.cleared++;
  return next;
}

function* zapPte(cpu: Cpu, ptep: Word, gather: Gather, details?: ZapDetails): Op<void> {
  if (yield* ptepNone(cpu, ptep)) return;
  yield* entryLock(cpu, ptep);
  yield* zapLockedPte(cpu, ptep, gather, details);
  yield* entryUnlock(cpu, ptep);
}

function* zapLockedPte(cpu: Cpu, ptep: Word, gather: Gather, details?: ZapDetails): Op<void> {
  const present = yield* ptepGet(cpu, ptep);
  if (!ptePresent(present)) {
    if (present === 0 || gather.remember) return;
    if (pteSwap(present)) {
      // A private copy of the file's page, which goes only if copies do.
      if (details !== undefined && !details.evenCows) return;
      yield* freeSwapAndCache(cpu, pteToSlot(present));
    }
    yield* ptepSet(cpu, ptep, 0);
    return;
  }
  const pfn = entryPfn(present);
  if (details !== undefined && !(yield* isAmong(cpu, pfn, details))) return;
  const anon = pfn !== ZERO_PFN && (yield* pageAnon(cpu, pfn));
  const remembered =
    gather.remember && !anon ? pgoffToPte(yield* cpu.load(pageOf(pfn) + Page.index)) : 0;
  const entry =
    remembered === 0
      ? yield* ptepGetAndClear(cpu, ptep)
      : yield* ptepExchange(cpu, ptep, remembered);
  yield* clearPteHigh(cpu, ptep);
  gather.cleared++;
  if (pfn === ZERO_PFN) return;
  if (gather.counted) gather.rss++;
  if (anon) gather.anon++;
  else if ((entry & PTE_DIRTY) !== 0) yield* cpu.or(pageOf(pfn) + Page.flags, PG_dirty);
  yield* pageRemoveRmap(cpu, pfn);
  gather.frames.push(pfn);
}

/** Whether a mapped page is one of those that are to go: the file's, or the copy of one. */
function* isAmong(cpu: Cpu, pfn: Pfn, details: ZapDetails): Op<boolean> {
  if (yield* pageAnon(cpu, pfn)) return details.evenCows;
  const index = yield* cpu.load(pageOf(pfn) + Page.index);
  return index >= details.first && index < details.end;
}

/** Counts what was unmapped. Locks: those of the ptes. */
function* countGather(cpu: Cpu, mm: Word, gather: Gather): Op<void> {
  if (gather.rss !== 0) yield* updateMmCounter(cpu, mm, MmCounter.rss, -gather.rss);
  if (gather.anon !== 0) yield* updateMmCounter(cpu, mm, MmCounter.anonRss, -gather.anon);
  gather.rss = 0;
  gather.anon = 0;
}

/** Flushes, then frees: until the flush another CPU may still use what its TLB holds. */
function* finishGather(cpu: Cpu, mm: Word, gather: Gather): Op<void> {
  if (gather.cleared === 0) return;
  yield* flushTlbMm(cpu, mm);
  for (const pfn of gather.frames) {
    yield* cpu.spendOn(FrameWork.UNMAP, frameOf(pfn));
    yield* freePageAndSwapCache(cpu, pfn);
  }
  gather.frames.length = 0;
  gather.cleared = 0;
}
