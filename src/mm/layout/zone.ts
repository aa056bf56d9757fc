/**
 * zone: the frames of one NUMA node (Linux: struct zone, include/linux/mmzone.h, 2.6.10).
 * Shape: ZONE_RECORD = 32 words, two cache lines: one per lock.
 */
import type { Word } from '../../base/units.js';
import { LINE_WORDS, NODES, alignWord } from '../../hardware/machine.js';
import { PAGES_END } from './page.js';

export const Zone = {
  /** Spinlock over the free frames. */
  lock: 0,
  /** Frames that are free: on the list or never used yet. Under lock. */
  freePages: 1,
  /** First frame of the free list; 0 = empty. Under lock. */
  freeHead: 2,
  /** Frames from here to end were never handed out. Under lock. */
  fresh: 3,
  /** One past the node's last frame. Constant. */
  end: 4,
  /** Spinlock over the LRU list. */
  lruLock: 16,
  /** First and last frame of the active list; 0 = empty. Under lruLock. */
  activeHead: 17,
  activeTail: 18,
  /** Under lruLock. */
  nrActive: 19,
} as const;

export const ZONE_RECORD = 2 * LINE_WORDS;
export const ZONES: Word = alignWord(PAGES_END, LINE_WORDS);
export const ZONES_END: Word = ZONES + NODES * ZONE_RECORD;

export function zoneOf(node: number): Word {
  return ZONES + node * ZONE_RECORD;
}
