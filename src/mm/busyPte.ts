/**
 * Ptes that are busy while they are put into the hash table (Linux: pte_update of asm-ppc64/pgtable.h, 2.6.10).
 * All changes wait for that, and take the translation out of the table: the flush is the caller's, as everywhere.
 * Linux loops until it finds the bit clear, and changes the entry in the same step; here the bit is held for the
 * change.
 */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PTE_BUSY, PTE_HASHED } from '../hardware/machine.js';

const HIDDEN = PTE_BUSY | PTE_HASHED;

/** Gives a pte a value. @returns what it was */
export function* busyExchange(cpu: Cpu, ptep: Word, entry: number): Op<number> {
  yield* cpu.lockBit(ptep, PTE_BUSY);
  const old = yield* cpu.xchg(ptep, entry | PTE_BUSY);
  yield* cpu.unlockBit(ptep, PTE_BUSY);
  return old & ~HIDDEN;
}

/** Replaces a pte if it is as expected. @returns whether it was */
export function* busyInstall(cpu: Cpu, ptep: Word, old: number, entry: number): Op<boolean> {
  yield* cpu.lockBit(ptep, PTE_BUSY);
  const same = ((yield* cpu.readOnce(ptep)) & ~HIDDEN) === old;
  if (same) yield* cpu.writeOnce(ptep, entry | PTE_BUSY);
  yield* cpu.unlockBit(ptep, PTE_BUSY);
  return same;
}

/** Takes bits from a pte. @returns what it was */
export function* busyClearBits(cpu: Cpu, ptep: Word, bits: number): Op<number> {
  yield* cpu.lockBit(ptep, PTE_BUSY);
  const old = yield* cpu.and(ptep, ~(bits | PTE_HASHED));
  yield* cpu.unlockBit(ptep, PTE_BUSY);
  return old & ~HIDDEN;
}
