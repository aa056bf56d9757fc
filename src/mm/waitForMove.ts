/** What whoever meets PTE_MOVED in a page table does: see relocate.ts. */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { Mm } from './layout/mm.js';

/**
 * Waits until a table that is being moved has its new place, after one of its entries said that it has moved. What this
 * CPU knows of tables is as old as that.
 *
 * Locks: none over page tables; takes page_table_lock, which is held over the move of a table.
 */
export function* waitForMove(cpu: Cpu, mm: Word, address: Vaddr): Op<void> {
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  if (mm !== cpu.mm) return;
  cpu.tlb.drop(address);
  cpu.pgd = yield* cpu.readOnce(mm + Mm.pgd);
}
