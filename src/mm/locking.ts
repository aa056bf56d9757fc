/**
 * How a design keeps changes to page tables apart: the sections of the fault path, and the
 * population of upper levels (V18, patch 3 of 4).
 */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { ATOMIC_POPULATE } from '../hardware/machine.js';
import { ANON_WRITE_LOCK, FAULT_LOCK } from './design.js';
import { Mm } from './layout/mm.js';

/** Begins a section of atomic pte operations: takes page_table_lock where the design needs it. */
export function* pageTableAtomicStart(cpu: Cpu, mm: Word): Op<void> {
  if (FAULT_LOCK) yield* cpu.spinLock(mm + Mm.pageTableLock);
}

export function* pageTableAtomicStop(cpu: Cpu, mm: Word): Op<void> {
  if (FAULT_LOCK) yield* cpu.spinUnlock(mm + Mm.pageTableLock);
}

/** Begins the section in which do_anonymous_page installs a page that was written to. */
export function* anonWriteStart(cpu: Cpu, mm: Word): Op<void> {
  if (ANON_WRITE_LOCK) yield* cpu.spinLock(mm + Mm.pageTableLock);
}

export function* anonWriteStop(cpu: Cpu, mm: Word): Op<void> {
  if (ANON_WRITE_LOCK) yield* cpu.spinUnlock(mm + Mm.pageTableLock);
}

/**
 * Hangs a new table into an entry of an upper level if that is still empty (V18:
 * pgd_test_and_populate, pud_test_and_populate, pmd_test_and_populate). The loser's table stays
 * the caller's to free.
 *
 * Locks: between page_table_atomic_start and _stop. Where those take no lock, this does, unless the
 * architecture populates by compare-exchange.
 */
export function* testAndPopulate(cpu: Cpu, mm: Word, entryp: Word, entry: number): Op<boolean> {
  if (FAULT_LOCK) return yield* populateIfNone(cpu, entryp, entry);
  if (ATOMIC_POPULATE) return yield* cpu.cas(entryp, 0, entry);
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const populated = yield* populateIfNone(cpu, entryp, entry);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  return populated;
}

function* populateIfNone(cpu: Cpu, entryp: Word, entry: number): Op<boolean> {
  const now = yield* cpu.readOnce(entryp);
  if (now !== 0) return false;
  yield* cpu.writeOnce(entryp, entry);
  return true;
}
