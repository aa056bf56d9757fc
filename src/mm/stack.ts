/** Growth of a stack by a touch below it (Linux: expand_stack, mm/mmap.c, 2.6.10). */
import { MIB, type Vaddr, type Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE, pageMask } from '../hardware/machine.js';
import { accountVm } from './accounting.js';
import { AnonVma, VM_GROWSDOWN, Vma } from './layout/vma.js';
import { anonVmaPrepare } from './rmap.js';

/** Bytes that a stack may have (include/linux/resource.h: _STK_LIM). */
const STACK_LIMIT = 8 * MIB;

/**
 * Extends a VMA that grows downwards to hold an address below it.
 *
 * Two CPUs may do this at once under mmap_sem for reading: the anon_vma's lock keeps them apart, and
 * whoever comes second finds the VMA large enough.
 *
 * @returns whether the VMA holds the address now
 */
export function* expandStack(cpu: Cpu, mm: Word, vma: Word, address: Vaddr): Op<boolean> {
  if (((yield* cpu.load(vma + Vma.vmFlags)) & VM_GROWSDOWN) === 0) return false;
  if ((yield* cpu.loadWide(vma + Vma.vmEnd)) - address > STACK_LIMIT) return false;
  if (!(yield* anonVmaPrepare(cpu, vma))) return false;
  const lock = (yield* cpu.readOnce(vma + Vma.anonVma)) + AnonVma.lock;
  yield* cpu.spinLock(lock);
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const wanted = pageMask(address);
  if (wanted < start) {
    const pages = (start - wanted) * PAGES_PER_BYTE;
    const pgoff = yield* cpu.load(vma + Vma.vmPgoff);
    yield* cpu.storeWide(vma + Vma.vmStart, wanted);
    yield* cpu.store(vma + Vma.vmPgoff, (pgoff - pages) | 0);
    yield* accountVm(cpu, mm, pages);
  }
  yield* cpu.spinUnlock(lock);
  return true;
}
