import type { VmDesign } from '../mm/design.js';
import { v18 } from './v18.js';

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
