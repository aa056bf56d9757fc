/**
 * Pages of a file that go away under the mappings that show them (Linux: mm/truncate.c, unmap_mapping_range).
 *
 * Locks: the file's iSem keeps two that change it apart, so that who returns finds done what was asked for; its
 * mmapLock keeps its VMAs where they are; then those of the ptes.
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { HINTING } from '../hardware/hostStates.js';
import { PAGES_PER_BYTE, PAGE_SIZE } from '../hardware/machine.js';
import { EIO, ENOMEM } from '../base/errno.js';
import { pageDiscard } from './discard.js';
import { CACHE_FULL, readCachePage } from './filemap.js';
import { deleteFromPageCache } from './pagecache.js';
import { File } from './layout/file.js';
import { PG_dirty, PG_uptodate, Page, pageOf } from './layout/page.js';
import { VM_NONLINEAR, Vma } from './layout/vma.js';
import { pageCacheRelease } from './lru.js';
import { pageHoldStable, pageLetGo } from './pageStates.js';
import { zapPageRange } from './zap.js';

/**
 * Changes a file's length. What a shorter one loses is unmapped everywhere, private copies too, and later
 * touches of it are SIGBUS (Linux: truncate_setsize).
 *
 * @param size - in pages
 */
export function* truncateFile(cpu: Cpu, file: Word, size: number): Op<void> {
  yield* cpu.downWrite(file + File.iSem);
  yield* setSize(cpu, file, size);
  yield* cpu.upWrite(file + File.iSem);
}

function* setSize(cpu: Cpu, file: Word, size: number): Op<void> {
  const old = yield* cpu.readOnce(file + File.size);
  yield* cpu.writeOnce(file + File.size, size);
  if (size < (yield* cpu.readOnce(file + File.onDevice))) {
    yield* cpu.writeOnce(file + File.onDevice, size);
  }
  if (size >= old) {
    // What is written there later lies behind a hole, which the device must not make up.
    if (size > old) yield* cpu.truncateDevice(file, old);
    return;
  }
  yield* dropPages(cpu, file, size, old, true);
  yield* cpu.truncateDevice(file, size);
}

/**
 * Makes pages of a file zeros (Linux: fallocate with FALLOC_FL_PUNCH_HOLE).
 *
 * @returns 0 or a negative errno
 */
export function* punchHole(cpu: Cpu, file: Word, first: number, end: number): Op<number> {
  yield* cpu.downWrite(file + File.iSem);
  const result = yield* zeroPages(cpu, file, first, end);
  yield* cpu.upWrite(file + File.iSem);
  return result;
}

/**
 * What the device has is zeroed in the cache, where it stays: a page that was taken out could be read again, as it was
 * before the hole or before an earlier one, until its zeros are there.
 */
function* zeroPages(cpu: Cpu, file: Word, first: number, end: number): Op<number> {
  yield* unmapMappingRange(cpu, file, first, end, false);
  let result = 0;
  for (let index = first; index < end && result === 0; index++) {
    if (index >= (yield* cpu.readOnce(file + File.onDevice))) {
      yield* deleteFromPageCache(cpu, file, index);
    }
    // Again: somebody may have written it back before it was out of the cache.
    if (index >= (yield* cpu.readOnce(file + File.onDevice))) continue;
    result = yield* zeroCachePage(cpu, file, index);
  }
  // As in dropPages.
  yield* unmapMappingRange(cpu, file, first, end, false);
  return result;
}

/** @returns 0 or a negative errno */
function* zeroCachePage(cpu: Cpu, file: Word, index: number): Op<number> {
  const pfn = yield* readCachePage(cpu, file, index, PG_uptodate | PG_dirty);
  if (pfn <= 0) return pfn === CACHE_FULL ? -ENOMEM : -EIO;
  if (HINTING && !(yield* pageHoldStable(cpu, pfn))) {
    yield* pageDiscard(cpu, pfn);
    return yield* zeroCachePage(cpu, file, index);
  }
  // Programs may be reading it.
  yield* cpu.zeroPageOnce(frameOf(pfn));
  // Again: somebody may have found it first, or written it back since.
  yield* cpu.or(pageOf(pfn) + Page.flags, PG_dirty);
  if (HINTING) yield* pageLetGo(cpu, pfn);
  yield* pageCacheRelease(cpu, pfn);
  return 0;
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
    const vmFlags = yield* cpu.readOnce(vma + Vma.vmFlags);
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
