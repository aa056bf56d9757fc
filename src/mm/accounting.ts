/** The size of an address space (Linux: mm->total_vm, hiwater_vm). */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { Mm } from './layout/mm.js';

/**
 * @param pages - added, or taken away if negative
 * Locks: mmap_sem for writing, or the anon_vma's lock of the stack that grows.
 */
export function* accountVm(cpu: Cpu, mm: Word, pages: number): Op<void> {
  const total = (yield* cpu.load(mm + Mm.totalVm)) + pages;
  yield* cpu.store(mm + Mm.totalVm, total);
  const highest = yield* cpu.load(mm + Mm.hiwaterVm);
  if (total > highest) yield* cpu.store(mm + Mm.hiwaterVm, total);
}
