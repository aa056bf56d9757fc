import type { VmDesign } from '../mm/design.js';

/** What mainline took in the end: the lock of a pte is in the record of its table. */
export const tableLock: VmDesign = {
  name: 'table-lock',
  summary: 'one lock per page-table page, taken to look at a pte again and to change it',
  source: 'Linux 2.6.15 (split page_table_lock)',
  locking: {
    pteLock: 'table',
    fault: 'install',
    anonWriteLock: true,
    atomicInstall: false,
    pteUpdate: 'exchange',
    wpCopy: 'hold',
  },
  counters: 'atomic',
  faultAroundPages: 16,
};

/** The same with locks apart from the tables. */
export const hashedLocks: VmDesign = {
  ...tableLock,
  name: 'hashed-locks',
  summary: 'a fixed number of locks, to which page-table pages are hashed',
  source: 'discussed beside V18, March 2005',
  locking: { ...tableLock.locking, pteLock: 'hashed' },
};

/** The finest lock there can be. */
export const pteBit: VmDesign = {
  ...tableLock,
  name: 'pte-bit',
  summary: 'each pte has a bit that is its lock',
  source: 'discussed beside V18, March 2005',
  locking: { ...tableLock.locking, pteLock: 'bit' },
};

/** Linux as it is today. */
export const linux: VmDesign = {
  ...tableLock,
  name: 'linux-6',
  summary:
    'faults lock their VMA instead of mmap_sem, then the page-table page; per-thread counters',
  source: 'Linux 6.13 (per-VMA locks)',
  locking: { ...tableLock.locking, vmaLock: true },
  counters: 'per-thread',
};
