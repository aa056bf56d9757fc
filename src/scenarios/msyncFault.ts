import { SMALL, setup, taskAfter, thread, type Scenario } from './scenario.js';

/**
 * One CPU stores to a page of a file and has it written back, which takes write permission away; another stores to it
 * meanwhile. Whoever may write afterwards has been noticed: otherwise what it stores would never be written back.
 */
export const msyncFault: Scenario = {
  name: 'msync-fault',
  summary: 'a CPU stores to a page of a file that another writes back',
  source: 'SPEC S1 (1.5); Linux: page_mkclean, set_page_dirty',
  ...SMALL,
  cases: [
    {
      name: 'mapped for reading before',
      setup: setup('fileSetup', 1, 2),
      threads: (first) => [
        thread(0, 'storeAndSync', first, 0),
        thread(1, 'storeOwn', taskAfter(first, 1), 1),
      ],
    },
    {
      name: 'a first store by another process',
      setup: setup('forkedFileSetup'),
      threads: (first) => [
        thread(0, 'storeOwn', first, 1),
        thread(1, 'storeAndSync', taskAfter(first, 1), 0),
      ],
      executions: 200,
    },
    {
      name: 'both write back, each a page that the device did not have',
      setup: setup('grownFileSetup'),
      threads: (first) => [
        thread(0, 'storeAndSync', first, 0),
        thread(1, 'storeAndSync', taskAfter(first, 1), 1),
      ],
      executions: 200,
    },
  ],
  fails: [],
};
