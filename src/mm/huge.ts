/**
 * Huge pages of anonymous memory (Linux: mm/huge_memory.c, 6.x): one entry above the leaves maps
 * HUGE_PAGES pages at once, where madvise asked for it.
 *
 * The frames of a huge page stay together, and their references are counted by the first of them, until the
 * last goes. Its entry can be split: then HUGE_PAGES ptes map it, each page has a mapcount of its own, and
 * some may be unmapped before the others. For each entry that maps a huge page the mm keeps a spare leaf
 * table, so that a split needs no memory.
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import {
  ENTRY_WORDS,
  HUGE_PAGES,
  HUGE_SIZE,
  PMD_HUGE,
  PTE_ACCESSED,
  PTE_WRITE,
  entryPfn,
} from '../hardware/machine.js';
import { anonVmaPrepare } from './anonvma.js';
import { MmCounter, countEvent, updateMmCounter } from './counters.js';
import { SECTION_LOCK } from './design.js';
import { Mm } from './layout/mm.js';
import {
  PAGE_MAPPING_ANON,
  PG_anon_exclusive,
  PG_head,
  PG_reserved,
  Page,
  hugeMapcount,
  pageOf,
} from './layout/page.js';
import { PageState } from './layout/percpu.js';
import { VM_HUGEPAGE, Vma } from './layout/vma.js';
import { Zone, zoneOf } from './layout/zone.js';
import { entryLock, entryUnlock, pageTableAtomicStop } from './locking.js';
import { lruCacheAddActive } from './lru.js';
import {
  NEW_PAGE_REFERENCES,
  allocHugePage,
  dropNewReferences,
  freeHugePage,
  setNewReferences,
} from './pagealloc.js';
import { freeTable } from './freepgtables.js';
import { allocTable, pteAlloc } from './pgtable.js';
import { findPmd } from './pgwalk.js';
import {
  mkDirtyWritable,
  mkPte,
  pmdHuge,
  pteMoved,
  ptepGet,
  ptepReuse,
  ptepSetAccessFlags,
  setPteHigh,
} from './pte.js';
import { linearPageIndex } from './rmap.js';
import { flushTlbMm } from './tlbflush.js';
import { VM_FAULT_FALLBACK, VM_FAULT_MINOR, VM_FAULT_OOM } from './vmfault.js';
import { isHugeZero, splitHugePmd, hugeMask } from './hugeSplit.js';
import { waitForMove } from './waitForMove.js';

/** Whether a fault may map a huge page: the VMA asks for it, and it fits (thp_vma_allowable_order). */
export function* mayMapHuge(cpu: Cpu, vma: Word, address: Vaddr): Op<boolean> {
  if (PMD_HUGE === 0) return false;
  if (((yield* cpu.load(vma + Vma.vmFlags)) & VM_HUGEPAGE) === 0) return false;
  if ((yield* cpu.load(vma + Vma.vmFile)) !== 0) return false;
  const first = hugeMask(address);
  if (first < (yield* cpu.loadWide(vma + Vma.vmStart))) return false;
  return first + HUGE_SIZE <= (yield* cpu.loadWide(vma + Vma.vmEnd));
}

/**
 * Maps a huge page where nothing is mapped yet, not even a table: of zeros for a write, the one that all
 * share for a read (Linux: do_huge_pmd_anonymous_page).
 *
 * @returns a VM_FAULT_ code; VM_FAULT_FALLBACK where small pages must do
 */
export function* doHugePmdAnonymousPage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  write: boolean,
): Op<number> {
  const present = yield* findPmd(cpu, mm, address);
  if (present !== 0) {
    const entry = yield* cpu.readOnce(present);
    if (pteMoved(entry)) {
      yield* waitForMove(cpu, mm, address);
      return VM_FAULT_MINOR;
    }
    if (entry !== 0) return VM_FAULT_FALLBACK;
  }
  if (!(yield* anonVmaPrepare(cpu, vma))) return VM_FAULT_OOM;
  const spare = yield* allocTable(cpu, 0);
  if (spare === 0) return VM_FAULT_OOM;
  const pfn = write ? yield* allocHugePage(cpu) : yield* hugeZeroPage(cpu);
  if (pfn === 0) {
    yield* freeTable(cpu, spare, 0);
    yield* countEvent(cpu, PageState.thp_fault_fallback);
    return VM_FAULT_FALLBACK;
  }
  const pmdp = yield* pteAlloc(cpu, mm, address, 1);
  if (pmdp === 0) {
    yield* freeTable(cpu, spare, 0);
    if (write) yield* freeNewHugePage(cpu, pfn);
    return VM_FAULT_OOM;
  }
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const installed = yield* installHugePage(cpu, mm, vma, address, pmdp, 0, pfn, write);
  if (installed) {
    yield* cpu.add(mm + Mm.nrTables, 1);
    yield* depositTable(cpu, mm, spare);
  }
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  if (!installed) {
    yield* freeTable(cpu, spare, 0);
    if (write) yield* freeNewHugePage(cpu, pfn);
  }
  return VM_FAULT_MINOR;
}

/**
 * Puts a huge page in the place of an entry, if that still is what was read.
 *
 * Locks: page_table_lock.
 */
function* installHugePage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  pmdp: Word,
  old: number,
  pfn: Pfn,
  write: boolean,
): Op<boolean> {
  if ((yield* cpu.readOnce(pmdp)) !== old) return false;
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const prot = mkPte(pfn, vmFlags) | PMD_HUGE;
  const entry = write ? mkDirtyWritable(prot, vmFlags) : prot;
  yield* setPteHigh(cpu, pmdp, vmFlags);
  if (!(yield* cpu.cas(pmdp, old, entry))) return false;
  if (write) {
    const page = pageOf(pfn);
    const anonVma = yield* cpu.readOnce(vma + Vma.anonVma);
    const index = yield* linearPageIndex(cpu, vma, hugeMask(address));
    for (let frame = 0; frame < HUGE_PAGES; frame++) {
      yield* setAnonymous(cpu, pageOf(pfn + frame), anonVma, index + frame);
    }
    yield* cpu.writeOnce(page + Page.flags, PG_head | PG_anon_exclusive);
    yield* cpu.store(hugeMapcount(pfn), 1);
    yield* updateMmCounter(cpu, mm, MmCounter.rss, HUGE_PAGES);
    yield* updateMmCounter(cpu, mm, MmCounter.anonRss, HUGE_PAGES);
    yield* lruCacheAddActive(cpu, pfn);
  }
  yield* countEvent(cpu, write ? PageState.fault_anon_write : PageState.fault_anon_read);
  return true;
}

function* setAnonymous(cpu: Cpu, page: Word, anonVma: Word, index: number): Op<void> {
  yield* cpu.writeOnce(page + Page.mapping, anonVma + PAGE_MAPPING_ANON);
  yield* cpu.store(page + Page.index, index | 0);
}

/** The huge page of zeros, made at its first use and kept (Linux: mm_get_huge_zero_folio); 0 if none. */
function* hugeZeroPage(cpu: Cpu): Op<Pfn> {
  const word = zoneOf(0) + Zone.hugeZeroPage;
  const known = yield* cpu.readOnce(word);
  if (known !== 0) return known;
  const pfn = yield* allocHugePage(cpu);
  if (pfn === 0) return 0;
  yield* cpu.writeOnce(pageOf(pfn) + Page.flags, PG_head | PG_reserved);
  yield* setNewReferences(cpu, pfn, NEW_PAGE_REFERENCES, 1);
  if (yield* cpu.cas(word, 0, pfn)) return pfn;
  yield* freeNewHugePage(cpu, pfn, 1);
  return yield* cpu.readOnce(word);
}

function* freeNewHugePage(cpu: Cpu, pfn: Pfn, references: number = NEW_PAGE_REFERENCES): Op<void> {
  if (yield* dropNewReferences(cpu, pfn, references)) yield* freeHugePage(cpu, pfn);
}

/** Keeps a leaf table for the day that a huge page's entry is split. Locks: page_table_lock. */
function* depositTable(cpu: Cpu, mm: Word, table: Pfn): Op<void> {
  const head = yield* cpu.load(mm + Mm.spareTables);
  yield* cpu.store(pageOf(table) + Page.lruNext, head);
  yield* cpu.store(mm + Mm.spareTables, table);
}

/**
 * A fault where a huge page is mapped: sets the bits that the access needs, gives a page of its own to a
 * write, or splits the entry.
 *
 * @returns a VM_FAULT_ code; VM_FAULT_FALLBACK once the entry is split
 * Locks: entered in an atomic section, which it ends.
 */
export function* doHugePmdFault(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  write: boolean,
  pmdp: Word,
): Op<number> {
  yield* hugeSectionStart(cpu, mm, pmdp);
  const entry = yield* ptepGet(cpu, pmdp);
  if (!pmdHuge(entry)) {
    yield* hugeSectionStop(cpu, mm, pmdp);
    return VM_FAULT_FALLBACK;
  }
  if (write && (entry & PTE_WRITE) === 0) {
    return yield* doHugePmdWpPage(cpu, mm, vma, address, pmdp, entry);
  }
  yield* ptepSetAccessFlags(cpu, address, pmdp, entry, write);
  yield* hugeSectionStop(cpu, mm, pmdp);
  return VM_FAULT_MINOR;
}

/** A section on an entry that maps a huge page: its lock is page_table_lock in every design. */
function* hugeSectionStart(cpu: Cpu, mm: Word, pmdp: Word): Op<void> {
  if (!SECTION_LOCK) return;
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  yield* entryLock(cpu, pmdp);
}

/** Ends it, and the atomic section with it. */
function* hugeSectionStop(cpu: Cpu, mm: Word, pmdp: Word): Op<void> {
  if (SECTION_LOCK) {
    yield* entryUnlock(cpu, pmdp);
    yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  }
  yield* pageTableAtomicStop(cpu, mm);
}

/** A write to a huge page that is mapped read-only (Linux: do_huge_pmd_wp_page). */
function* doHugePmdWpPage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  pmdp: Word,
  entry: number,
): Op<number> {
  if (yield* isHugeZero(cpu, entry)) {
    yield* hugeSectionStop(cpu, mm, pmdp);
    return yield* replaceHugeZero(cpu, mm, vma, address, pmdp, entry);
  }
  const pfn = entryPfn(entry);
  if (yield* mayReuseHuge(cpu, pfn)) {
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    if (yield* ptepReuse(cpu, pmdp, entry, vmFlags)) {
      yield* cpu.or(pageOf(pfn) + Page.flags, PG_anon_exclusive);
    }
    yield* hugeSectionStop(cpu, mm, pmdp);
    // The TLB holds the huge page in pieces.
    yield* flushTlbMm(cpu, mm);
    return VM_FAULT_MINOR;
  }
  yield* hugeSectionStop(cpu, mm, pmdp);
  yield* splitHugePmd(cpu, mm, pmdp);
  return VM_FAULT_FALLBACK;
}

/** Whether nothing else maps a huge page, or any page of it. */
function* mayReuseHuge(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  return (flags & PG_anon_exclusive) !== 0 || (yield* hugeMappedOnce(cpu, pfn));
}

/** Whether one entry alone maps a huge page, and no pte any page of it. */
export function* hugeMappedOnce(cpu: Cpu, pfn: Pfn): Op<boolean> {
  if ((yield* cpu.readOnce(hugeMapcount(pfn))) !== 1) return false;
  for (let frame = 0; frame < HUGE_PAGES; frame++) {
    if ((yield* cpu.readOnce(pageOf(pfn + frame) + Page.mapcount)) !== 0) return false;
  }
  return true;
}

/** Gives a write a huge page of its own in the place of the zeros (Linux 6.13: do_huge_zero_wp_pmd). */
function* replaceHugeZero(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  pmdp: Word,
  entry: number,
): Op<number> {
  if (!(yield* anonVmaPrepare(cpu, vma))) return VM_FAULT_OOM;
  const pfn = yield* allocHugePage(cpu);
  if (pfn === 0) {
    yield* splitHugePmd(cpu, mm, pmdp);
    return VM_FAULT_FALLBACK;
  }
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const installed = yield* installHugePage(cpu, mm, vma, address, pmdp, entry, pfn, true);
  if (installed) yield* flushTlbMm(cpu, mm);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  if (!installed) yield* freeNewHugePage(cpu, pfn);
  return VM_FAULT_MINOR;
}

/**
 * Lets a forked child map a huge page of its parent's, which neither may write to from now on (Linux:
 * copy_huge_pmd).
 *
 * @returns false when memory is full
 * Locks: mmap_sem of both for writing; takes both page_table_locks.
 */
export function* copyHugePmd(cpu: Cpu, childMm: Word, mm: Word, address: Vaddr): Op<boolean> {
  const spare = yield* allocTable(cpu, 0);
  if (spare === 0) return false;
  const target = yield* pteAlloc(cpu, childMm, address, 1);
  if (target === 0) {
    yield* freeTable(cpu, spare, 0);
    return false;
  }
  const pmdp = yield* findPmd(cpu, mm, address);
  yield* cpu.spinLock(childMm + Mm.pageTableLock);
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const entry = (yield* cpu.and(pmdp, ~PTE_WRITE)) & ~PTE_WRITE;
  if (!(yield* isHugeZero(cpu, entry))) {
    const pfn = entryPfn(entry);
    yield* cpu.and(pageOf(pfn) + Page.flags, ~PG_anon_exclusive);
    yield* cpu.add(pageOf(pfn) + Page.refcount, 1);
    yield* cpu.add(hugeMapcount(pfn), 1);
    yield* updateMmCounter(cpu, childMm, MmCounter.rss, HUGE_PAGES);
    yield* updateMmCounter(cpu, childMm, MmCounter.anonRss, HUGE_PAGES);
  }
  yield* cpu.add(childMm + Mm.nrTables, 1);
  yield* depositTable(cpu, childMm, spare);
  if (ENTRY_WORDS === 2) {
    const high = yield* cpu.readOnce(pmdp + 1);
    yield* cpu.writeOnce(target + 1, high);
  }
  yield* cpu.writeOnce(target, entry & ~PTE_ACCESSED);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  yield* cpu.spinUnlock(childMm + Mm.pageTableLock);
  return true;
}
