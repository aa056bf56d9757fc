import type { VmDesign } from '../mm/design.js';

/** Page fault scalability V18, patches 1 to 3 of 4: the first acquisition of the lock is dropped. */
export const v18First: VmDesign = {
  name: 'v18-first',
  summary: 'access bits and anonymous reads by compare-exchange, anonymous writes under the lock',
  source: 'Lameter, 2 March 2005, V18 patch 3 of 4',
  locking: { faultLock: false, anonWriteLock: true, atomicInstall: true, holdCopySource: false },
  counters: 'locked',
  faultAroundPages: 16,
};

/** Page fault scalability V18, all four patches. */
export const v18: VmDesign = {
  name: 'v18',
  summary: 'anonymous faults with no lock; counters are atomic words',
  source: 'Lameter, 2 March 2005, V18 patch 4 of 4',
  locking: { faultLock: false, anonWriteLock: false, atomicInstall: true, holdCopySource: false },
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
