import type { Relocation, VmDesign } from '../mm/design.js';
import { linux, tableLock } from './tableLocks.js';
import { v18 } from './v18.js';

const OURS: Relocation = { tells: 'mark', frees: 'walkers' };

/** What the patch of 2008 wants, in the kernel that it is for, at no cost where nothing moves. SPEC S2. */
export const relocate: VmDesign = {
  ...tableLock,
  name: 'relocate',
  summary: 'table-lock, and page tables can move: the entries of an old table say so',
  source: 'ours, for what Biro wanted in April 2008',
  relocation: OURS,
};

/** With the fault path that takes no lock. */
export const v18Relocate: VmDesign = {
  ...v18,
  name: 'v18-relocate',
  summary: 'v18, and page tables can move: the entries of an old table say so',
  source: relocate.source,
  relocation: OURS,
};

/** With the locks of today. */
export const linuxRelocate: VmDesign = {
  ...linux,
  name: 'linux-6-relocate',
  summary: 'linux-6, and page tables can move: the entries of an old table say so',
  source: relocate.source,
  relocation: OURS,
};

/** The patch of 2008, in the kernel that it is for. SPEC S2-a, S2-b, S2-c, S2-d. */
export const relocatePosted: VmDesign = {
  ...tableLock,
  name: 'relocate-posted',
  summary:
    'table-lock, and page tables can move, as posted: copied, and who takes a lock walks again',
  source: 'Biro, April 2008, Make Page Tables Relocatable; review by Fitzhardinge, 30 April 2008',
  broken:
    'a dirty bit that the MMU sets in the old copy is lost; without memory old tables are neither freed nor flushed; the node that counts is that of the table above',
  relocation: { tells: 'limbo', frees: 'rcu' },
};

/** SPEC S2-e: an update must not go to the old copy. */
export const brokenRelocateStale: VmDesign = {
  ...relocatePosted,
  name: 'broken-relocate-stale',
  summary: 'relocate-posted, but who takes a lock of ptes does not walk again',
  source: 'what the _delimbo functions of the patch are there to avoid',
  broken: 'a page is mapped in a table that nobody walks any more, and goes with it',
  relocation: { tells: 'limbo-unheeded', frees: 'rcu' },
};

/** SPEC S2-b: an old table must not be freed while the MMU may walk through it. */
export const brokenRelocateAtOnce: VmDesign = {
  ...relocate,
  name: 'broken-relocate-at-once',
  summary: 'relocate, but an old table is freed before the flush',
  source: 'what the patch warns of (needs to be called before the pages are freed)',
  broken: 'an MMU that has cached where the table was walks through a frame that is free',
  relocation: { ...OURS, frees: 'at-once' },
};

/** SPEC S2-b: nor while a fault may be on its way through it. */
export const brokenRelocateFlush: VmDesign = {
  ...relocate,
  name: 'broken-relocate-flush',
  summary: 'relocate, but an old table is freed once the TLBs are flushed',
  source: 'what synchronize_rcu() is for in the patch of 2008',
  broken: 'a fault that has found its pte before takes the lock of a table that is free',
  relocation: { ...OURS, frees: 'flush' },
};

/** SPEC S2-b, a finding: a fault may sleep between finding its pte and locking it. */
export const brokenRelocateRcu: VmDesign = {
  ...relocate,
  name: 'broken-relocate-rcu',
  summary: 'relocate, but an old table is freed after synchronize_rcu()',
  source: 'Biro, April 2008: migrate_page_tables_mm',
  broken: 'a fault that sleeps for memory has found its pte before, and RCU does not wait for it',
  relocation: { ...OURS, frees: 'rcu' },
};
