/** mlock and its family (Linux: mm/mlock.c, 6.x). */
import { EAGAIN, EFAULT, EINVAL, ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { ADDRESSES, PAGES_PER_BYTE, PAGE_SIZE, TASK_SIZE, pageMask } from '../hardware/machine.js';
import { accountLocked, mayLock } from './accounting.js';
import { Mm } from './layout/mm.js';
import { VM_LOCKED, VM_LOCKED_MASK, VM_LOCKONFAULT, VM_PFNMAP, Vma } from './layout/vma.js';
import { mlockPopulate, mmPopulate } from './populate.js';
import { modifyVma } from './vmas.js';
import { findVma } from './vmatree.js';
import { mmapWriteLock, mmapWriteUnlock } from './mmapLock.js';

/** Flag of mlock2 (include/uapi/asm-generic/mman-common.h). */
export const MLOCK_ONFAULT = 1;
/** Flags of mlockall (include/uapi/asm-generic/mman.h). */
export const MCL_CURRENT = 1;
export const MCL_FUTURE = 2;
export const MCL_ONFAULT = 4;

/**
 * System call mlock2: locks a range, and maps all of it unless that is to wait for the first touch.
 *
 * @param flags - 0 or MLOCK_ONFAULT
 * @returns 0 or a negative errno; a range that could not be mapped is locked all the same
 */
export function* sysMlock(cpu: Cpu, address: Vaddr, length: number, flags: number): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  if ((flags & ~MLOCK_ONFAULT) !== 0) return -EINVAL;
  const mm = cpu.mm;
  const start = pageMask(address);
  const end = pagesEnd(address, length);
  yield* mmapWriteLock(cpu, mm);
  const onFault = (flags & MLOCK_ONFAULT) !== 0 ? VM_LOCKONFAULT : 0;
  const allowed = yield* mayLockRange(cpu, mm, start, end);
  const error = allowed ? yield* lockRange(cpu, mm, start, end, VM_LOCKED | onFault) : -ENOMEM;
  yield* mmapWriteUnlock(cpu, mm);
  if (error < 0) return error;
  const populated = yield* mlockPopulate(cpu, mm, start, end);
  // POSIX wants other numbers for these.
  if (populated === -EFAULT) return -ENOMEM;
  return populated === -ENOMEM ? -EAGAIN : populated;
}

/** System call. @returns 0 or a negative errno */
export function* sysMunlock(cpu: Cpu, address: Vaddr, length: number): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  const mm = cpu.mm;
  yield* mmapWriteLock(cpu, mm);
  const error = yield* lockRange(cpu, mm, pageMask(address), pagesEnd(address, length), 0);
  yield* mmapWriteUnlock(cpu, mm);
  return error;
}

/**
 * System call: locks all there is, all that will be, or both.
 *
 * @param flags - MCL_ bits
 */
export function* sysMlockall(cpu: Cpu, flags: number): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  const unknown = (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0;
  if (unknown || flags === 0 || flags === MCL_ONFAULT) return -EINVAL;
  const mm = cpu.mm;
  const current = (flags & MCL_CURRENT) !== 0;
  const lock = VM_LOCKED | ((flags & MCL_ONFAULT) !== 0 ? VM_LOCKONFAULT : 0);
  yield* mmapWriteLock(cpu, mm);
  const total = yield* cpu.load(mm + Mm.totalVm);
  const allowed = !current || total <= (yield* cpu.load(mm + Mm.rlimitMemlock));
  if (allowed) {
    yield* cpu.store(mm + Mm.defFlags, (flags & MCL_FUTURE) !== 0 ? lock : 0);
    if (current) yield* lockAll(cpu, mm, lock);
  }
  yield* mmapWriteUnlock(cpu, mm);
  if (!allowed) return -ENOMEM;
  if (current) yield* mmPopulate(cpu, mm, 0, TASK_SIZE);
  return 0;
}

/** System call. */
export function* sysMunlockall(cpu: Cpu): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  const mm = cpu.mm;
  yield* mmapWriteLock(cpu, mm);
  yield* cpu.store(mm + Mm.defFlags, 0);
  yield* lockAll(cpu, mm, 0);
  yield* mmapWriteUnlock(cpu, mm);
  return 0;
}

/**
 * End of the pages that a range touches, which may be ADDRESSES or more: it wraps round. Whole pages and the
 * rest are counted apart: a double does not hold the sum of a small and a huge number.
 */
function pagesEnd(address: Vaddr, length: number): Vaddr {
  const whole = pageMask(length);
  const rest = address - pageMask(address) + (length - whole);
  const bytes = whole + Math.ceil(rest * PAGES_PER_BYTE) * PAGE_SIZE;
  return pageMask(address) + (bytes >= ADDRESSES ? bytes - ADDRESSES : bytes);
}

/** What of a range is locked already does not count again. */
function* mayLockRange(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<boolean> {
  const pages = (end - start) * PAGES_PER_BYTE;
  if (yield* mayLock(cpu, mm, pages)) return true;
  let already = 0;
  let vma = yield* findVma(cpu, mm, start);
  while (vma !== 0) {
    const from = Math.max(start, yield* cpu.loadWide(vma + Vma.vmStart));
    const to = Math.min(end, yield* cpu.loadWide(vma + Vma.vmEnd));
    if (from >= to) break;
    const locked = ((yield* cpu.load(vma + Vma.vmFlags)) & VM_LOCKED) !== 0;
    if (locked) already += (to - from) * PAGES_PER_BYTE;
    vma = yield* cpu.load(vma + Vma.vmNext);
  }
  return yield* mayLock(cpu, mm, pages - already);
}

/** Gives a range without holes other lock flags (Linux: apply_vma_lock_flags). */
function* lockRange(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr, lock: number): Op<number> {
  if (end >= ADDRESSES) return -EINVAL;
  let covered = start;
  while (covered < end) {
    const vma = yield* findVma(cpu, mm, covered);
    if (vma === 0 || (yield* cpu.loadWide(vma + Vma.vmStart)) > covered) return -ENOMEM;
    const stop = Math.min(end, yield* cpu.loadWide(vma + Vma.vmEnd));
    if (!(yield* lockVma(cpu, mm, vma, covered, stop, lock))) return -ENOMEM;
    covered = stop;
  }
  return 0;
}

function* lockAll(cpu: Cpu, mm: Word, lock: number): Op<void> {
  let vma = yield* cpu.load(mm + Mm.mmap);
  while (vma !== 0) {
    const start = yield* cpu.loadWide(vma + Vma.vmStart);
    const end = yield* cpu.loadWide(vma + Vma.vmEnd);
    yield* lockVma(cpu, mm, vma, start, end, lock);
    vma = yield* findVma(cpu, mm, end);
  }
}

/** Linux: mlock_fixup. @returns false when a table is full or the process has too many VMAs */
function* lockVma(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  start: Vaddr,
  end: Vaddr,
  lock: number,
): Op<boolean> {
  const oldFlags = yield* cpu.load(vma + Vma.vmFlags);
  const vmFlags = (oldFlags & ~VM_LOCKED_MASK) | lock;
  if (vmFlags === oldFlags || (oldFlags & VM_PFNMAP) !== 0) return true;
  if ((yield* modifyVma(cpu, mm, vma, start, end, vmFlags)) === 0) return false;
  const pages = (end - start) * PAGES_PER_BYTE;
  if ((vmFlags & VM_LOCKED) === 0) yield* accountLocked(cpu, mm, -pages);
  else if ((oldFlags & VM_LOCKED) === 0) yield* accountLocked(cpu, mm, pages);
  return true;
}
