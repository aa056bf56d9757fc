import { PairKind } from '../workloads/pairSetup.js';
import { pairOf } from './pairs.js';
import { SMALL, setup, taskAfter, thread, type Scenario, type ScenarioCase } from './scenario.js';

function walkOf(page: string, kind: PairKind, walk: string, fault: string): ScenarioCase {
  return { ...pairOf(kind, walk, fault), name: `${walk}, ${fault}: a page that is ${page}` };
}

/**
 * A thread walks page tables that are in high memory while another, on another CPU or on the same, has a fault there. Each
 * kind of walk comes by: two tables at a time (mremap, fork), one that is emptied (madvise; a file that is cut off, under
 * a spinlock), one that reclaim looks into, and two that only read (mincore; /proc, which lets others have the CPU on its
 * way).
 */
export const highpteWalk: Scenario = {
  name: 'highpte-walk',
  summary: 'a thread walks page tables in high memory while another has a fault there',
  source: 'Arcangeli, 26 March 2002; SPEC S3 (3.1, 3.2)',
  machine: { ...SMALL.machine, swapPages: 4, lowFrames: 24, kmaps: 2 },
  limits: { ...SMALL.limits, mms: 4 },
  cases: [
    walkOf('fresh', PairKind.FRESH, 'mremap', 'write'),
    walkOf('present', PairKind.ANON, 'fork', 'write'),
    walkOf('present', PairKind.ANON, 'dontneed', 'write'),
    walkOf('swapped', PairKind.SWAPPED, 'dontneed', 'read'),
    { ...walkOf('present', PairKind.ANON, 'pageout', 'write'), executions: 300 },
    { ...walkOf('shared', PairKind.FORKED, 'pageout', 'write'), executions: 300 },
    walkOf('of a file', PairKind.DIRTY_FILE, 'truncate', 'write'),
    walkOf('fresh', PairKind.FRESH, 'mincore', 'write'),
    {
      name: 'statm, write',
      setup: setup('pairSetup', PairKind.FRESH),
      threads: (task) => [
        thread(0, 'countResident', task, 0, 1),
        thread(1, 'pairWrite', taskAfter(task, 1), 1, PairKind.FRESH, 0),
      ],
    },
    {
      name: 'statm, write on the same CPU',
      setup: setup('pairSetup', PairKind.FRESH),
      threads: (task) => [
        thread(0, 'countResident', task, 0, 1),
        thread(0, 'pairWrite', taskAfter(task, 1), 1, PairKind.FRESH, 0),
      ],
    },
    {
      name: 'statm, statm on the same CPU',
      setup: setup('pairSetup', PairKind.ANON),
      threads: (task) => [
        thread(0, 'countResident', task, 1, 1),
        thread(0, 'countResident', taskAfter(task, 1), 1, 1),
      ],
    },
  ],
  fails: [],
  holds: ['highpte-persistent', 'highpte-hybrid', 'highpte-atomic', 'highpte-window'],
};
