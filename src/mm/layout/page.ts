/**
 * page: one record per physical frame (Linux: struct page, include/linux/mm.h, 2.6.10).
 * Shape: PAGE_RECORD = 8 words per record, from PAGES; record of frame p at PAGES + p * PAGE_RECORD.
 * Invariant: mapcount <= refcount. Checked by oracle/audit.ts.
 */
import type { Pfn, Word } from '../../base/units.js';
import { HOST_STATES_END } from '../../hardware/hostStates.js';
import { FRAMES } from '../../hardware/machine.js';

export const Page = {
  /** PG_ bits. Atomic once the frame can be seen by others. */
  flags: 0,
  /** References: one per pte that maps it, one in the page cache, one per pagevec. Atomic. */
  refcount: 1,
  /** Ptes that map the frame; 0 = none (Linux stores n - 1). Atomic. */
  mapcount: 2,
  /**
   * The anon_vma plus PAGE_MAPPING_ANON, or the file, that it belongs to; 0 = none. Below 0 while the frame
   * is free and unmapped from the kernel, see freedBy.
   */
  mapping: 3,
  /** Page offset in the file or, for anonymous memory, in its VMA; the order of a free block. */
  index: 4,
  /**
   * Neighbours on the LRU list or on a list of free blocks; 0 = none. Under zone->lru_lock,
   * zone->lock. lruNext also links the spare tables of an mm's huge pages, under page_table_lock.
   */
  lruNext: 5,
  lruPrev: 6,
  /** Which of its zone's lists it is on: LRU_NONE, LRU_INACTIVE or LRU_ACTIVE. Under zone->lru_lock. */
  lru: 7,
} as const;

export const PAGE_RECORD = 8;

/** Of a leaf table's frame, in the place of its mapping: the spinlock over its ptes (Linux: page->ptl). */
export const PAGE_PTL = Page.mapping;

/** Not reference counted: the zero page (Linux 2.6: PG_reserved). */
export const PG_reserved = 1 << 0;
/**
 * Somebody reads the page from a device, writes it, or takes it out of memory: others wait (Linux: lock_page).
 */
export const PG_locked = 1 << 1;
/** Was used since reclaim last came by, other than through a pte. */
export const PG_referenced = 1 << 2;
/** In the swap cache. Changes under the page's lock. */
export const PG_swapcache = 1 << 3;
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
/** First frame of a free block. Under zone->lock. */
export const PG_buddy = 1 << 9;
/** First frame of a huge page, which holds all references to it. */
export const PG_head = 1 << 10;
/** A further frame of a huge page. */
export const PG_tail = 1 << 11;
/**
 * Anonymous, and mapped by one pte alone that may write (Linux: PageAnonExclusive, 5.19): fork takes it
 * away.
 */
export const PG_anon_exclusive = 1 << 12;
/** Freed by MADV_FREE: its contents may go unless they are written again (Linux: !PG_swapbacked). */
export const PG_lazyfree = 1 << 13;
/** First frame of a free block that holds zeros, beside PG_buddy. Under zone->lock. */
export const PG_zeroed = 1 << 14;

/**
 * Of designs with hinting. The host has taken it, and its handler takes it out of its cache and of all ptes: nobody is
 * to map it any more. Changes under the page's lock; whoever maps it looks under the lock of the pte.
 */
export const PG_discarded = 1 << 16;
/** In the swap cache, and some pte was told that it may be written. */
export const PG_writable = 1 << 17;
/** The device has it: unless it is dirty, as it is in memory. */
export const PG_mappedtodisk = 1 << 18;

/** From this bit up, a page of the cache says how large its folio is: log2 of its pages. */
const FOLIO_ORDER_SHIFT = 24;

/** The flags of a page whose folio has 2^order pages; folios start on a multiple of their size. */
export function folioFlags(order: number): number {
  return order << FOLIO_ORDER_SHIFT;
}

/** Pages of a cached page's folio. */
export function folioPages(flags: number): number {
  return 1 << (flags >>> FOLIO_ORDER_SHIFT);
}

/** Of a huge page: entries above the leaves that map it, atomic. It lies in its second frame's record. */
export function hugeMapcount(pfn: Pfn): Word {
  return pageOf(pfn + 1) + Page.lruPrev;
}

export const PAGES: Word = HOST_STATES_END;
export const PAGES_END: Word = PAGES + FRAMES * PAGE_RECORD;

/** The record of a frame (Linux: pfn_to_page). */
export function pageOf(pfn: Pfn): Word {
  return PAGES + pfn * PAGE_RECORD;
}

/** Added to Page.mapping of an anonymous page; records start on even words. */
export const PAGE_MAPPING_ANON = 1;

/** Page.mapping of a frame that a CPU freed, with DEBUG_PAGEALLOC: even, so that it is not anonymous. */
export function unmappedBy(cpu: number): number {
  return -2 * (cpu + 1);
}

/** The CPU that freed a frame whose Page.mapping is below 0. */
export function freedBy(mapping: number): number {
  return mapping / -2 - 1;
}

/** The frame that every anonymous read fault maps (Linux: ZERO_PAGE); also "none" in lists. */
export const ZERO_PFN: Pfn = 0;

export const LRU_NONE = 0;
export const LRU_INACTIVE = 1;
export const LRU_ACTIVE = 2;
