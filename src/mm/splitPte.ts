/**
 * Ptes whose frame number is in both words (Linux: asm-i386/pgtable-3level.h, 2.6.10). Each half is one step:
 * who holds no lock can see the low word of one entry with the high word of another.
 */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PTE_MAPS, highHalf, joinHalves, lowHalf } from '../hardware/split.js';
import { PTE_LOCKED } from './design.js';

export function* splitGet(cpu: Cpu, entryp: Word): Op<number> {
  const low = yield* cpu.readOnce(entryp);
  if (low === 0) return 0;
  const high = yield* cpu.readOnce(entryp + 1);
  return joinHalves(low, high);
}

/** Writes the half last that makes the entry present, and clears that half first. */
export function* splitSet(cpu: Cpu, entryp: Word, entry: number): Op<void> {
  const low = lowHalf(entry);
  const high = highHalf(entry);
  if ((entry & PTE_MAPS) !== 0) {
    yield* cpu.writeOnce(entryp + 1, high);
    yield* cpu.writeOnce(entryp, low);
  } else {
    yield* cpu.writeOnce(entryp, low);
    yield* cpu.writeOnce(entryp + 1, high);
  }
}

/**
 * A compare-exchange made of halves: not one step, so that it holds only under the lock of the pte. The MMU
 * may set bits meanwhile, and never sees halves of two entries.
 */
export function* splitInstall(cpu: Cpu, ptep: Word, old: number, entry: number): Op<boolean> {
  const oldLow = lowHalf(old);
  const low = lowHalf(entry);
  const high = highHalf(entry);
  if (high === highHalf(old)) return yield* cpu.cas(ptep, oldLow, low);
  if (!(yield* cpu.cas(ptep, oldLow, PTE_LOCKED))) return false;
  yield* cpu.writeOnce(ptep + 1, high);
  return yield* cpu.cas(ptep, PTE_LOCKED, low);
}

export function* splitGetAndClear(cpu: Cpu, ptep: Word): Op<number> {
  const low = yield* cpu.xchg(ptep, PTE_LOCKED);
  const high = yield* cpu.readOnce(ptep + 1);
  yield* cpu.writeOnce(ptep + 1, 0);
  return joinHalves(low, high);
}

/** @returns what it was */
export function* splitClearBits(cpu: Cpu, ptep: Word, bits: number): Op<number> {
  const low = yield* cpu.and(ptep, ~bits);
  const high = yield* cpu.readOnce(ptep + 1);
  return joinHalves(low, high);
}
