/**
 * swap: the slots of the swap file, and which pages are in the swap cache (Linux: struct swap_info_struct and
 * swapper_space, 2.6.10).
 *
 * Shape: one record; then two words a slot; then one word a frame.
 */
import type { Pfn, Word } from '../../base/units.js';
import { FRAMES, LINE_WORDS, SWAP_SLOTS, alignWord } from '../../hardware/machine.js';
import { HASHED_LOCKS_END } from './hashedLocks.js';

export const Swap = {
  /** Spinlock over the slots and the swap cache. */
  lock: 0,
  /** Slots that nobody uses. Under lock. */
  freeSlots: 1,
  /** Where the search for a free slot goes on. Under lock. */
  next: 2,
  /** The address space that holds the swap token; 0 = none. A hint: races on purpose. */
  tokenMm: 3,
  /** Pages read from swap since it got it. A hint. */
  tokenAge: 4,
} as const;

export const SWAP: Word = alignWord(HASHED_LOCKS_END, LINE_WORDS);
export const SWAP_RECORD = LINE_WORDS;

/** By slot: ptes and shared memory that refer to it, and one for the swap cache. Under the lock. */
export const SWAP_MAP: Word = SWAP + SWAP_RECORD;
/** By slot: the frame that the swap cache has for it; 0 = none. Under the lock. */
export const SWAP_CACHE: Word = SWAP_MAP + SWAP_SLOTS;
/** By frame: its slot plus 1, while it is in the swap cache (page->private). Under the page's lock. */
export const PAGE_SLOTS: Word = SWAP_CACHE + SWAP_SLOTS;
/** A machine without swap has none of these words. */
export const SWAP_END: Word = SWAP_SLOTS === 0 ? PAGE_SLOTS : PAGE_SLOTS + FRAMES;

/** The word that tells in which slot a page of the swap cache is. */
export function pageSlot(pfn: Pfn): Word {
  return PAGE_SLOTS + pfn;
}
