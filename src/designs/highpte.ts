import type { VmDesign } from '../mm/design.js';
import { pageTableLock } from './pageTableLock.js';

/** Page tables in high memory, each reached by a slot of a pool that all CPUs share. SPEC S3 (3.1). */
export const highptePersistent: VmDesign = {
  ...pageTableLock,
  name: 'highpte-persistent',
  summary: 'page-table-lock, and leaf tables in high memory are mapped into a pool of slots',
  source: 'Arcangeli, pte-highmem, before March 2002',
  highpte: 'persistent',
};

/** By slots of the CPU, which whoever sleeps must give back first. */
export const highpteAtomic: VmDesign = {
  ...pageTableLock,
  name: 'highpte-atomic',
  summary: 'page-table-lock, and leaf tables in high memory are mapped into slots of the CPU',
  source: "Molnar and van de Ven's highpte of 2.5, set right; Linux 2.6.10",
  highpte: 'atomic',
};

/** What 2.4 came to: no pool in the fast path, and no care in slow ones. */
export const highpteHybrid: VmDesign = {
  ...pageTableLock,
  name: 'highpte-hybrid',
  summary:
    'page-table-lock, and leaf tables in high memory: slots of the CPU in faults, else the pool',
  source: 'Arcangeli, 26 March 2002 (2.4 pte-highmem will remain an hybrid)',
  highpte: 'hybrid',
};

/** By slots of the task: neither shared nor lost in sleep. */
export const highpteWindow: VmDesign = {
  ...pageTableLock,
  name: 'highpte-window',
  summary: 'page-table-lock, and leaf tables in high memory are mapped into slots of the task',
  source: 'Bligh and Arcangeli, March 2002 (user-fixmap), for each task instead of each process',
  highpte: 'window',
};

/** SPEC S3-a. */
export const highpteBackport: VmDesign = {
  ...highpteAtomic,
  name: 'highpte-backport',
  summary: 'highpte-atomic with the mremap of the backport to 2.4.18, as posted',
  source: 'Bligh, 21 March 2002, mm/mremap.c',
  broken:
    'copy_one_pte writes to a pte that is not there if the allocation of its table fails; and as 2.5.7',
  highpte: 'backport',
  kmapUnchecked: true,
};

/** SPEC S3-b. */
export const highpte257: VmDesign = {
  ...highpteAtomic,
  name: 'highpte-2.5.7',
  summary: 'highpte-atomic with the mremap of 2.5.7',
  source: 'Linux 2.5.7, mm/mremap.c, as told by Arcangeli, 26 March 2002',
  broken:
    'mremap allocates a table while it has a slot of the CPU: another task takes the slot, and the wrong pte is moved',
  highpte: '2.5.7',
  kmapUnchecked: true,
};

/** SPEC S3-c. */
export const highpteTwoKmaps: VmDesign = {
  ...highptePersistent,
  name: 'highpte-two-kmaps',
  summary: 'highpte-persistent, but two tables are mapped one after the other',
  source:
    'what the persistent kmaps of pte-highmem in mremap must not do (Arcangeli, 26 March 2002)',
  broken: 'tasks that have a slot each wait for a second one for ever',
  highpte: 'two-kmaps',
};
