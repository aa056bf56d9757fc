/**
 * Who may have come to a page table's old copy (Biro, April 2008: the _delimbo functions, maybe_reload_tlb_mm). While
 * tables of an mm move its relocation count is not 0, and a lock of ptes may be that of a table which is waiting to go:
 * "in limbo". Kept as posted, to show what is wrong with it: relocatePosted.ts.
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { pteOffset } from '../hardware/machine.js';
import { MMF_NEED_FLUSH, MMF_NEED_RELOAD, Mm } from './layout/mm.js';
import { pteLock, pteUnlock } from './locking.js';
import { leafTable } from './pgwalk.js';
import { flushTlbMm } from './tlbflush.js';

/**
 * Goes on to the pte that is in use, if tables move (delimbo_pte). The walk is under page_table_lock; the table's own
 * lock keeps it where it is from then on.
 *
 * @param ptep - as it was found, its lock held
 * @returns the pte's word, its lock held
 */
export function* delimbo(cpu: Cpu, mm: Word, ptep: Word, address: Vaddr): Op<Word> {
  if ((yield* cpu.readOnce(mm + Mm.relocationCount)) === 0) return ptep;
  yield* pteUnlock(cpu, mm, ptep);
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const now = (yield* leafTable(cpu, mm, address)) + pteOffset(address);
  yield* pteLock(cpu, mm, now);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  return now;
}

/**
 * Has the CPUs that run an mm flush, and look anew where the top is, if tables have moved since they did last. In a
 * fault: what it has installed is in a table that they may not know of.
 */
export function* maybeReloadTlbMm(cpu: Cpu, mm: Word): Op<void> {
  const flags = mm + Mm.flags;
  if (((yield* cpu.readOnce(flags)) & (MMF_NEED_FLUSH | MMF_NEED_RELOAD)) === 0) return;
  const before = yield* cpu.and(flags, ~(MMF_NEED_FLUSH | MMF_NEED_RELOAD));
  if ((before & (MMF_NEED_FLUSH | MMF_NEED_RELOAD)) !== 0) yield* flushTlbMm(cpu, mm);
}
