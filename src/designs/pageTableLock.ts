import type { VmDesign } from '../mm/design.js';
import { PREZERO } from './prezero.js';

/** Linux 2.6.10: one lock per address space, taken twice by each anonymous write fault. */
export const pageTableLock: VmDesign = {
  name: 'page-table-lock',
  summary: 'one spinlock per mm over page tables and counters',
  source: 'Linux 2.6.10',
  locking: {
    pteLock: 'mm',
    fault: 'walk',
    anonWriteLock: true,
    atomicInstall: false,
    pteUpdate: 'clear-then-set',
    wpCopy: 'hold',
  },
  counters: 'locked',
  faultAroundPages: 16,
};

/** The same with the mail that does away with spurious faults. */
export const pageTableLockExchange: VmDesign = {
  ...pageTableLock,
  name: 'page-table-lock-exchange',
  summary: 'page-table-lock, but a pte in use gets its new value in one step',
  source: 'Lameter, 31 March 2005',
  locking: { ...pageTableLock.locking, pteUpdate: 'exchange' },
};

/** Linux 2.6.10 with the prezeroing patches alone. */
export const pageTableLockPrezero: VmDesign = {
  ...pageTableLock,
  name: 'page-table-lock-prezero',
  summary: 'page-table-lock, and a kscrubd on each node zeroes free memory beforehand',
  source: 'Lameter, 21 December 2004, prezeroing V1',
  prezero: PREZERO,
};
