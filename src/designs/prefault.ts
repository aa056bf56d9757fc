import type { VmDesign } from '../mm/design.js';
import { pageTableLock } from './pageTableLock.js';
import { linux } from './tableLocks.js';
import { v18 } from './v18.js';

/** Linux 2.6.10 with the first mail's patch, as posted. SPEC S5-a. */
export const prefaultV1: VmDesign = {
  ...pageTableLock,
  name: 'prefault-v1',
  summary: 'page-table-lock, and faults in sequence map pages ahead, as first posted',
  source: 'Lameter, 8 December 2004, anticipatory prefaulting V1',
  broken:
    'the order of a run grows out of bounds, and pages are noted behind the pagevec; a read ahead puts the zero page in the place of pages that are there',
  prefault: 'v1',
};

/** The same with the second mail's. SPEC S5-b. */
export const prefaultV2: VmDesign = {
  ...pageTableLock,
  name: 'prefault-v2',
  summary: 'page-table-lock, and faults in sequence map pages ahead, as posted the second time',
  source: 'Lameter, 13 December 2004, anticipatory prefaulting V2',
  broken:
    'a read ahead sets the first pte again for each page, and tells the MMU of pages without a look at their ptes',
  prefault: 'v2',
};

/** What the mails mean, in the kernel that they are for. */
export const prefault: VmDesign = {
  ...pageTableLock,
  name: 'prefault',
  summary: 'page-table-lock, and faults in sequence map 1, 2, 4, 8, 14, 14 ... pages',
  source: 'Lameter, December 2004, anticipatory prefaulting, set right',
  prefault: 'ours',
};

/** With the fault path that takes no lock, as the two were measured together. */
export const v18Prefault: VmDesign = {
  ...v18,
  name: 'v18-prefault',
  summary: 'v18, and faults in sequence map 1, 2, 4, 8, 14, 14 ... pages',
  source: prefault.source,
  prefault: 'ours',
};

/** With the locks of today. */
export const linuxPrefault: VmDesign = {
  ...linux,
  name: 'linux-6-prefault',
  summary: 'linux-6, and faults in sequence map 1, 2, 4, 8, 14, 14 ... pages',
  source: prefault.source,
  prefault: 'ours',
};
