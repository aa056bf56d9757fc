/** msync (Linux: mm/msync.c, 6.x). */
import { EBUSY, EINVAL, EIO, ENOMEM } from '../base/errno.js';
import type { Pfn, Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { ADDRESSES, PAGES_PER_BYTE, pageAlign, pageMask } from '../hardware/machine.js';
import { HINTS_COUNTED } from './design.js';
import { findGetPageStable } from './discard.js';
import { findGetPage, isCached, isFileMemory } from './pagecache.js';
import { writePage } from './writeback.js';
import { Mm } from './layout/mm.js';
import { PG_dirty, PG_locked, Page, pageOf } from './layout/page.js';
import { VM_LOCKED, VM_SHARED, Vma } from './layout/vma.js';
import { pageCacheRelease } from './lru.js';
import { linearPageIndex } from './rmap.js';
import { findVma } from './vmatree.js';

/** Flags of the call (include/uapi/asm-generic/mman-common.h). */
export const MS_ASYNC = 1;
export const MS_INVALIDATE = 2;
export const MS_SYNC = 4;

/**
 * System call: writes back what a range shows of files, with MS_SYNC; the other flags only check.
 *
 * @returns 0 or a negative errno; holes are passed over, and answered with -ENOMEM at the end
 */
export function* sysMsync(cpu: Cpu, address: Vaddr, length: number, flags: number): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0) return -EINVAL;
  if (address !== pageMask(address)) return -EINVAL;
  if ((flags & MS_ASYNC) !== 0 && (flags & MS_SYNC) !== 0) return -EINVAL;
  const end = address + pageAlign(length);
  if (end >= ADDRESSES) return -ENOMEM;
  if (end === address) return 0;
  const mm = cpu.mm;
  yield* cpu.downRead(mm + Mm.mmapSem);
  const result = yield* msyncRange(cpu, mm, address, end, flags);
  yield* cpu.upRead(mm + Mm.mmapSem);
  return result;
}

function* msyncRange(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr, flags: number): Op<number> {
  let holes = 0;
  let from = start;
  while (from < end) {
    const vma = yield* findVma(cpu, mm, from);
    if (vma === 0) return -ENOMEM;
    const vmStart = yield* cpu.loadWide(vma + Vma.vmStart);
    if (vmStart > from) {
      if (flags === MS_ASYNC || vmStart >= end) return -ENOMEM;
      holes = -ENOMEM;
      from = vmStart;
    }
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    if ((flags & MS_INVALIDATE) !== 0 && (vmFlags & VM_LOCKED) !== 0) return -EBUSY;
    const to = Math.min(end, yield* cpu.loadWide(vma + Vma.vmEnd));
    const file = yield* cpu.load(vma + Vma.vmFile);
    if ((flags & MS_SYNC) !== 0 && file !== 0 && (vmFlags & VM_SHARED) !== 0) {
      const first = yield* linearPageIndex(cpu, vma, from);
      const error = yield* fsyncRange(cpu, file, first, first + (to - from) * PAGES_PER_BYTE);
      if (error < 0) return error;
    }
    from = to;
  }
  return holes;
}

/**
 * Writes dirty pages of a file back: each is clean from then on, in every mapping that shows it.
 *
 * @returns 0, or -EIO if the device could not take one: it stays dirty
 */
function* fsyncRange(cpu: Cpu, file: Word, first: number, end: number): Op<number> {
  if (yield* isFileMemory(cpu, file)) return 0;
  let result = 0;
  for (let index = first; index < end; index++) {
    const pfn = HINTS_COUNTED
      ? yield* findGetPageStable(cpu, file, index)
      : yield* findGetPage(cpu, file, index);
    if (pfn === 0) continue;
    const flags = pageOf(pfn) + Page.flags;
    if (((yield* cpu.readOnce(flags)) & PG_dirty) !== 0) {
      yield* cpu.lockBit(flags, PG_locked);
      if (!(yield* syncPage(cpu, file, index, pfn))) result = -EIO;
      yield* cpu.unlockBit(flags, PG_locked);
    }
    yield* pageCacheRelease(cpu, pfn);
  }
  return result;
}

/** Locks: the page's. @returns whether the device could */
function* syncPage(cpu: Cpu, file: Word, index: number, pfn: Pfn): Op<boolean> {
  if (!(yield* isCached(cpu, file, index, pfn))) return true;
  const dirty = ((yield* cpu.readOnce(pageOf(pfn) + Page.flags)) & PG_dirty) !== 0;
  return !dirty || (yield* writePage(cpu, pfn));
}
