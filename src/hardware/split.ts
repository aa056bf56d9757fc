/**
 * Entries whose frame number is in both words (i386 with PAE).
 *
 *   high word               low word
 *  | 0 ...           0 | 1 | frame number | flags |
 *                    ^ above 4 GiB
 *
 * Half of the machine's frames lie above 4 GiB: those with an odd number, so that any two frames that follow
 * each other differ in both words. (Were it the upper half, a small machine would hardly use one of them.) All
 * code but this file and mm/splitPte.ts handles an entry joined to one word, as on every other architecture. An
 * entry that is not present is all in the low word.
 */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from './cpu.js';
import { PFN_MASK, PTE_PRESENT, PTE_PROTNONE, PTE_SPLIT, entryPfn, pfnBits } from './machine.js';

/** Of these an entry that maps a page has one, and one that points to a table. */
export const PTE_MAPS = PTE_PRESENT | PTE_PROTNONE;

/** The entry of two words. */
export function joinHalves(low: number, high: number): number {
  return (low & PTE_MAPS) === 0 ? low : pfnBits(entryPfn(low) * 2 + high) | (low & ~PFN_MASK);
}

/** The low word of an entry, on every architecture. */
export function lowHalf(entry: number): number {
  if (!PTE_SPLIT || (entry & PTE_MAPS) === 0) return entry;
  return pfnBits(entryPfn(entry) >> 1) | (entry & ~PFN_MASK);
}

/** The high word of an entry of two halves. */
export function highHalf(entry: number): number {
  return (entry & PTE_MAPS) === 0 ? 0 : entryPfn(entry) & 1;
}

/** Half the way from the smallest double to 1. */
const SCALE = 2 ** 537;

/**
 * Reads both words in one step, as the hardware does. As a double they are a denormal, the number that they
 * make times 2^-1074, since the high word is small: multiplying that away is exact.
 */
export function* loadSplit(cpu: Cpu, entryp: Word): Op<number> {
  const both = (yield* cpu.readOnceWide(entryp)) * SCALE * SCALE;
  return joinHalves(both | 0, (both / 2 ** 32) | 0);
}
