/**
 * A touch of a page that is not mapped (Linux: do_no_page, mm/memory.c, 2.6.10; fault-around as in
 * do_fault_around and filemap_map_pages, 3.15 and later).
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { ENTRY_WORDS, PAGES_PER_BYTE, PTE_WRITE, levelIndex } from '../hardware/machine.js';
import { doAnonymousPage } from './anonymous.js';
import { MmCounter, countEvent, countEvents, updateMmCounter } from './counters.js';
import { FAULT_AROUND_PAGES } from './design.js';
import { findGetPage, mayMapAround, readCachePage } from './filemap.js';
import { FILE_MEMORY, FILE_NO_MAP_PAGES, File } from './layout/file.js';
import { Mm } from './layout/mm.js';
import { PG_dirty, PG_readahead, PG_uptodate, Page, pageOf } from './layout/page.js';
import { PageState } from './layout/percpu.js';
import { VM_PFNMAP, VM_SHARED, VM_WRITE, Vma } from './layout/vma.js';
import { pageTableAtomicStop } from './locking.js';
import { lruCacheAddActive, putPage } from './lru.js';
import { allocPage, freeNewPage } from './pagealloc.js';
import { PTRS_PER_PTE, mkDirtyWritable, mkPte, ptepInstall, setPteHigh } from './pgtable.js';
import { anonVmaPrepare, pageAddNewAnonRmap, pageAddFileRmap } from './rmap.js';
import { VM_FAULT_MAJOR, VM_FAULT_MINOR, VM_FAULT_OOM, VM_FAULT_SIGBUS } from './vmfault.js';

/**
 * Maps a page of anonymous memory or of a file.
 *
 * @param origEntry - the empty pte, as read
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
  origEntry: number,
): Op<number> {
  const file = yield* cpu.load(vma + Vma.vmFile);
  if (file === 0) {
    return yield* doAnonymousPage(cpu, mm, vma, address, write, ptep, origEntry);
  }
  yield* pageTableAtomicStop(cpu, mm);
  return yield* doFilePage(cpu, mm, vma, file, address, write, ptep);
}

function* doFilePage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  file: Word,
  address: Vaddr,
  write: boolean,
  ptep: Word,
): Op<number> {
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const pgoff = (yield* cpu.load(vma + Vma.vmPgoff)) + (((address - start) * PAGES_PER_BYTE) | 0);
  if (pgoff >= (yield* cpu.readOnce(file + File.size))) return VM_FAULT_SIGBUS;

  const fileFlags = yield* cpu.load(file + File.flags);
  const around = FAULT_AROUND_PAGES > 1 && (fileFlags & FILE_NO_MAP_PAGES) === 0;
  if (!write && around && (yield* doFaultAround(cpu, mm, vma, file, address, pgoff, ptep))) {
    yield* countEvent(cpu, PageState.fault_file_read);
    return VM_FAULT_MINOR;
  }

  let result = VM_FAULT_MINOR;
  let pfn = yield* findGetPage(cpu, file, pgoff);
  if (pfn === 0) {
    pfn = yield* readCachePage(cpu, file, pgoff, PG_uptodate);
    if (pfn === 0) return VM_FAULT_OOM;
    if ((fileFlags & FILE_MEMORY) === 0) {
      result = VM_FAULT_MAJOR;
      yield* countEvent(cpu, PageState.pgmajfault);
    }
  }
  yield* noteReadahead(cpu, pfn);
  const privateWrite = write && (vmFlags & VM_SHARED) === 0;
  if (privateWrite) {
    const copy = yield* copyOfFilePage(cpu, vma, pfn);
    yield* putPage(cpu, pfn);
    if (copy === 0) return VM_FAULT_OOM;
    pfn = copy;
  }
  yield* countEvent(cpu, write ? PageState.fault_file_write : PageState.fault_file_read);

  yield* cpu.spinLock(mm + Mm.pageTableLock);
  yield* setPteHigh(cpu, ptep, vmFlags);
  const entry = mkPte(pfn, vmFlags);
  const installed = write
    ? mkDirtyWritable(entry, vmFlags)
    : entry | unnoticedWrite(vmFlags, fileFlags);
  if (!(yield* ptepInstall(cpu, ptep, 0, installed))) {
    yield* cpu.spinUnlock(mm + Mm.pageTableLock);
    if (privateWrite) yield* freeNewPage(cpu, pfn);
    else yield* putPage(cpu, pfn);
    return VM_FAULT_MINOR;
  }
  if (privateWrite) {
    yield* pageAddNewAnonRmap(cpu, mm, vma, pfn, address);
    yield* lruCacheAddActive(cpu, pfn);
  } else {
    if (write) yield* cpu.or(pageOf(pfn) + Page.flags, PG_dirty);
    yield* pageAddFileRmap(cpu, pfn);
  }
  yield* countRss(cpu, mm, vmFlags, 1);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  return result;
}

/** PTE_WRITE where a shared mapping's writes need not be noticed: a read fault maps it writable. */
function unnoticedWrite(vmFlags: number, fileFlags: number): number {
  const sharedWritable = (vmFlags & (VM_SHARED | VM_WRITE)) === (VM_SHARED | VM_WRITE);
  return sharedWritable && (fileFlags & FILE_MEMORY) !== 0 ? PTE_WRITE : 0;
}

/** A private copy for a first write, so that it need not fault twice; 0 when memory is full. */
function* copyOfFilePage(cpu: Cpu, vma: Word, pfn: Pfn): Op<Pfn> {
  if (!(yield* anonVmaPrepare(cpu, vma))) return 0;
  const copy = yield* allocPage(cpu);
  if (copy !== 0) yield* cpu.copyPage(frameOf(copy), frameOf(pfn));
  return copy;
}

/** A page that marks read-ahead was reached: the mark has done its work. */
function* noteReadahead(cpu: Cpu, pfn: Pfn): Op<void> {
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  if ((flags & PG_readahead) !== 0) yield* cpu.and(pageOf(pfn) + Page.flags, ~PG_readahead);
}

/** Bare frame numbers are not counted. */
function* countRss(cpu: Cpu, mm: Word, vmFlags: number, pages: number): Op<void> {
  if ((vmFlags & VM_PFNMAP) === 0) yield* updateMmCounter(cpu, mm, MmCounter.rss, pages);
}

/**
 * Maps the cached pages around a read fault: FAULT_AROUND_PAGES from the aligned start or from the
 * VMA's, whichever is later, cut to the VMA, the leaf table and the file.
 *
 *   |<-------- leaf table: PTRS_PER_PTE entries -------->|
 *          ^ aligned start
 *              |<--- VMA ------------------------->|
 *              |<- FAULT_AROUND_PAGES ->|
 *
 * @returns whether the faulting page is mapped now
 * Locks: takes page_table_lock.
 */
function* doFaultAround(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  file: Word,
  address: Vaddr,
  pgoff: number,
  ptep: Word,
): Op<boolean> {
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const vmEnd = yield* cpu.loadWide(vma + Vma.vmEnd);
  const size = yield* cpu.readOnce(file + File.size);
  const pteIndex = levelIndex(address, 0);
  const below = ((address - start) * PAGES_PER_BYTE) | 0;
  const above = ((vmEnd - address) * PAGES_PER_BYTE) | 0;
  const first = Math.max(pteIndex & -FAULT_AROUND_PAGES, pteIndex - below);
  const end = Math.min(
    first + FAULT_AROUND_PAGES,
    PTRS_PER_PTE,
    pteIndex + above,
    pteIndex + size - pgoff,
  );

  const writeBit = unnoticedWrite(vmFlags, yield* cpu.load(file + File.flags));
  let mapped = 0;
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  for (let index = first; index < end; index++) {
    const step = index - pteIndex;
    const slot = ptep + step * ENTRY_WORDS;
    if ((yield* cpu.readOnce(slot)) !== 0) continue;
    const pfn = yield* findGetPage(cpu, file, pgoff + step);
    if (pfn === 0) continue;
    const wanted = yield* mayMapAround(cpu, pfn);
    if (!wanted || !(yield* mapFilePage(cpu, slot, pfn, vmFlags, writeBit))) {
      yield* putPage(cpu, pfn);
      continue;
    }
    mapped++;
  }
  yield* countRss(cpu, mm, vmFlags, mapped);
  yield* countEvents(cpu, PageState.fault_around_pages, mapped);
  const done = (yield* cpu.readOnce(ptep)) !== 0;
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  return done;
}

/** Maps a cached page into an empty pte, which takes over the reference. */
function* mapFilePage(
  cpu: Cpu,
  ptep: Word,
  pfn: Pfn,
  vmFlags: number,
  writeBit: number,
): Op<boolean> {
  yield* setPteHigh(cpu, ptep, vmFlags);
  if (!(yield* ptepInstall(cpu, ptep, 0, mkPte(pfn, vmFlags) | writeBit))) return false;
  yield* pageAddFileRmap(cpu, pfn);
  return true;
}
