import { SMALL, setup, taskAfter, thread, type Scenario, type ScenarioCase } from './scenario.js';

/** What the page holds before the race, and what is stored to it. */
const BEFORE = 7;
const STORED = 9;

const threads: ScenarioCase[] = [
  {
    name: 'a store by another thread',
    setup: setup('threadsSetup', 1),
    threads: (first) => [
      thread(0, 'pageOutAndLoad', first, 0),
      thread(1, 'storeOwn', taskAfter(first, 1), STORED),
    ],
  },
  {
    name: 'a load by another thread',
    setup: setup('threadsSetup', 1),
    threads: (first) => [
      thread(0, 'pageOutAndLoad', first, 0),
      thread(1, 'loadOwn', taskAfter(first, 1)),
    ],
  },
];

const processes: ScenarioCase[] = [
  {
    name: 'a store by a child that shares the page',
    setup: setup('forkedSetup'),
    threads: (parent) => [
      thread(0, 'pageOutAndLoad', parent, BEFORE),
      thread(1, 'storeOwn', taskAfter(parent, 1), STORED),
    ],
    executions: 200,
  },
  {
    name: 'the end of a child that shares the page',
    setup: setup('forkedSetup'),
    threads: (parent) => [
      thread(0, 'pageOutAndLoad', parent, BEFORE),
      thread(1, 'endTask', taskAfter(parent, 1)),
    ],
    executions: 100,
  },
];

/**
 * One CPU takes a page out of memory, to the swap file, while another uses it, or gives it up. Whoever comes back to
 * it finds what was there, and what is stored is not lost on the way.
 */
export const swapFault: Scenario = {
  name: 'swap-fault',
  summary: 'a CPU takes a page to the swap file that another uses',
  source: 'SPEC 1.10; V18, patch 1 of 4: try_to_unmap_one',
  machine: { ...SMALL.machine, swapPages: 4 },
  limits: SMALL.limits,
  cases: [...threads, ...processes],
  fails: [],
};
