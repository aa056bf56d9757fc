import { SMALL, setup, taskAfter, thread, type Scenario } from './scenario.js';

/** What the page is to hold. */
const STORED = 9;
/** Bits of the levels of i386: the leaf tables, and the top. */
const LEAF = 1;
const TOP = 2;

/**
 * A CPU moves the page tables of a process while another faults on a page, uses it or gives it up. What was stored is
 * there, what is mapped is counted once, and nobody walks through a table that is free.
 */
export const relocateFault: Scenario = {
  name: 'relocate-fault',
  summary: 'a CPU moves the page tables that another walks',
  source: 'Biro, April 2008; SPEC S2',
  ...SMALL,
  cases: [
    {
      name: 'a first store beside the move of its leaf table',
      setup: setup('relocateSetup'),
      threads: (first) => [
        thread(0, 'relocateOwn', first, LEAF, 1),
        thread(1, 'loadThenStore', taskAfter(first, 1), STORED),
      ],
      fails: ['broken-relocate-at-once', 'broken-relocate-rcu'],
    },
    {
      name: 'a page that is read from a file beside the move of its leaf table',
      setup: setup('fileSetup', 1, 0),
      threads: (first) => [
        thread(0, 'relocateOwn', first, LEAF, 0),
        thread(1, 'loadAndLeave', taskAfter(first, 1)),
      ],
    },
    {
      name: 'a first store beside the move of the top',
      setup: setup('relocateSetup'),
      threads: (first) => [
        thread(0, 'relocateOwn', first, TOP, 1),
        thread(1, 'loadThenStore', taskAfter(first, 1), STORED),
      ],
      fails: ['broken-relocate-at-once'],
    },
  ],
  fails: ['broken-relocate-at-once', 'broken-relocate-flush', 'broken-relocate-rcu'],
  holds: ['relocate', 'v18-relocate', 'linux-6-relocate'],
};
