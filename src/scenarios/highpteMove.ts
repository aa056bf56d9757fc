import { Left } from '../workloads/highpteRaces.js';
import { SMALL, setup, taskAfter, thread, type Scenario, type ScenarioCase } from './scenario.js';

/** Tasks of processes that each move their page, on these CPUs. */
function movers(left: Left, cpus: readonly number[]): ScenarioCase['threads'] {
  return (first) =>
    cpus.map((cpu, number) => thread(cpu, 'moveElsewhere', taskAfter(first, number), number, left));
}

/**
 * Processes move a page from one leaf table to another, where tables are in high memory: two tables must be reached at a
 * time, and for the second there may be no memory, or none without waiting for a device.
 *
 * The first case is S3-a, the second S3-b, the third S3-c. Memory is as small as can be, so that little has to be done to
 * use it up; in the last case the pool has slots for one move.
 */
export const highpteMove: Scenario = {
  name: 'highpte-move',
  summary: 'processes move pages where page tables are in high memory',
  source: 'Arcangeli, 26 March 2002; SPEC S3-a, S3-b, S3-c',
  machine: { arch: 'i386', frames: 22, nodes: 1, lowFrames: 10, kmaps: 2 },
  limits: { ...SMALL.limits, mapCount: 16, vmas: 16, anonVmas: 16, anonVmaChains: 32 },
  cases: [
    {
      name: 'no memory for the table',
      setup: setup('highpteSetup', 1, 0, Left.NONE),
      threads: movers(Left.NONE, [0]),
      fails: ['highpte-backport'],
    },
    {
      name: 'two tasks on a CPU, and memory for the table only after a wait',
      setup: setup('highpteSetup', 2, 0, Left.DIRTY),
      threads: movers(Left.DIRTY, [0, 0]),
      fails: ['highpte-backport', 'highpte-2.5.7'],
    },
    {
      name: 'two CPUs, and slots for one',
      setup: setup('highpteSetup', 2, 1, Left.AMPLE),
      threads: movers(Left.AMPLE, [0, 1]),
      fails: ['highpte-two-kmaps'],
    },
  ],
  fails: ['highpte-backport', 'highpte-2.5.7', 'highpte-two-kmaps'],
  holds: ['highpte-persistent', 'highpte-hybrid', 'highpte-atomic', 'highpte-window'],
};
