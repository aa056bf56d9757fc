import { SMALL, setup, taskAfter, thread, type Scenario, type ScenarioCase } from './scenario.js';

/** Designs that copy from a page that nobody holds, as V18 does. */
const UNHELD = ['v18-first', 'v18', 'v18-per-thread'];
const UNHELD_DEBUG = 'broken-v18-debug-pagealloc';
/** Designs that hold it, in each of their ways. */
const HELD = [
  'page-table-lock',
  'v18-debug-pagealloc',
  'v18-wp-locked',
  'v18-held',
  'table-lock',
  'pte-bit',
  'linux-6',
];

const anonymous: ScenarioCase[] = [
  {
    name: 'the page goes out',
    setup: setup('sharedCopySetup'),
    threads: (first) => [
      thread(0, 'storeToCopy', first),
      thread(1, 'takeCopiedOut', taskAfter(first, 2)),
    ],
    executions: 300,
    fails: [UNHELD_DEBUG],
  },
  {
    name: 'the page goes out, and comes back to its frame',
    setup: setup('sharedCopySetup'),
    threads: (first) => [
      thread(0, 'storeToCopy', first),
      thread(1, 'takeOutAndBringBack', taskAfter(first, 2)),
    ],
    executions: 300,
    preemptions: 2,
    fails: [...UNHELD, UNHELD_DEBUG],
  },
  {
    name: 'the page is stored to where it is, goes out and comes back',
    setup: setup('sharedCopySetup'),
    threads: (first) => [
      thread(0, 'storeBeside', first),
      thread(1, 'storeAndBringBack', taskAfter(first, 2), taskAfter(first, 1)),
    ],
    executions: 300,
    preemptions: 2,
    fails: [...UNHELD, UNHELD_DEBUG],
  },
];

const ofFile: ScenarioCase = {
  name: 'a page of a file goes out, and comes back to its frame',
  setup: setup('fileCopySetup'),
  threads: (first) => [
    thread(0, 'storeToCopy', first),
    thread(1, 'takeOutAndBringBack', taskAfter(first, 1)),
  ],
  executions: 300,
  preemptions: 2,
  fails: [...UNHELD, UNHELD_DEBUG],
};

/**
 * SPEC S1-f and S1-g: V18's do_wp_page copies from a page that nobody holds ("No page_cache_get so we may copy some crap
 * that is later discarded if the pte has changed": Lameter, 2 March 2005, patch 3 of 4). Morton asks what keeps reclaim
 * from freeing it; "the cmpxchg will fail if that happens". It does not, if the pte has come back to what it was:
 *
 *   cpu 0: reads the pte, which is read-only, and decides to copy frame f
 *   cpu 1: has the page taken out; f is free; stores to another page, which gets f
 *   cpu 0: copies f
 *   cpu 1: has the other page taken out; f is free; loads the page, which comes back to f, by the same pte
 *   cpu 0: the compare-exchange succeeds: the copy has the other page's contents
 *
 * Two preemptions are enough, if the second falls on cpu 1 while it holds the lock to install the other page: cpu 0
 * waits for it once it has copied. With DEBUG_PAGEALLOC the copy is an oops as soon as f is free (Morton, same day).
 *
 * The reference of 2.6.10 does more than keep the page: nobody reuses a page that another holds. Without it a thread
 * may store to the page while it is copied, and have it taken out and brought back, which loses the store.
 */
export const copyUnheld: Scenario = {
  name: 'copy-unheld',
  summary: 'a CPU copies a page on write that another has taken out of memory and brought back',
  source: 'Lameter and Morton, 2 March 2005, V18 patch 3 of 4, do_wp_page; SPEC S1-f, S1-g',
  machine: { ...SMALL.machine, swapPages: 4 },
  limits: SMALL.limits,
  cases: [...anonymous, ofFile],
  fails: [],
  holds: HELD,
};
