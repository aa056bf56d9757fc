/**
 * zone: the frames of one NUMA node (Linux: struct zone, include/linux/mmzone.h, 2.6.10).
 * Shape: ZONE_RECORD = 48 words, three cache lines: one per lock, and one for what is zeroed beforehand; a fourth
 * where there is high memory.
 */
import type { Word } from '../../base/units.js';
import { HIGHMEM, LINE_WORDS, NODES, alignWord } from '../../hardware/machine.js';
import { PAGES_END } from './page.js';

/** Orders of free blocks: a block has 2^order frames and starts on a multiple of that. */
export const MAX_ORDER = 11;

export const Zone = {
  /** Spinlock over the free blocks. */
  lock: 0,
  /** Frames in all free blocks. Under lock. */
  freePages: 1,
  /** First frame, and one past the last. Constant. */
  start: 2,
  end: 3,
  /** First block of each order's list (Linux: free_area); 0 = empty. Under lock. */
  freeArea: 4,
  /** Spinlock over the LRU lists. */
  lruLock: 16,
  /** First and last frame of the active list; 0 = empty. Under lruLock. */
  activeHead: 17,
  activeTail: 18,
  /** In pages: a huge page counts as one. Under lruLock. */
  nrActive: 19,
  /** The huge page of zeros, in the first zone only; 0 until the first use. Set by compare-exchange. */
  hugeZeroPage: 20,
  /** The same of the inactive list. Under lruLock. */
  inactiveHead: 21,
  inactiveTail: 22,
  nrInactive: 23,
  /**
   * Frames that should stay free: below low kswapd is woken, below min who allocates must reclaim, and kswapd
   * stops at high. Constant.
   */
  pagesMin: 24,
  pagesLow: 25,
  pagesHigh: 26,
  /** The CPU that runs the node's kswapd, plus 1; 0 = none. */
  kswapdCpu: 27,
  /** First block of each order's list of blocks that hold zeros; 0 = empty. Under lock. */
  freeAreaZeroed: 32,
  /** Frames in those blocks; freePages has them too. Under lock. */
  zeroedPages: 43,
  /** The CPU that runs the node's kscrubd, plus 1; 0 = none. Written by kscrubd. */
  kscrubd: 44,
  /** First block of each order's list of low memory, where there is high memory in freeArea. Under lock. */
  freeAreaLow: 48,
} as const;

export const ZONE_RECORD = (HIGHMEM ? 4 : 3) * LINE_WORDS;
export const ZONES: Word = alignWord(PAGES_END, LINE_WORDS);
export const ZONES_END: Word = ZONES + NODES * ZONE_RECORD;

export function zoneOf(node: number): Word {
  return ZONES + node * ZONE_RECORD;
}
