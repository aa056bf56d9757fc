/** Growth of a stack by a touch below it (Linux: expand_stack, mm/mmap.c, 2.6.10 and 6.x). */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE, pageMask } from '../hardware/machine.js';
import { accountVm, mayExpandVm } from './accounting.js';
import { anonVmaPrepare } from './anonvma.js';
import { Mm } from './layout/mm.js';
import { mmapWriteLock, mmapWriteUnlock, vmaStartWrite } from './mmapLock.js';
import { rmapLock, rmapUnlock } from './vmas.js';
import { VM_ACCESS, VM_GROWSDOWN, Vma } from './layout/vma.js';
import { STACK_GUARD_GAP, findVma, lowerVmStart } from './vmatree.js';

/**
 * Extends the stack above an address to hold it, if there is one and it may.
 *
 * In 2.6.10 two CPUs may do this at once under mmap_sem for reading, while others compute the place of a page from
 * the start and the offset that change; since Linux 6.5 it is mmap_sem for writing.
 *
 * @returns whether something holds the address now
 * Locks: takes mmap_sem for writing.
 */
export function* growStack(cpu: Cpu, mm: Word, address: Vaddr): Op<boolean> {
  yield* mmapWriteLock(cpu, mm);
  const vma = yield* findVma(cpu, mm, address);
  const grown = vma !== 0 && (yield* expandStack(cpu, mm, vma, address));
  yield* mmapWriteUnlock(cpu, mm);
  return grown;
}

/** Locks: mmap_sem for writing. */
function* expandStack(cpu: Cpu, mm: Word, vma: Word, address: Vaddr): Op<boolean> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  if (start <= address) return true;
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const wanted = pageMask(address);
  if ((vmFlags & VM_GROWSDOWN) === 0 || !(yield* gapAllows(cpu, vma, wanted))) return false;
  if (!(yield* anonVmaPrepare(cpu, vma))) return false;
  if (!(yield* mayGrow(cpu, mm, vma, wanted))) return false;
  const pages = (start - wanted) * PAGES_PER_BYTE;
  const pgoff = yield* cpu.load(vma + Vma.vmPgoff);
  yield* vmaStartWrite(cpu, vma);
  yield* rmapLock(cpu, vma);
  yield* lowerVmStart(cpu, mm, vma, wanted);
  yield* cpu.store(vma + Vma.vmPgoff, (pgoff - pages) | 0);
  yield* rmapUnlock(cpu, vma);
  yield* accountVm(cpu, mm, vmFlags, pages);
  return true;
}

/** Whether a stack may begin at `wanted` and not be too near to what lies below. */
function* gapAllows(cpu: Cpu, vma: Word, wanted: Vaddr): Op<boolean> {
  const prev = yield* cpu.load(vma + Vma.vmPrev);
  if (prev === 0) return true;
  const prevFlags = yield* cpu.load(prev + Vma.vmFlags);
  if ((prevFlags & VM_GROWSDOWN) !== 0 || (prevFlags & VM_ACCESS) === 0) return true;
  return wanted - (yield* cpu.loadWide(prev + Vma.vmEnd)) >= STACK_GUARD_GAP;
}

/** Whether a stack may begin at `wanted` by its limits (Linux: acct_stack_growth). */
function* mayGrow(cpu: Cpu, mm: Word, vma: Word, wanted: Vaddr): Op<boolean> {
  const end = yield* cpu.loadWide(vma + Vma.vmEnd);
  if ((end - wanted) * PAGES_PER_BYTE > (yield* cpu.load(mm + Mm.rlimitStack))) return false;
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  return yield* mayExpandVm(cpu, mm, vmFlags, (start - wanted) * PAGES_PER_BYTE);
}
