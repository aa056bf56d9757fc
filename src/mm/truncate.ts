/**
 * Pages of a file that go away, or lose their dirt, under the mappings that show them (Linux: mm/truncate.c,
 * unmap_mapping_range; page_mkclean of mm/rmap.c).
 *
 * Locks: the file's mmapLock keeps its VMAs where they are; then those of the ptes.
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import {
  PAGES_PER_BYTE,
  PAGE_SIZE,
  PTE_DIRTY,
  PTE_WRITE,
  entryPfn,
  pteOffset,
} from '../hardware/machine.js';
import { deleteFromPageCache, readCachePage } from './filemap.js';
import { File } from './layout/file.js';
import { PG_dirty, PG_uptodate } from './layout/page.js';
import { VM_NONLINEAR, VM_SHARED, Vma } from './layout/vma.js';
import { putPage } from './lru.js';
import { entryLock, entryUnlock, ptesLock, ptesUnlock } from './locking.js';
import { leafTable, nextSpan, ptePresent, ptepClearBits, ptepGet } from './pgtable.js';
import { flushTlbMm } from './tlbflush.js';
import { zapPageRange } from './zap.js';

/**
 * Changes a file's length. What a shorter one loses is unmapped everywhere, private copies too, and later
 * touches of it are SIGBUS (Linux: truncate_setsize).
 *
 * @param size - in pages
 */
export function* truncateFile(cpu: Cpu, file: Word, size: number): Op<void> {
  const old = yield* cpu.readOnce(file + File.size);
  yield* cpu.writeOnce(file + File.size, size);
  if (size < (yield* cpu.readOnce(file + File.onDevice))) {
    yield* cpu.writeOnce(file + File.onDevice, size);
  }
  if (size < old) yield* dropPages(cpu, file, size, old, true);
}

/**
 * Makes pages of a file zeros (Linux: fallocate with FALLOC_FL_PUNCH_HOLE).
 *
 * @returns false when memory is full
 */
export function* punchHole(cpu: Cpu, file: Word, first: number, end: number): Op<boolean> {
  const onDevice = yield* cpu.readOnce(file + File.onDevice);
  yield* dropPages(cpu, file, first, end, false);
  for (let index = first; index < Math.min(end, onDevice); index++) {
    // What the device still has must not be read again.
    const pfn = yield* readCachePage(cpu, file, index, PG_uptodate | PG_dirty);
    if (pfn === 0) return false;
    yield* cpu.zeroPage(frameOf(pfn));
    yield* putPage(cpu, pfn);
  }
  return true;
}

/**
 * Takes pages of a file out of the cache and out of all mappings.
 *
 * @param evenCows - whether private copies of the pages go too
 */
export function* dropPages(
  cpu: Cpu,
  file: Word,
  first: number,
  end: number,
  evenCows: boolean,
): Op<void> {
  yield* unmapMappingRange(cpu, file, first, end, evenCows);
  for (let index = first; index < end; index++) yield* deleteFromPageCache(cpu, file, index);
  // A fault may have mapped one of them again before it was out of the cache. One that has found it and
  // not mapped it yet sees that the count has changed.
  yield* unmapMappingRange(cpu, file, first, end, evenCows);
}

function* unmapMappingRange(
  cpu: Cpu,
  file: Word,
  first: number,
  end: number,
  evenCows: boolean,
): Op<void> {
  yield* cpu.spinLock(file + File.mmapLock);
  yield* cpu.add(file + File.truncateCount, 1);
  let vma = yield* cpu.load(file + File.mmapList);
  while (vma !== 0) {
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    const mm = yield* cpu.load(vma + Vma.vmMm);
    const pages = { first, end, evenCows };
    if ((vmFlags & VM_NONLINEAR) !== 0) {
      const start = yield* cpu.loadWide(vma + Vma.vmStart);
      const stop = yield* cpu.loadWide(vma + Vma.vmEnd);
      yield* zapPageRange(cpu, mm, vma, start, stop, pages);
    } else {
      const { from, to } = yield* addressesOf(cpu, vma, first, end);
      if (from < to) yield* zapPageRange(cpu, mm, vma, from, to, pages);
    }
    vma = yield* cpu.load(vma + Vma.fileNext);
  }
  yield* cpu.spinUnlock(file + File.mmapLock);
}

/** Where a VMA maps a range of its file's pages; empty if nowhere. */
function* addressesOf(
  cpu: Cpu,
  vma: Word,
  first: number,
  end: number,
): Op<{ from: Vaddr; to: Vaddr }> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const vmEnd = yield* cpu.loadWide(vma + Vma.vmEnd);
  const pgoff = yield* cpu.load(vma + Vma.vmPgoff);
  const pages = (vmEnd - start) * PAGES_PER_BYTE;
  const from = Math.min(Math.max(first - pgoff, 0), pages);
  const to = Math.min(Math.max(end - pgoff, 0), pages);
  return { from: start + from * PAGE_SIZE, to: start + to * PAGE_SIZE };
}

/**
 * Takes write from all ptes that map a page of a file, so that the next write is noticed (Linux:
 * page_mkclean).
 */
export function* pageMkclean(cpu: Cpu, file: Word, index: number, pfn: Pfn): Op<void> {
  yield* cpu.spinLock(file + File.mmapLock);
  let vma = yield* cpu.load(file + File.mmapList);
  while (vma !== 0) {
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    if ((vmFlags & VM_SHARED) !== 0) {
      const whole = (vmFlags & VM_NONLINEAR) !== 0;
      const { from, to } = whole
        ? { from: yield* cpu.loadWide(vma + Vma.vmStart), to: yield* cpu.loadWide(vma + Vma.vmEnd) }
        : yield* addressesOf(cpu, vma, index, index + 1);
      const mm = yield* cpu.load(vma + Vma.vmMm);
      yield* cleanPtes(cpu, mm, from, to, pfn);
    }
    vma = yield* cpu.load(vma + Vma.fileNext);
  }
  yield* cpu.spinUnlock(file + File.mmapLock);
}

function* cleanPtes(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr, pfn: Pfn): Op<void> {
  let cleaned = false;
  let address = start;
  while (address < end) {
    const table = yield* leafTable(cpu, mm, address);
    if (table < 0) {
      address = nextSpan(address, -table);
      continue;
    }
    const stop = Math.min(end, nextSpan(address, 1));
    yield* ptesLock(cpu, mm, table);
    for (; address < stop; address += PAGE_SIZE) {
      if (yield* cleanPte(cpu, table + pteOffset(address), pfn)) cleaned = true;
    }
    yield* ptesUnlock(cpu, mm, table);
  }
  if (cleaned) yield* flushTlbMm(cpu, mm);
}

/** @returns whether the pte maps the page */
function* cleanPte(cpu: Cpu, ptep: Word, pfn: Pfn): Op<boolean> {
  if ((yield* cpu.readOnce(ptep)) === 0) return false;
  yield* entryLock(cpu, ptep);
  const entry = yield* ptepGet(cpu, ptep);
  const maps = ptePresent(entry) && entryPfn(entry) === pfn;
  if (maps) yield* ptepClearBits(cpu, ptep, PTE_WRITE | PTE_DIRTY);
  yield* entryUnlock(cpu, ptep);
  return maps;
}
