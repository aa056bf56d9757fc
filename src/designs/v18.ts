import type { VmDesign } from '../mm/design.js';
import { PREZERO } from './prezero.js';

/** Page fault scalability V18, patches 1 to 3 of 4: the first acquisition of the lock is dropped. */
export const v18First: VmDesign = {
  name: 'v18-first',
  summary: 'access bits and anonymous reads by compare-exchange, anonymous writes under the lock',
  source: 'Lameter, 2 March 2005, V18 patch 3 of 4',
  locking: {
    pteLock: 'mm',
    fault: 'none',
    anonWriteLock: true,
    atomicInstall: true,
    pteUpdate: 'exchange',
    wpCopy: 'no-hold',
  },
  counters: 'locked',
  faultAroundPages: 16,
};

/** Page fault scalability V18, all four patches. */
export const v18: VmDesign = {
  name: 'v18',
  summary: 'anonymous faults with no lock; counters are atomic words',
  source: 'Lameter, 2 March 2005, V18 patch 4 of 4',
  locking: { ...v18First.locking, anonWriteLock: false },
  counters: 'atomic',
  faultAroundPages: 16,
};

/** V18 with the counters that its page_state patch prepares: a thread counts for itself. */
export const v18PerThread: VmDesign = {
  ...v18,
  name: 'v18-per-thread',
  summary: 'anonymous faults with no lock; counters are per-thread deltas summed on read',
  source: 'Lameter, 2 March 2005, V18 (page_state rss deltas)',
  counters: 'per-thread',
};

/** V18 as it had to be configured with DEBUG_PAGEALLOC after the review of do_wp_page. */
export const v18Debug: VmDesign = {
  ...v18,
  name: 'v18-debug-pagealloc',
  summary: 'as for DEBUG_PAGEALLOC: sections take the lock, and a page that is copied is held',
  source: 'Lameter, 4 March 2005, first mail',
  locking: { ...v18.locking, fault: 'walk', anonWriteLock: true, wpCopy: 'hold-if-debug' },
  debugPagealloc: true,
};

/** V18 whose copy on write takes the lock first, so that it can hold the page. */
export const v18WpLocked: VmDesign = {
  ...v18,
  name: 'v18-wp-locked',
  summary: 'v18, but copy on write takes the lock and holds the page that it copies',
  source: 'Lameter, 4 March 2005, second mail',
  locking: { ...v18.locking, wpCopy: 'lock-and-hold' },
};

/** V18 whose copy on write holds the page that it copies, and takes no lock for that either: what we would ship. */
export const v18Held: VmDesign = {
  ...v18,
  name: 'v18-held',
  summary: 'v18, but copy on write takes a reference by guess and looks at the pte again',
  source: 'ours, as get_page_unless_zero() in Linux 2.6.27 (lockless page cache)',
  locking: { ...v18.locking, wpCopy: 'try-hold' },
};

/** V18 with the prezeroing patches on top, as they were offered together. */
export const v18Prezero: VmDesign = {
  ...v18,
  name: 'v18-prezero',
  summary: 'v18, and a kscrubd on each node zeroes free memory beforehand',
  source: 'Lameter, 17 February 2005, prezeroing V7',
  prezero: PREZERO,
};
