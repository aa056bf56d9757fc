import { SMALL, setup, taskAfter, thread, type Scenario } from './scenario.js';

/** One thread forks while another touches a page: the child has the page as it was, or not at all. */
export const forkFault: Scenario = {
  name: 'fork-fault',
  summary: 'a thread forks while another touches a page',
  source: 'SPEC S1 (1.11)',
  ...SMALL,
  cases: [
    {
      name: 'first write',
      setup: setup('threadsSetup', 0),
      threads: (first) => [
        thread(0, 'forkAndStore', first, 0),
        thread(1, 'storeOwn', taskAfter(first, 1), 5),
      ],
    },
    {
      name: 'write to a page that is mapped',
      setup: setup('threadsSetup', 1),
      threads: (first) => [
        thread(0, 'forkAndStore', first, 9),
        thread(1, 'storeOwn', taskAfter(first, 1), 5),
      ],
    },
  ],
  fails: [],
};
