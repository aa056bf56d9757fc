/**
 * page: one record per physical frame (Linux: struct page, include/linux/mm.h, 2.6.10).
 * Shape: PAGE_RECORD = 8 words per record, from PAGES; record of frame p at PAGES + p * PAGE_RECORD.
 * Invariant: mapcount <= refcount. Checked by oracle/audit.ts.
 */
import type { Pfn, Word } from '../../base/units.js';
import { FRAMES_END } from '../../hardware/frames.js';
import { FRAMES } from '../../hardware/machine.js';

export const Page = {
  /** PG_ bits. Atomic once the frame can be seen by others. */
  flags: 0,
  /** References: one per pte that maps it, one in the page cache, one per pagevec. Atomic. */
  refcount: 1,
  /** Ptes that map the frame; 0 = none (Linux stores n - 1). Atomic. */
  mapcount: 2,
  /** The anon_vma plus PAGE_MAPPING_ANON, or the file, that it belongs to; 0 = none. */
  mapping: 3,
  /** Page offset in the file, or of the virtual address. */
  index: 4,
  /** Next frame on the LRU list or on the zone's free list; 0 = end. Under zone->lru_lock, zone->lock. */
  lruNext: 5,
  /** Previous frame on the LRU list; 0 = first. Under zone->lru_lock. */
  lruPrev: 6,
  /** 1 while on a zone's active list. Under zone->lru_lock. */
  onLru: 7,
} as const;

export const PAGE_RECORD = 8;

/** Not reference counted: the zero page (Linux 2.6: PG_reserved). */
export const PG_reserved = 1 << 0;
/** Holds a page table. */
export const PG_table = 1 << 4;
/** Written through a shared mapping since it was last cleaned. */
export const PG_dirty = 1 << 5;
/** Contents are those of the file: only then may fault-around map it. */
export const PG_uptodate = 1 << 6;
/** Marks the spot where read-ahead starts again; fault-around leaves such a page out. */
export const PG_readahead = 1 << 7;
/** Belongs to the page cache, as data or as a node of a file's tree. */
export const PG_cache = 1 << 8;

export const PAGES: Word = FRAMES_END;
export const PAGES_END: Word = PAGES + FRAMES * PAGE_RECORD;

/** The record of a frame (Linux: pfn_to_page). */
export function pageOf(pfn: Pfn): Word {
  return PAGES + pfn * PAGE_RECORD;
}

/** Added to Page.mapping of an anonymous page; records start on even words. */
export const PAGE_MAPPING_ANON = 1;

/** The frame that every anonymous read fault maps (Linux: ZERO_PAGE); also "none" in lists. */
export const ZERO_PFN: Pfn = 0;
