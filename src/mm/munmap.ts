/** munmap (Linux: do_munmap, mm/mmap.c, 2.6.10; do_vmi_munmap, mm/vma.c, 6.x). */
import { EINVAL, ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE, TASK_SIZE, pageAlign, pageMask } from '../hardware/machine.js';
import { accountVm } from './accounting.js';
import { Vma } from './layout/vma.js';
import { freePgtables } from './freepgtables.js';
import { freeVma, splitVma, tooManyVmas, unlinkVma } from './vmas.js';
import { findVma } from './vmatree.js';
import { unmapPageRange } from './zap.js';
import { mmapWriteLock, mmapWriteUnlock, vmaStartWrite } from './mmapLock.js';

/** System call. @returns 0 or a negative errno */
export function* sysMunmap(cpu: Cpu, address: Vaddr, length: number): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  const mm = cpu.mm;
  yield* mmapWriteLock(cpu, mm);
  const result = yield* doMunmap(cpu, mm, address, length);
  yield* mmapWriteUnlock(cpu, mm);
  return result;
}

/**
 * Removes all mappings from a range.
 *
 * @param length - in bytes
 * @returns 0 or a negative errno
 * Locks: mmap_sem for writing.
 */
export function* doMunmap(cpu: Cpu, mm: Word, address: Vaddr, length: number): Op<number> {
  const end = address + pageAlign(length);
  if (address !== pageMask(address) || length <= 0 || end > TASK_SIZE) return -EINVAL;
  if (!(yield* splitForMunmap(cpu, mm, address, end))) return -ENOMEM;

  let vma = yield* findVma(cpu, mm, address);
  let floor: Vaddr = 0;
  /** What of the range was mapped, from the first of its mappings to the end of the last. */
  let mappedFrom: Vaddr = 0;
  let mappedTo: Vaddr = 0;
  while (vma !== 0 && (yield* cpu.loadWide(vma + Vma.vmStart)) < end) {
    const next = yield* cpu.load(vma + Vma.vmNext);
    const from = yield* cpu.loadWide(vma + Vma.vmStart);
    const to = yield* cpu.loadWide(vma + Vma.vmEnd);
    if (mappedTo === 0) {
      const prev = yield* cpu.load(vma + Vma.vmPrev);
      if (prev !== 0) floor = yield* cpu.loadWide(prev + Vma.vmEnd);
      mappedFrom = from;
    }
    mappedTo = to;
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    yield* vmaStartWrite(cpu, vma);
    yield* unmapPageRange(cpu, mm, vma, from, to, false);
    yield* unlinkVma(cpu, mm, vma);
    // Off the lists that lead to it, before the tables go that a walk along them would read.
    yield* freeVma(cpu, vma);
    yield* accountVm(cpu, mm, vmFlags, -(to - from) * PAGES_PER_BYTE);
    vma = next;
  }
  if (mappedTo === 0) return 0;
  const ceiling = vma === 0 ? Infinity : yield* cpu.loadWide(vma + Vma.vmStart);
  // Where nothing was mapped there are no tables: the end of a process need not look all through its address space.
  yield* freePgtables(cpu, mm, mappedFrom, mappedTo, floor, ceiling);
  return 0;
}

/**
 * Makes VMA boundaries at both ends of a range where one runs through. Only a hole in the middle of a
 * VMA leaves one more than before.
 *
 * @returns whether it could; if not, nothing has changed
 */
function* splitForMunmap(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<boolean> {
  const first = yield* findVma(cpu, mm, start);
  if (first !== 0 && (yield* cpu.loadWide(first + Vma.vmStart)) < start) {
    const hole = end < (yield* cpu.loadWide(first + Vma.vmEnd));
    if (hole && (yield* tooManyVmas(cpu, mm))) return false;
    if ((yield* splitVma(cpu, mm, first, start)) === 0) return false;
  }
  const last = yield* findVma(cpu, mm, end);
  if (last === 0 || (yield* cpu.loadWide(last + Vma.vmStart)) >= end) return true;
  return (yield* splitVma(cpu, mm, last, end)) !== 0;
}

/** Pages of a range that are mapped. Locks: mmap_sem. */
export function* mappedIn(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<number> {
  let pages = 0;
  let vma = yield* findVma(cpu, mm, start);
  while (vma !== 0) {
    const from = Math.max(start, yield* cpu.loadWide(vma + Vma.vmStart));
    const to = Math.min(end, yield* cpu.loadWide(vma + Vma.vmEnd));
    if (from >= to) break;
    pages += (to - from) * PAGES_PER_BYTE;
    vma = yield* cpu.load(vma + Vma.vmNext);
  }
  return pages;
}
