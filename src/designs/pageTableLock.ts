import type { VmDesign } from '../mm/design.js';

/** Linux 2.6.10: one lock per address space, taken twice by each anonymous write fault. */
export const pageTableLock: VmDesign = {
  name: 'page-table-lock',
  summary: 'one spinlock per mm over page tables and counters',
  source: 'Linux 2.6.10',
  locking: { faultLock: true, anonWriteLock: true, atomicInstall: false, wpCopy: 'hold' },
  counters: 'locked',
  faultAroundPages: 16,
};
