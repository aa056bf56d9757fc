/**
 * The locks that leaf tables are hashed to, in designs with hashed locks.
 * Shape: HASHED_LOCKS spinlocks, each on a cache line of its own.
 */
import type { Pfn, Word } from '../../base/units.js';
import { LINE_WORDS } from '../../hardware/machine.js';
import { PERCPUS_END } from './percpu.js';

const HASHED_LOCKS = 64;
export const HASHED_LOCKS_BASE: Word = PERCPUS_END;
export const HASHED_LOCKS_END: Word = HASHED_LOCKS_BASE + HASHED_LOCKS * LINE_WORDS;

/** The lock of a leaf table. */
export function hashedPteLock(pfn: Pfn): Word {
  return HASHED_LOCKS_BASE + (pfn & (HASHED_LOCKS - 1)) * LINE_WORDS;
}
