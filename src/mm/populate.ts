/** Faults pages in before they are touched (Linux: make_pages_present, mm/memory.c). */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE, pteOffset } from '../hardware/machine.js';
import { handleMmFault } from './fault.js';
import { Mm } from './layout/mm.js';
import { Vma, isPrivateWritable } from './layout/vma.js';
import { leafTable, ptePresent } from './pgtable.js';
import { findVma } from './vmas.js';

/**
 * Maps every page of a range that is mapped, as a write where the mapping is private and writable.
 * Stops at the first failure, silently, as the kernel does.
 */
export function* makePagesPresent(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<void> {
  yield* cpu.downRead(mm + Mm.mmapSem);
  for (let address = start; address < end; address += PAGE_SIZE) {
    const vma = yield* findVma(cpu, mm, address);
    if (vma === 0 || (yield* cpu.loadWide(vma + Vma.vmStart)) > address) break;
    if (yield* pageMapped(cpu, mm, address)) continue;
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    const write = isPrivateWritable(vmFlags);
    if ((yield* handleMmFault(cpu, mm, vma, address, write)) <= 0) break;
  }
  yield* cpu.upRead(mm + Mm.mmapSem);
}

function* pageMapped(cpu: Cpu, mm: Word, address: Vaddr): Op<boolean> {
  const table = yield* leafTable(cpu, mm, address);
  if (table <= 0) return false;
  return ptePresent(yield* cpu.readOnce(table + pteOffset(address)));
}
