/** The heap's end (Linux: sys_brk, mm/mmap.c). */
import type { Vaddr } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { pageAlign } from '../hardware/machine.js';
import { Mm } from './layout/mm.js';
import { VM_ACCOUNT, VM_READ, VM_WRITE, Vma } from './layout/vma.js';
import { mapRegion } from './mmap.js';
import { doMunmap } from './munmap.js';
import { findVma } from './vmas.js';

/**
 * System call: moves the end of the heap.
 *
 * @returns the end after the call: the wish, or as before when it cannot be met
 */
export function* sysBrk(cpu: Cpu, wish: Vaddr): Op<Vaddr> {
  yield* cpu.spend(Work.SYSCALL);
  const mm = cpu.mm;
  yield* cpu.downWrite(mm + Mm.mmapSem);
  const brk = yield* cpu.loadWide(mm + Mm.brk);
  const startBrk = yield* cpu.loadWide(mm + Mm.startBrk);
  const result = wish < startBrk ? brk : yield* moveBrk(cpu, brk, wish);
  yield* cpu.storeWide(mm + Mm.brk, result);
  yield* cpu.upWrite(mm + Mm.mmapSem);
  return result;
}

function* moveBrk(cpu: Cpu, brk: Vaddr, wish: Vaddr): Op<Vaddr> {
  const mm = cpu.mm;
  const oldEnd = pageAlign(brk);
  const newEnd = pageAlign(wish);
  if (newEnd < oldEnd) {
    return (yield* doMunmap(cpu, mm, newEnd, oldEnd - newEnd)) < 0 ? brk : wish;
  }
  if (newEnd === oldEnd) return wish;
  const above = yield* findVma(cpu, mm, oldEnd);
  if (above !== 0 && (yield* cpu.loadWide(above + Vma.vmStart)) < newEnd) return brk;
  const flags = VM_READ | VM_WRITE | VM_ACCOUNT;
  const mapped = yield* mapRegion(cpu, mm, oldEnd, newEnd - oldEnd, flags, 0, 0);
  return mapped < 0 ? brk : wish;
}
