import { SMALL, setup, taskAfter, thread, type Scenario } from './scenario.js';

/**
 * SPEC S1-d: one CPU stores to a clean page that may be written, so that the MMU sets the dirty bit, while another
 * takes write permission away and then has the page taken out of memory. If the change of the pte loses the bit, the
 * page counts as clean, is not written to the swap file, and what was stored is gone (the comment on the SMP race in
 * change_pte_range, which Lameter's mail of 31 March 2005 replaces).
 */
export const lostDirtyBit: Scenario = {
  name: 'lost-dirty-bit',
  summary: 'a CPU stores to a clean page that another write-protects and pages out',
  source: 'Lameter, 31 March 2005, change_pte_range; SPEC S1-d',
  machine: { ...SMALL.machine, swapPages: 4 },
  limits: SMALL.limits,
  cases: [
    {
      name: 'a store beside mprotect, then page-out',
      setup: setup('cleanPageSetup'),
      threads: (first) => [
        thread(0, 'storeIfAllowed', first),
        thread(1, 'protectAndPageOut', taskAfter(first, 1)),
      ],
    },
  ],
  fails: ['broken-read-modify-write'],
};
