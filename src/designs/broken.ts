import type { VmDesign } from '../mm/design.js';
import { pageTableLock, pageTableLockExchange } from './pageTableLock.js';
import { v18, v18First } from './v18.js';

/** SPEC S1-a: with no lock, checking the pte and installing the new one must be one step. */
export const brokenCheckThenInstall: VmDesign = {
  ...v18,
  name: 'broken-check-then-install',
  summary: 'no lock, and the pte is checked and installed in two steps',
  source: 'what V18 must not be',
  broken: 'two CPUs that fault on one pte both install a page: one is lost, and rss counts both',
  locking: { ...v18.locking, atomicInstall: false },
};

/** SPEC S1-b: without the lock, counters must not be plain words. */
export const brokenPlainRss: VmDesign = {
  ...v18,
  name: 'broken-plain-rss',
  summary: 'ptes by compare-exchange, but rss is a plain word without a lock',
  source: 'what V18 must not be',
  broken: 'two increments of rss overlap and one is lost',
  counters: 'plain',
};

/** SPEC S1-c: with no lock, 2.6.10's order lets reclaim find a page that is half set up and not mapped yet. */
export const brokenLruBeforeInstall: VmDesign = {
  ...v18,
  name: 'broken-lru-before-install',
  summary: 'a new page goes on the LRU list, gets its reverse map, and is installed last',
  source: "what V18's do_anonymous_page warns of (these two functions must come after the cmpxchg)",
  broken: 'reclaim locks a page whose flags are then set as if nobody else could know of it',
  locking: { ...v18.locking, anonPublish: 'lru-rmap-install' },
};

/** SPEC S1-c: the same with the page complete before reclaim can find it. No harm was found, only work. */
export const brokenRmapBeforeInstall: VmDesign = {
  ...v18,
  name: 'broken-rmap-before-install',
  summary: 'a new page gets its reverse map, goes on the LRU list, and is installed last',
  source: "what V18's do_anonymous_page warns of (these two functions must come after the cmpxchg)",
  broken:
    'reclaim works on a page that no pte maps: it gets a slot of the swap file, and loses it again',
  locking: { ...v18.locking, anonPublish: 'rmap-lru-install' },
};

/** SPEC S1-d: a live pte must not be read and then written. */
export const brokenReadModifyWrite: VmDesign = {
  ...pageTableLock,
  name: 'broken-read-modify-write',
  summary: 'page-table-lock, but a pte in use is read and then written',
  source: 'what ptep_get_and_clear() is there to avoid (Lameter, 31 March 2005)',
  broken:
    'the MMU sets the dirty bit in between: the page counts as clean, and what was stored is lost',
  locking: { ...pageTableLock.locking, pteUpdate: 'read-modify-write' },
};

/** SPEC S1-g: V18 as posted with DEBUG_PAGEALLOC, before the mails of 4 March forbade the two together. */
export const brokenV18Debug: VmDesign = {
  ...v18First,
  name: 'broken-v18-debug-pagealloc',
  summary: 'v18-first as posted, where freed frames are unmapped from the kernel',
  source:
    'Lameter, 2 March 2005, V18 patch 3 of 4; Morton, 2 March 2005 (will oops during the copy)',
  broken: 'do_wp_page copies from a page that nobody holds: once that is free, the copy is an oops',
  debugPagealloc: true,
};

/** SPEC S1-h: as posted. */
export const brokenUnmapRss: VmDesign = {
  ...pageTableLockExchange,
  name: 'broken-unmap-rss',
  summary: 'page-table-lock-exchange as posted: try_to_unmap_one adds to rss',
  source: 'Lameter, 31 March 2005, inc_mm_counter(mm, rss) in try_to_unmap_one',
  broken: 'each page that reclaim unmaps is counted twice instead of not at all',
  unmapAddsRss: true,
};

/** SPEC S1-i: an entry of an upper level must be tested when it is populated. */
export const brokenPopulateStore: VmDesign = {
  ...v18,
  name: 'broken-populate-store',
  summary: 'v18, but a new table is stored over whatever its entry holds',
  source: 'what pgd_test_and_populate() and its like are there to avoid (V18, patch 3 of 4)',
  broken: 'the table of the CPU that came first is lost, with all that it maps',
  locking: { ...v18.locking, populate: 'plain-store' },
};

/** SPEC S1-i: whose table is not hung in must free it. */
export const brokenPopulateLeak: VmDesign = {
  ...v18,
  name: 'broken-populate-leak',
  summary: 'v18, but the CPU that comes second with a table does not free it',
  source: 'what handle_mm_fault of V18, patch 3 of 4, must not forget',
  broken: 'a table is lost each time that two CPUs bring one',
  locking: { ...v18.locking, populate: 'loser-keeps' },
};
