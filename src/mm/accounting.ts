/** The size of an address space and its limits (Linux: mm->total_vm, locked_vm, may_expand_vm). */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { Mm, RLIM_INFINITY } from './layout/mm.js';
import { VM_LOCKED } from './layout/vma.js';

/**
 * Counts pages of a mapping that comes or goes.
 *
 * @param vmFlags - of the mapping: locked pages are counted apart too
 * @param pages - added, or taken away if negative
 * Locks: mmap_sem for writing.
 */
export function* accountVm(cpu: Cpu, mm: Word, vmFlags: number, pages: number): Op<void> {
  const total = (yield* cpu.load(mm + Mm.totalVm)) + pages;
  yield* cpu.store(mm + Mm.totalVm, total);
  const highest = yield* cpu.load(mm + Mm.hiwaterVm);
  if (total > highest) yield* cpu.store(mm + Mm.hiwaterVm, total);
  if ((vmFlags & VM_LOCKED) !== 0) yield* accountLocked(cpu, mm, pages);
}

/** Counts pages that become locked, or are no longer. Locks: as for `accountVm`. */
export function* accountLocked(cpu: Cpu, mm: Word, pages: number): Op<void> {
  const locked = yield* cpu.load(mm + Mm.lockedVm);
  yield* cpu.store(mm + Mm.lockedVm, locked + pages);
}

/** Whether a mapping of so many pages more keeps within RLIMIT_AS and RLIMIT_MEMLOCK. */
export function* mayExpandVm(cpu: Cpu, mm: Word, vmFlags: number, pages: number): Op<boolean> {
  const total = yield* cpu.load(mm + Mm.totalVm);
  if (total + pages > (yield* cpu.load(mm + Mm.rlimitAs))) return false;
  return (vmFlags & VM_LOCKED) === 0 || (yield* mayLock(cpu, mm, pages));
}

/** Whether so many pages more may be locked (Linux: mlock_future_ok). */
export function* mayLock(cpu: Cpu, mm: Word, pages: number): Op<boolean> {
  const limit = yield* cpu.load(mm + Mm.rlimitMemlock);
  return limit === RLIM_INFINITY || (yield* cpu.load(mm + Mm.lockedVm)) + pages <= limit;
}
