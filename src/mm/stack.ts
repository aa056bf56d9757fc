/** Growth of a stack by a touch below it (Linux: expand_stack, mm/mmap.c, 2.6.10 and 6.x). */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE, pageMask } from '../hardware/machine.js';
import { accountVm, mayExpandVm } from './accounting.js';
import { anonVmaLock, anonVmaPrepare, anonVmaUnlock } from './anonvma.js';
import { Mm } from './layout/mm.js';
import { VM_ACCESS, VM_GROWSDOWN, Vma } from './layout/vma.js';
import { STACK_GUARD_GAP, lowerVmStart } from './vmatree.js';

/**
 * Extends a VMA that grows downwards to hold an address below it.
 *
 * Two CPUs may do this at once under mmap_sem for reading: the anon_vma's lock keeps them apart, and
 * whoever comes second finds the VMA large enough. The gaps in the tree, and the mm's size, which stacks of
 * other families change too, are under page_table_lock then.
 *
 * @returns whether the VMA holds the address now
 */
export function* expandStack(cpu: Cpu, mm: Word, vma: Word, address: Vaddr): Op<boolean> {
  if (((yield* cpu.load(vma + Vma.vmFlags)) & VM_GROWSDOWN) === 0) return false;
  const wanted = pageMask(address);
  if (!(yield* gapAllows(cpu, vma, wanted))) return false;
  if (!(yield* anonVmaPrepare(cpu, vma))) return false;
  const anonVma = yield* cpu.readOnce(vma + Vma.anonVma);
  yield* anonVmaLock(cpu, anonVma);
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  let grown = wanted >= start;
  if (!grown && (yield* mayGrow(cpu, mm, vma, wanted))) {
    const pages = (start - wanted) * PAGES_PER_BYTE;
    const pgoff = yield* cpu.load(vma + Vma.vmPgoff);
    yield* cpu.spinLock(mm + Mm.pageTableLock);
    yield* lowerVmStart(cpu, mm, vma, wanted);
    yield* cpu.store(vma + Vma.vmPgoff, (pgoff - pages) | 0);
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    yield* accountVm(cpu, mm, vmFlags, pages);
    yield* cpu.spinUnlock(mm + Mm.pageTableLock);
    grown = true;
  }
  yield* anonVmaUnlock(cpu, anonVma);
  return grown;
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
