import { SMALL, setup, taskAfter, thread, type Scenario, type ScenarioCase } from './scenario.js';

/** What is stored. */
const STORED = 9;
/** Bits of the levels of i386: the leaf tables, and the top. */
const LEAF = 1;
const TOP = 2;

const OURS = ['relocate', 'v18-relocate', 'linux-6-relocate'];

/** A thread moves tables of its process, as there is a frame for one, while another stores to a page for the first time. */
function firstStore(levels: number): Pick<ScenarioCase, 'setup' | 'threads'> {
  return {
    setup: setup('relocateSetup'),
    threads: (first) => [
      thread(0, 'relocateOwn', first, levels, 1),
      thread(1, 'loadThenStore', taskAfter(first, 1), STORED),
    ],
  };
}

/**
 * A CPU moves page tables of a process while another walks them, and faults. What was stored is there, what is mapped is
 * counted once, and nobody walks through a table that is free.
 *
 * A mover goes over 1024 entries. To try a preemption before each first would take longer than the full search, which
 * knows that all but a few are nobody's.
 */
export const relocateFault: Scenario = {
  name: 'relocate-fault',
  summary: 'a CPU moves page tables that another walks',
  source: 'Biro, April 2008; SPEC S2-b, S2-c, S2-e',
  ...SMALL,
  cases: [
    {
      name: 'a first store',
      ...firstStore(LEAF),
      fails: [
        'relocate-posted',
        'broken-relocate-stale',
        'broken-relocate-at-once',
        'broken-relocate-rcu',
      ],
      preemptions: 0,
    },
    {
      name: 'a page that is read from a file',
      setup: setup('fileSetup', 1, 0),
      threads: (first) => [
        thread(0, 'relocateOwn', first, LEAF, 1),
        thread(1, 'loadAndLeave', taskAfter(first, 1)),
      ],
      preemptions: 0,
    },
    {
      name: 'a first store while the top moves',
      ...firstStore(TOP),
      preemptions: 0,
      fails: ['broken-relocate-at-once'],
    },
    {
      name: 'a first store, and memory that is full after one table',
      ...firstStore(LEAF | TOP),
      preemptions: 0,
      fails: ['relocate-posted'],
    },
  ],
  fails: [
    'relocate-posted',
    'broken-relocate-stale',
    'broken-relocate-at-once',
    'broken-relocate-flush',
    'broken-relocate-rcu',
  ],
  holds: OURS,
};

/**
 * SPEC S2-a: a CPU stores to a clean page, so that its MMU sets the dirty bit, in the table that it knows of, while
 * another moves that table, and then has the page taken out of memory. If the bit is lost the page counts as clean, is
 * not written to the swap file, and what was stored is gone.
 */
export const relocateDirty: Scenario = {
  name: 'relocate-dirty',
  summary: 'a CPU stores to a clean page whose table another moves',
  source: 'Fitzhardinge, 30 April 2008 (how does it deal with accessed and dirty bits); SPEC S2-a',
  machine: { ...SMALL.machine, swapPages: 4 },
  limits: SMALL.limits,
  cases: [
    {
      name: 'a store to a clean page',
      setup: setup('cleanPageSetup'),
      threads: (first) => [
        thread(0, 'relocateOwn', first, LEAF, 1),
        thread(1, 'loadThenDirty', taskAfter(first, 1)),
      ],
      preemptions: 0,
      mustHold: 'dirtyIfStored',
    },
    {
      name: 'a store to a clean page, then page-out',
      setup: setup('cleanPageSetup'),
      threads: (first) => [
        thread(0, 'relocateAndPageOut', first),
        thread(1, 'loadThenDirty', taskAfter(first, 1)),
      ],
    },
  ],
  fails: ['relocate-posted'],
  holds: OURS,
};

/** SPEC S2-d: the top is on node 0 and the leaf table on node 1, from where all tables are to move. */
export const relocateNode: Scenario = {
  name: 'relocate-node',
  summary: 'a CPU moves page tables away from a node, where the table above is not',
  source: 'Biro, April 2008 (migrate_page_tables_pmd: virt_to_page(pmd)); SPEC S2-d',
  machine: { ...SMALL.machine, nodes: 2 },
  limits: SMALL.limits,
  cases: [
    {
      name: 'a first store',
      setup: setup('spreadSetup'),
      threads: (first) => [
        thread(0, 'migrateOwn', first, 1, 0),
        thread(1, 'loadThenStore', taskAfter(first, 1), STORED),
      ],
      preemptions: 0,
    },
  ],
  fails: ['relocate-posted'],
  holds: OURS,
};

/**
 * A leaf table moves from high memory to low memory while a fault has let go of it to find a frame: what the fault maps
 * again afterwards lies elsewhere. Of 48 frames three are high, which the table and what it maps use up.
 */
export const relocateHigh: Scenario = {
  name: 'relocate-high',
  summary: 'a CPU moves a page table out of high memory, by which another is about to map a page',
  source: 'ours: SPEC S2 and S3 together',
  machine: { ...SMALL.machine, lowFrames: 45 },
  limits: SMALL.limits,
  cases: [
    {
      name: 'a first store',
      ...firstStore(LEAF),
      preemptions: 0,
    },
  ],
  fails: [],
  holds: ['relocate-highpte-hinting'],
};
