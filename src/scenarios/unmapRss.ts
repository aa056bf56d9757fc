import { SMALL, setup, taskAfter, thread, type Scenario } from './scenario.js';

/** What the page holds before, and what is stored to it. */
const BEFORE = 7;
const STORED = 9;

/**
 * SPEC S1-h: try_to_unmap_one of the mail of 31 March 2005 has inc_mm_counter(mm, rss) where a page leaves the address
 * space (Lameter; the line is no part of the change, but of the code around it).
 */
export const unmapRss: Scenario = {
  name: 'unmap-rss',
  summary: 'a CPU has a page taken out of memory, which rss must notice',
  source: 'Lameter, 31 March 2005, try_to_unmap_one; SPEC S1-h',
  machine: { ...SMALL.machine, swapPages: 4 },
  limits: SMALL.limits,
  cases: [
    {
      name: 'alone',
      setup: setup('threadsSetup', 1),
      threads: (first) => [thread(0, 'pageOutAndLoad', first, BEFORE)],
    },
    {
      name: 'beside a store by another thread',
      setup: setup('threadsSetup', 1),
      threads: (first) => [
        thread(0, 'pageOutAndLoad', first, 0),
        thread(1, 'storeOwn', taskAfter(first, 1), STORED),
      ],
    },
  ],
  fails: ['broken-unmap-rss'],
};
