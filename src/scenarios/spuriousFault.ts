import { SMALL, setup, taskAfter, thread, type Scenario } from './scenario.js';

/**
 * SPEC S1-d: 2.6.10 clears a pte before it gives it another value, so that the MMU sets nothing in it meanwhile. A CPU
 * that comes by in between finds no page, faults, waits for the lock, and finds that there is nothing to do (Lameter,
 * 31 March 2005: "There would also be no danger of generating a spurious page fault on other CPUs").
 */
export const spuriousFault: Scenario = {
  name: 'spurious-fault',
  summary: 'a CPU loads from a page whose permissions another changes',
  source: 'Lameter, 31 March 2005; SPEC S1-d',
  ...SMALL,
  cases: [
    {
      name: 'a load beside mprotect',
      setup: setup('threadsSetup', 1),
      threads: (first) => [
        thread(0, 'loadOwn', first),
        thread(1, 'writeProtect', taskAfter(first, 1)),
      ],
      mustHold: 'noSpuriousFaults',
    },
  ],
  fails: ['page-table-lock'],
};
