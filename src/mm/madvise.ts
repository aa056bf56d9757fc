/** madvise (Linux: do_madvise, mm/madvise.c, 6.x). */
import { EACCES, EAGAIN, EINVAL, ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { ADDRESSES, PAGES_PER_BYTE, pageAlign, pageMask } from '../hardware/machine.js';
import { readCachePage } from './filemap.js';
import { isOnDevice } from './pagecache.js';
import { File } from './layout/file.js';
import { Mm } from './layout/mm.js';
import { PG_uptodate } from './layout/page.js';
import {
  VM_DONTCOPY,
  VM_DONTDUMP,
  VM_HUGEPAGE,
  VM_LOCKED,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_NOHUGEPAGE,
  VM_PFNMAP,
  VM_RAND_READ,
  VM_SEQ_READ,
  VM_SHARED,
  VM_WIPEONFORK,
  Vma,
} from './layout/vma.js';
import { freePageRange } from './lazyfree.js';
import { putPage } from './lru.js';
import { pageOutRange } from './pageout.js';
import { madvisePopulate } from './populate.js';
import { linearPageIndex } from './rmap.js';
import { punchHole } from './truncate.js';
import { modifyVma } from './vmas.js';
import { findVma } from './vmatree.js';
import { zapAndReclaimTables, zapPageRange } from './zap.js';
import { mmapWriteLock, mmapWriteUnlock, vmaStartWrite } from './mmapLock.js';

/** Advice that is understood (include/uapi/asm-generic/mman-common.h). */
export const MADV_NORMAL = 0;
export const MADV_RANDOM = 1;
export const MADV_SEQUENTIAL = 2;
export const MADV_WILLNEED = 3;
export const MADV_DONTNEED = 4;
export const MADV_FREE = 8;
export const MADV_REMOVE = 9;
export const MADV_DONTFORK = 10;
export const MADV_DOFORK = 11;
export const MADV_HUGEPAGE = 14;
export const MADV_NOHUGEPAGE = 15;
export const MADV_DONTDUMP = 16;
export const MADV_DODUMP = 17;
export const MADV_WIPEONFORK = 18;
export const MADV_KEEPONFORK = 19;
export const MADV_PAGEOUT = 21;
export const MADV_POPULATE_READ = 22;
export const MADV_POPULATE_WRITE = 23;
export const MADV_DONTNEED_LOCKED = 24;

/** Advice that only changes a VMA's flags: those it takes away, and those it sets. */
const FLAG_ADVICE: Readonly<Record<number, { clear: number; set: number } | undefined>> = {
  [MADV_NORMAL]: { clear: VM_RAND_READ | VM_SEQ_READ, set: 0 },
  [MADV_RANDOM]: { clear: VM_SEQ_READ, set: VM_RAND_READ },
  [MADV_SEQUENTIAL]: { clear: VM_RAND_READ, set: VM_SEQ_READ },
  [MADV_DONTFORK]: { clear: 0, set: VM_DONTCOPY },
  [MADV_DOFORK]: { clear: VM_DONTCOPY, set: 0 },
  [MADV_HUGEPAGE]: { clear: VM_NOHUGEPAGE, set: VM_HUGEPAGE },
  [MADV_NOHUGEPAGE]: { clear: VM_HUGEPAGE, set: VM_NOHUGEPAGE },
  [MADV_DONTDUMP]: { clear: 0, set: VM_DONTDUMP },
  [MADV_DODUMP]: { clear: VM_DONTDUMP, set: 0 },
  [MADV_WIPEONFORK]: { clear: 0, set: VM_WIPEONFORK },
  [MADV_KEEPONFORK]: { clear: VM_WIPEONFORK, set: 0 },
};

/** Advice that acts on the pages. */
const PAGE_ADVICE: readonly number[] = [
  MADV_WILLNEED,
  MADV_DONTNEED,
  MADV_FREE,
  MADV_REMOVE,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_DONTNEED_LOCKED,
];

/**
 * System call.
 *
 * @param advice - one of MADV_
 * @returns 0 or a negative errno. Holes are passed over, and answered with -ENOMEM at the end.
 */
export function* sysMadvise(cpu: Cpu, address: Vaddr, length: number, advice: number): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  const end = address + pageAlign(length);
  const known = FLAG_ADVICE[advice] !== undefined || PAGE_ADVICE.includes(advice);
  if (!known || address !== pageMask(address) || end >= ADDRESSES) return -EINVAL;
  if (end === address) return 0;
  const mm = cpu.mm;
  const populates = advice === MADV_POPULATE_READ || advice === MADV_POPULATE_WRITE;
  if (populates || advice === MADV_PAGEOUT) {
    const write = advice === MADV_POPULATE_WRITE;
    yield* cpu.downRead(mm + Mm.mmapSem);
    const done = populates
      ? yield* madvisePopulate(cpu, mm, address, end, write)
      : yield* madviseWalk(cpu, mm, address, end, advice);
    yield* cpu.upRead(mm + Mm.mmapSem);
    return done;
  }
  // Linux takes it for reading where pages only are acted on; ours must not meet faults there.
  yield* mmapWriteLock(cpu, mm);
  const result = yield* madviseWalk(cpu, mm, address, end, advice);
  yield* mmapWriteUnlock(cpu, mm);
  return result;
}

function* madviseWalk(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr, advice: number): Op<number> {
  let holes = 0;
  let from = start;
  while (from < end) {
    const vma = yield* findVma(cpu, mm, from);
    if (vma === 0) return -ENOMEM;
    const vmStart = yield* cpu.loadWide(vma + Vma.vmStart);
    if (vmStart > from) {
      holes = -ENOMEM;
      from = vmStart;
      if (from >= end) break;
    }
    const to = Math.min(end, yield* cpu.loadWide(vma + Vma.vmEnd));
    const error = yield* madviseVma(cpu, mm, vma, from, to, advice);
    if (error < 0) return error;
    from = to;
  }
  return holes;
}

function* madviseVma(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  start: Vaddr,
  end: Vaddr,
  advice: number,
): Op<number> {
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const file = yield* cpu.load(vma + Vma.vmFile);
  const change = FLAG_ADVICE[advice];
  if (change !== undefined) {
    if (advice === MADV_WIPEONFORK && file !== 0) return -EINVAL;
    const wanted = (vmFlags & ~change.clear) | change.set;
    if (wanted === vmFlags) return 0;
    return (yield* modifyVma(cpu, mm, vma, start, end, wanted)) === 0 ? -EAGAIN : 0;
  }
  switch (advice) {
    case MADV_WILLNEED:
      if (file !== 0) yield* readAhead(cpu, vma, file, start, end);
      return 0;
    case MADV_PAGEOUT:
      if ((vmFlags & (VM_LOCKED | VM_PFNMAP)) !== 0) return -EINVAL;
      yield* pageOutRange(cpu, mm, start, end);
      return 0;
    case MADV_REMOVE:
      if ((vmFlags & VM_LOCKED) !== 0 || file === 0) return -EINVAL;
      if ((vmFlags & (VM_SHARED | VM_MAYWRITE)) !== (VM_SHARED | VM_MAYWRITE)) return -EACCES;
      return yield* removePages(cpu, vma, file, start, end);
    default: {
      const forbidden = advice === MADV_DONTNEED_LOCKED ? VM_PFNMAP : VM_PFNMAP | VM_LOCKED;
      if ((vmFlags & forbidden) !== 0) return -EINVAL;
      yield* vmaStartWrite(cpu, vma);
      if (advice === MADV_DONTNEED) yield* zapAndReclaimTables(cpu, mm, vma, start, end);
      else if (advice !== MADV_FREE) yield* zapPageRange(cpu, mm, vma, start, end);
      else if (file !== 0 || (vmFlags & VM_MAYSHARE) !== 0) return -EINVAL;
      else yield* freePageRange(cpu, mm, start, end);
      return 0;
    }
  }
}

/** Reads the pages of a file that a range maps into the cache (Linux: force_page_cache_readahead). */
function* readAhead(cpu: Cpu, vma: Word, file: Word, start: Vaddr, end: Vaddr): Op<void> {
  const first = yield* linearPageIndex(cpu, vma, start);
  const pages = (end - start) * PAGES_PER_BYTE;
  const stop = Math.min(first + pages, yield* cpu.readOnce(file + File.size));
  for (let index = first; index < stop; index++) {
    // Of a file in memory, what nobody wrote is not there to be read.
    if (!(yield* isOnDevice(cpu, file, index))) continue;
    const pfn = yield* readCachePage(cpu, file, index, PG_uptodate);
    if (pfn <= 0) return;
    yield* putPage(cpu, pfn);
  }
}

/** MADV_REMOVE: the pages of the file go, for everybody. */
function* removePages(cpu: Cpu, vma: Word, file: Word, start: Vaddr, end: Vaddr): Op<number> {
  const first = yield* linearPageIndex(cpu, vma, start);
  const stop = first + (end - start) * PAGES_PER_BYTE;
  return yield* punchHole(cpu, file, first, stop);
}
