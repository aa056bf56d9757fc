/**
 * Entries whose frame number is in both words (i386 with PAE).
 *
 *   high word               low word
 *  | 0 ...           0 | 1 | frame number | flags |
 *                        ^ above 4 GiB
 *
 * Of the machine's frames the first LOW_FRAMES lie at physical address 0, the others at 4 GiB. All code but
 * this file and mm/splitPte.ts handles an entry joined to one word, as on every other architecture. An entry
 * that is not present is all in the low word.
 */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from './cpu.js';
import { FRAMES, PTE_PRESENT, PTE_PROTNONE, PTE_SPLIT, entryPfn, pfnBits } from './machine.js';

const LOW_FRAMES = FRAMES >> 1;
/** What the flags of an entry and those of a pointer to a table have in common. */
export const PTE_MAPS = PTE_PRESENT | PTE_PROTNONE;

/** The entry of two words. */
export function joinHalves(low: number, high: number): number {
  return high !== 0 && (low & PTE_MAPS) !== 0 ? (low + pfnBits(LOW_FRAMES)) | 0 : low;
}

function isHigh(entry: number): boolean {
  return (entry & PTE_MAPS) !== 0 && entryPfn(entry) >= LOW_FRAMES;
}

/** The low word of an entry, on every architecture. */
export function lowHalf(entry: number): number {
  return PTE_SPLIT && isHigh(entry) ? (entry - pfnBits(LOW_FRAMES)) | 0 : entry;
}

/** The high word of an entry of two halves. */
export function highHalf(entry: number): number {
  return isHigh(entry) ? 1 : 0;
}

/** Half the way from the smallest double to 1. */
const SCALE = 2 ** 537;

/**
 * Reads both words in one step, as the hardware does. As a double they are a denormal, the number that they
 * make times 2^-1074, since the high word is small: multiplying that away is exact.
 */
export function* loadSplit(cpu: Cpu, entryp: Word): Op<number> {
  const both = (yield* cpu.loadWide(entryp)) * SCALE * SCALE;
  return joinHalves(both | 0, (both / 2 ** 32) | 0);
}
