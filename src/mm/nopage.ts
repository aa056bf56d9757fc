/**
 * A touch of a page that is not mapped (Linux: do_no_page and do_file_page, mm/memory.c, 2.6.10;
 * fault-around as in do_fault_around and filemap_map_pages, 3.15 and later; whole folios as in 6.18).
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { HINTING } from '../hardware/hostStates.js';
import {
  ENTRY_WORDS,
  PAGES_PER_BYTE,
  PTE_DIRTY,
  PTE_WRITE,
  levelIndex,
} from '../hardware/machine.js';
import { doAnonymousPage } from './anonymous.js';
import { anonVmaPrepare } from './anonvma.js';
import { MmCounter, countEvent, countEvents, updateMmCounter } from './counters.js';
import {
  CHECKS_DISCARDED,
  FAULT_AROUND_PAGES,
  FAULT_HINTS,
  KMAP_FAULT_ATOMIC,
  MOVE_LIMBO,
  MOVE_REWALK,
  PREFAULT,
  PREFAULT_POSTED,
  PTE_LOCK_BIT,
} from './design.js';
import { awaitDiscard, findGetPageStable, pageDiscard, pageDiscarded } from './discard.js';
import { CACHE_FULL, addCachePage, waitForPage } from './filemap.js';
import { findGetPage, isCached, isOnDevice, mayMapAround } from './pagecache.js';
import { FILE_MEMORY, FILE_NO_MAP_PAGES, File } from './layout/file.js';
import { PG_dirty, PG_readahead, PG_uptodate, Page, folioPages, pageOf } from './layout/page.js';
import { PageState } from './layout/percpu.js';
import { VM_PFNMAP, VM_SHARED, VM_WRITE, Vma } from './layout/vma.js';
import { delimbo, maybeReloadTlbMm } from './limbo.js';
import {
  entryLock,
  entryUnlock,
  pteOffsetMapLock,
  pteUnmapUnlock,
  ptesOffsetMapLock,
  ptesUnmapUnlock,
  walkStop,
} from './locking.js';
import { lruCacheAddActive, pageCacheRelease, pageCacheReleaseNocheck, putPage } from './lru.js';
import { allocPage } from './allocpages.js';
import { freeNewPage } from './pagealloc.js';
import { PTRS_PER_PTE } from './pgwalk.js';
import { doAnonymousPages } from './prefault.js';
import { doAnonymousPosted } from './prefaultPosted.js';
import { mkDirtyWritable, mkPte, pteToPgoff, ptepGet, ptepInstall, setPteHigh } from './pte.js';
import { pageHoldStable, pageLetGo, pageMakeStable, pageMakeVolatile } from './pageStates.js';
import { getPage, linearPageIndex, pageAddFileRmap, pageAddNewAnonRmap } from './rmap.js';
import {
  VM_FAULT_MAJOR,
  VM_FAULT_MINOR,
  VM_FAULT_OOM,
  VM_FAULT_RETRY,
  VM_FAULT_SIGBUS,
} from './vmfault.js';

/**
 * Maps a page of anonymous memory or of a file where the pte is empty.
 *
 * @returns a VM_FAULT_ code
 * Locks: entered in an atomic section, which it ends.
 */
export function* doNoPage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  write: boolean,
  ptep: Word,
): Op<number> {
  const file = yield* cpu.load(vma + Vma.vmFile);
  if (file === 0) {
    if (PREFAULT_POSTED) return yield* doAnonymousPosted(cpu, mm, vma, address, write, ptep);
    if (PREFAULT) return yield* doAnonymousPages(cpu, mm, vma, address, write, ptep);
    return yield* doAnonymousPage(cpu, mm, vma, address, write, ptep);
  }
  yield* walkStop(cpu, mm, ptep);
  const pgoff = yield* linearPageIndex(cpu, vma, address);
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const fileFlags = yield* cpu.load(file + File.flags);
  const around = FAULT_AROUND_PAGES > 1 && (fileFlags & FILE_NO_MAP_PAGES) === 0;
  if (!write && around) {
    const spot = yield* fileSpot(cpu, vma, file, address, pgoff, ptep);
    if (yield* doFaultAround(cpu, mm, address, spot, vmFlags)) {
      yield* countEvent(cpu, PageState.fault_file_read);
      return VM_FAULT_MINOR;
    }
  }
  const cow = write && (vmFlags & VM_SHARED) === 0;
  for (;;) {
    const result = cow
      ? yield* doCowFault(cpu, mm, vma, file, address, pgoff, ptep)
      : yield* mapFilePage(cpu, mm, vma, file, address, pgoff, write, ptep, 0);
    if (result !== VM_FAULT_RETRY) return result;
  }
}

/**
 * Maps the page that an empty pte of a non-linear mapping tells of (Linux 2.6: do_file_page). Such a
 * mapping is a shared one.
 *
 * @param origEntry - the pte as read
 * @returns a VM_FAULT_ code
 * Locks: entered in an atomic section, which it ends.
 */
export function* doNonlinearFault(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  write: boolean,
  ptep: Word,
  origEntry: number,
): Op<number> {
  yield* walkStop(cpu, mm, ptep);
  const file = yield* cpu.load(vma + Vma.vmFile);
  const pgoff = pteToPgoff(origEntry);
  for (;;) {
    const result = yield* mapFilePage(cpu, mm, vma, file, address, pgoff, write, ptep, origEntry);
    if (result !== VM_FAULT_RETRY) return result;
  }
}

/**
 * Maps the very page of a file, and the rest of its folio where all of that fits (Linux: do_read_fault).
 *
 * @returns a VM_FAULT_ code; VM_FAULT_RETRY if the page may have gone from the file since it was found
 */
function* mapFilePage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  file: Word,
  address: Vaddr,
  pgoff: number,
  write: boolean,
  found: Word,
  origEntry: number,
): Op<number> {
  const sequence = yield* cpu.readOnce(file + File.truncateCount);
  if (pgoff >= (yield* cpu.readOnce(file + File.size))) return VM_FAULT_SIGBUS;
  const { pfn, result } = yield* faultPage(cpu, file, pgoff, write);
  if (pfn === 0) return result;
  if (HINTING && write && !(yield* holdToWrite(cpu, pfn))) return VM_FAULT_RETRY;

  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const fileFlags = yield* cpu.load(file + File.flags);
  const writeBit = write ? mkDirtyWritable(0, vmFlags) : unnoticedWrite(vmFlags, fileFlags);
  const folio = folioPages(yield* cpu.readOnce(pageOf(pfn) + Page.flags));
  yield* noteReadahead(cpu, file, pgoff, pfn, folio);
  const locked = yield* ptesOffsetMapLock(cpu, mm, address, found);
  const ptep = MOVE_REWALK ? yield* delimbo(cpu, mm, locked, address) : locked;
  const discarded = CHECKS_DISCARDED && (yield* pageDiscarded(cpu, pfn));
  if (discarded || (yield* cpu.readOnce(file + File.truncateCount)) !== sequence) {
    yield* ptesUnmapUnlock(cpu, mm, ptep);
    if (HINTING && write) yield* letGoOfWritten(cpu, pfn);
    if (discarded) yield* awaitDiscard(cpu, pfn);
    yield* pageCacheRelease(cpu, pfn);
    return VM_FAULT_RETRY;
  }
  let mapped = 0;
  // A page that is written with others of its folio would have to be held as they are.
  if (folio > 1 && origEntry === 0 && !(HINTING && write)) {
    const spot = yield* fileSpot(cpu, vma, file, address, pgoff, ptep);
    mapped = yield* mapWholeFolio(cpu, spot, folio, vmFlags, writeBit);
  }
  let settled = true;
  if (mapped === 0) {
    yield* entryLock(cpu, ptep);
    // A lock that is the pte's own is held only now.
    settled = !PTE_LOCK_BIT || (yield* cpu.readOnce(file + File.truncateCount)) === sequence;
    if (settled && (yield* installFilePage(cpu, ptep, origEntry, pfn, vmFlags, writeBit))) {
      mapped = 1;
    } else {
      yield* pageCacheRelease(cpu, pfn);
    }
    yield* entryUnlock(cpu, ptep);
  } else {
    yield* pageCacheRelease(cpu, pfn);
  }
  yield* countRss(cpu, mm, vmFlags, mapped);
  if (MOVE_LIMBO) yield* maybeReloadTlbMm(cpu, mm);
  yield* ptesUnmapUnlock(cpu, mm, ptep);
  if (HINTING && write) yield* letGoOfWritten(cpu, pfn);
  if (!settled) return VM_FAULT_RETRY;
  return result;
}

/**
 * Holds a page stable that is about to be mapped writable, until it is and counts as dirty; with a reference of its own.
 *
 * @returns false where the host has taken the page, which is discarded then, with the caller's reference
 */
function* holdToWrite(cpu: Cpu, pfn: Pfn): Op<boolean> {
  if (!(yield* pageHoldStable(cpu, pfn))) {
    yield* pageDiscard(cpu, pfn);
    return false;
  }
  yield* getPage(cpu, pfn);
  return true;
}

function* letGoOfWritten(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* pageLetGo(cpu, pfn);
  yield* pageCacheRelease(cpu, pfn);
}

/**
 * A private copy for a first write, so that it need not fault twice (Linux: do_cow_fault).
 *
 * @returns as for `mapFilePage`
 */
function* doCowFault(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  file: Word,
  address: Vaddr,
  pgoff: number,
  found: Word,
): Op<number> {
  if (!(yield* anonVmaPrepare(cpu, vma))) return VM_FAULT_OOM;
  const sequence = yield* cpu.readOnce(file + File.truncateCount);
  if (pgoff >= (yield* cpu.readOnce(file + File.size))) return VM_FAULT_SIGBUS;
  const copy = yield* allocPage(cpu);
  if (copy === 0) return VM_FAULT_OOM;
  const { pfn, result } = yield* faultPage(cpu, file, pgoff, true);
  if (pfn === 0) {
    yield* freeNewPage(cpu, copy);
    return result;
  }
  yield* noteReadahead(cpu, file, pgoff, pfn, 1);
  if (HINTING && !(yield* pageHoldStable(cpu, pfn))) {
    yield* pageDiscard(cpu, pfn);
    yield* freeNewPage(cpu, copy);
    return VM_FAULT_RETRY;
  }
  yield* cpu.copyPage(frameOf(copy), frameOf(pfn));
  if (HINTING) yield* pageLetGo(cpu, pfn);
  yield* pageCacheRelease(cpu, pfn);

  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const entry = mkDirtyWritable(mkPte(copy, vmFlags), vmFlags);
  const locked = yield* pteOffsetMapLock(cpu, mm, address, found);
  const ptep = MOVE_REWALK ? yield* delimbo(cpu, mm, locked, address) : locked;
  const settled = (yield* cpu.readOnce(file + File.truncateCount)) === sequence;
  if (settled) yield* setPteHigh(cpu, ptep, vmFlags);
  const installed = settled && (yield* ptepInstall(cpu, ptep, 0, entry));
  if (installed) {
    yield* pageAddNewAnonRmap(cpu, mm, vma, copy, address);
    yield* lruCacheAddActive(cpu, copy);
    yield* countRss(cpu, mm, vmFlags, 1);
  }
  yield* pteUnmapUnlock(cpu, mm, ptep);
  if (!installed) yield* freeNewPage(cpu, copy);
  if (!settled) return VM_FAULT_RETRY;
  return result;
}

/** The page of a file that a fault needs, and what the fault will return. */
interface FaultPage {
  /** With a reference; 0 where there is none, and `result` tells why. */
  readonly pfn: Pfn;
  readonly result: number;
}

/** Finds a page of a file, or reads it, and counts the fault. */
function* faultPage(cpu: Cpu, file: Word, pgoff: number, write: boolean): Op<FaultPage> {
  const cached = FAULT_HINTS
    ? yield* findGetPageStable(cpu, file, pgoff)
    : yield* findGetPage(cpu, file, pgoff);
  if (cached !== 0 && !(yield* waitForPage(cpu, file, pgoff, cached))) {
    return { pfn: 0, result: VM_FAULT_RETRY };
  }
  const major = cached === 0 && (yield* isOnDevice(cpu, file, pgoff));
  const pfn = cached !== 0 ? cached : yield* addCachePage(cpu, file, pgoff, PG_uptodate);
  if (pfn <= 0) return { pfn: 0, result: pfn === CACHE_FULL ? VM_FAULT_OOM : VM_FAULT_SIGBUS };
  // Who cuts the file off tells so by its size first: what was filled since may be zeros in the place of what it held.
  if (pgoff >= (yield* cpu.readOnce(file + File.size))) {
    yield* putPage(cpu, pfn);
    return { pfn: 0, result: VM_FAULT_SIGBUS };
  }
  if (major) yield* countEvent(cpu, PageState.pgmajfault);
  yield* countEvent(cpu, write ? PageState.fault_file_write : PageState.fault_file_read);
  return { pfn, result: major ? VM_FAULT_MAJOR : VM_FAULT_MINOR };
}

/** PTE_WRITE where a shared mapping's writes need not be noticed: a read fault maps it writable. */
function unnoticedWrite(vmFlags: number, fileFlags: number): number {
  const sharedWritable = (vmFlags & (VM_SHARED | VM_WRITE)) === (VM_SHARED | VM_WRITE);
  return sharedWritable && (fileFlags & FILE_MEMORY) !== 0 ? PTE_WRITE : 0;
}

/** A page that marks read-ahead was reached: the mark, of its whole folio, has done its work. */
function* noteReadahead(cpu: Cpu, file: Word, pgoff: number, pfn: Pfn, folio: number): Op<void> {
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  if ((flags & PG_readahead) === 0) return;
  yield* cpu.and(pageOf(pfn) + Page.flags, ~PG_readahead);
  const first = pgoff & -folio;
  for (let index = first; index < first + folio; index++) {
    const other = yield* findGetPage(cpu, file, index);
    if (other === 0) continue;
    yield* cpu.and(pageOf(other) + Page.flags, ~PG_readahead);
    yield* putPage(cpu, other);
  }
}

/** Bare frame numbers are not counted. */
function* countRss(cpu: Cpu, mm: Word, vmFlags: number, pages: number): Op<void> {
  if ((vmFlags & VM_PFNMAP) === 0) yield* updateMmCounter(cpu, mm, MmCounter.rss, pages);
}

/**
 * Where a fault on a file lies in its leaf table, and how far around it pages of the same mapping are.
 *
 *   |<-------- leaf table: PTRS_PER_PTE entries -------->|
 *              |<------ VMA ---------------------->|
 *              ^ first      ^ at                   ^ end
 */
interface FileSpot {
  readonly file: Word;
  readonly ptep: Word;
  /** Index of the faulting pte in its table, and its page in the file. */
  readonly at: number;
  readonly pgoff: number;
  /** Entries of the table that the VMA and the file reach. */
  readonly first: number;
  readonly end: number;
}

function* fileSpot(
  cpu: Cpu,
  vma: Word,
  file: Word,
  address: Vaddr,
  pgoff: number,
  ptep: Word,
): Op<FileSpot> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const vmEnd = yield* cpu.loadWide(vma + Vma.vmEnd);
  const size = yield* cpu.readOnce(file + File.size);
  const at = levelIndex(address, 0);
  const first = Math.max(0, at - (address - start) * PAGES_PER_BYTE);
  const above = (vmEnd - address) * PAGES_PER_BYTE;
  const end = Math.min(PTRS_PER_PTE, at + above, at + size - pgoff);
  return { file, ptep, at, pgoff, first, end };
}

/**
 * Maps the cached pages around a read fault: FAULT_AROUND_PAGES from the aligned start or from the
 * VMA's, whichever is later; and of a folio that reaches into that, all.
 *
 * @returns whether the faulting page is mapped now
 * Locks: takes those of the ptes.
 */
function* doFaultAround(
  cpu: Cpu,
  mm: Word,
  address: Vaddr,
  found: FileSpot,
  vmFlags: number,
): Op<boolean> {
  const { file, at, pgoff } = found;
  const first = Math.max(at & -FAULT_AROUND_PAGES, found.first);
  const end = Math.min(first + FAULT_AROUND_PAGES, found.end);
  const writeBit = unnoticedWrite(vmFlags, yield* cpu.load(file + File.flags));
  let mapped = 0;
  const ptep = yield* ptesOffsetMapLock(cpu, mm, address, found.ptep);
  const spot = KMAP_FAULT_ATOMIC ? { ...found, ptep } : found;
  let index = first;
  while (index < end) {
    const pfn = yield* findGetPage(cpu, file, pgoff + index - at);
    if (pfn === 0) {
      index++;
      continue;
    }
    const wanted = yield* mayMapAround(cpu, pfn);
    const folio = folioPages(yield* cpu.readOnce(pageOf(pfn) + Page.flags));
    if (folio === 1) {
      if (wanted && (yield* mapCached(cpu, spot, index, pfn, vmFlags, writeBit))) mapped++;
      else yield* pageCacheReleaseNocheck(cpu, pfn);
      index++;
      continue;
    }
    yield* putPage(cpu, pfn);
    const folioFirst = index - ((pgoff + index - at) & (folio - 1));
    if (wanted) mapped += yield* mapFolio(cpu, spot, folioFirst, folio, vmFlags, writeBit);
    index = folioFirst + folio;
  }
  yield* countRss(cpu, mm, vmFlags, mapped);
  yield* countEvents(cpu, PageState.fault_around_pages, mapped);
  const done = (yield* ptepGet(cpu, ptep)) !== 0;
  yield* ptesUnmapUnlock(cpu, mm, ptep);
  return done;
}

/** Maps the pages of a folio into the empty ptes that the VMA has for them. @returns how many */
function* mapFolio(
  cpu: Cpu,
  spot: FileSpot,
  folioFirst: number,
  folio: number,
  vmFlags: number,
  writeBit: number,
): Op<number> {
  let mapped = 0;
  const end = Math.min(spot.end, folioFirst + folio);
  for (let index = Math.max(spot.first, folioFirst); index < end; index++) {
    const pfn = yield* findGetPage(cpu, spot.file, spot.pgoff + index - spot.at);
    if (pfn === 0) continue;
    if (yield* mapCached(cpu, spot, index, pfn, vmFlags, writeBit)) mapped++;
    else yield* pageCacheReleaseNocheck(cpu, pfn);
  }
  return mapped;
}

/**
 * Maps a page that was found in the cache at an index of the leaf table, if that is empty. Where the lock is the
 * pte's own, the page must still be in the cache once that is held: truncation takes it out first, and then looks
 * at the ptes.
 */
function* mapCached(
  cpu: Cpu,
  spot: FileSpot,
  index: number,
  pfn: Pfn,
  vmFlags: number,
  writeBit: number,
): Op<boolean> {
  if (HINTING && !(yield* mayMapAsItIs(cpu, pfn))) return false;
  const ptep = spot.ptep + (index - spot.at) * ENTRY_WORDS;
  yield* entryLock(cpu, ptep);
  const cached =
    !PTE_LOCK_BIT || (yield* isCached(cpu, spot.file, spot.pgoff + index - spot.at, pfn));
  const mapped = cached && (yield* installFilePage(cpu, ptep, 0, pfn, vmFlags, writeBit));
  yield* entryUnlock(cpu, ptep);
  return mapped;
}

/**
 * Whether a page may be mapped ahead of a touch. One that the host has taken can, but not once it is being discarded.
 *
 * Locks: those of the ptes.
 */
function* mayMapAsItIs(cpu: Cpu, pfn: Pfn): Op<boolean> {
  if (FAULT_HINTS) return yield* pageMakeStable(cpu, pfn);
  return !CHECKS_DISCARDED || !(yield* pageDiscarded(cpu, pfn));
}

/**
 * Maps all of the folio that the faulting page belongs to, if the VMA, the file and the leaf table
 * hold all of it and none of its ptes is taken (Linux 6.18: finish_fault).
 *
 * @returns pages mapped: all or 0
 */
function* mapWholeFolio(
  cpu: Cpu,
  spot: FileSpot,
  folio: number,
  vmFlags: number,
  writeBit: number,
): Op<number> {
  const first = spot.at - (spot.pgoff & (folio - 1));
  if (first < spot.first || first + folio > spot.end) return 0;
  for (let index = first; index < first + folio; index++) {
    const slot = spot.ptep + (index - spot.at) * ENTRY_WORDS;
    if ((yield* ptepGet(cpu, slot)) !== 0) return 0;
  }
  return yield* mapFolio(cpu, spot, first, folio, vmFlags, writeBit);
}

/** Maps a cached page by a pte that is as it was read; the pte takes over the reference. */
function* installFilePage(
  cpu: Cpu,
  ptep: Word,
  origEntry: number,
  pfn: Pfn,
  vmFlags: number,
  writeBit: number,
): Op<boolean> {
  if ((yield* ptepGet(cpu, ptep)) !== origEntry) return false;
  yield* setPteHigh(cpu, ptep, vmFlags);
  const entry = mkPte(pfn, vmFlags) | writeBit;
  // Before anyone can write: see makeSharedWritable in wp.ts.
  if ((entry & PTE_DIRTY) !== 0) yield* cpu.or(pageOf(pfn) + Page.flags, PG_dirty);
  if (!(yield* ptepInstall(cpu, ptep, origEntry, entry))) return false;
  yield* pageAddFileRmap(cpu, pfn);
  if (FAULT_HINTS) yield* pageMakeVolatile(cpu, pfn, 1);
  return true;
}
