/** Tasks that share a CPU: one goes on until it sleeps or is in user mode, and then another may. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { searchReduced, searchUnreduced } from '../../../test/unreduced.js';
import { pageTableLock } from '../../designs/pageTableLock.js';
import { Meanwhile } from '../../workloads/verdicts.js';
import { vmConfig } from '../configuration.js';
import type { Thread } from '../engine.js';
import { searchBounded } from './bounded.js';
import { ExploreEngine } from './exploreEngine.js';
import type { SearchResult } from './search.js';
import { searchAll } from './sourceSets.js';

const LIMITS = { tasks: 2, mms: 2, vmas: 4, anonVmas: 4, files: 2 };
const UNBOUNDED = { executions: 100_000 };

async function engineOf(cpus: number): Promise<ExploreEngine> {
  const machine = { arch: 'i386', frames: 12, cpus, nodes: 1 } as const;
  return ExploreEngine.create(vmConfig(machine, pageTableLock, LIMITS));
}

async function search(cpus: number, threads: readonly Thread[]): Promise<SearchResult> {
  const engine = await engineOf(cpus);
  return searchAll(engine.execution(threads, engine.vm.END_CHECKS.none), UNBOUNDED);
}

/** A task that keeps something in its CPU's slot while it does something else. */
function holds(cpu: number, number: number, meanwhile: keyof typeof Meanwhile): Thread {
  return { cpu, program: 'holdAcross', args: [number, Meanwhile[meanwhile]] };
}

describe('a slot that a CPU has one of', () => {
  const lost = ['the slot of cpu 0 holds 2, should be 1', 'the slot of cpu 0 holds 1, should be 2'];

  for (const meanwhile of ['NOTHING', 'OWN_SEMAPHORE', 'SPINLOCK'] as const) {
    it(`stays a task's own while it does not sleep: ${meanwhile}`, async () => {
      const tasks = [holds(0, 1, meanwhile), holds(0, 2, meanwhile), holds(1, 3, 'SPINLOCK')];
      const { outcome, executions, failures } = await search(2, tasks);
      assert.deepEqual(failures, []);
      assert.equal(outcome, 'exhausted');
      assert.ok(executions >= 2, `${executions} executions`);
    });
  }

  it('is lost in user mode, where another task may come', async () => {
    const found = await search(1, [holds(0, 1, 'INTERRUPTS'), holds(0, 2, 'NOTHING')]);
    assert.equal(found.kind, 'contents');
    assert.deepEqual(found.failures, [lost[0]]);
  });

  it('is lost by who sleeps, for a semaphore that a task of another CPU has', async () => {
    const two = [holds(0, 1, 'SEMAPHORE'), holds(0, 2, 'NOTHING')];
    assert.equal((await search(2, two)).outcome, 'exhausted');
    const found = await search(2, [...two, holds(1, 3, 'SEMAPHORE')]);
    assert.equal(found.kind, 'contents');
    assert.ok(lost.includes(found.failures[0]), found.failures[0]);
  });
});

describe('a task that spins on a lock whose holder sleeps on the same CPU', () => {
  const spins: Thread = { cpu: 0, program: 'takeNested', args: [0, 1] };
  const sleeps: Thread = { cpu: 0, program: 'spinThenSemaphore', args: [] };
  const other: Thread = { cpu: 1, program: 'holdSemaphore', args: [] };

  it('does not let it go on, though what it sleeps for is there', async () => {
    const { kind, failures } = await search(2, [sleeps, spins, other]);
    assert.equal(kind, 'deadlock', failures.join('\n'));
    assert.deepEqual(failures, [
      'deadlock: a task waits for cpu 0, spinThenSemaphore',
      'deadlock: cpu 0 waits in spinLock of frame[10][0] (1), takeNested',
    ]);
  });

  it('does when nothing makes the holder sleep', async () => {
    assert.equal((await search(2, [sleeps, spins])).outcome, 'exhausted');
  });
});

describe('a search with reduction', () => {
  const first = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
  /** CPU of each thread. Of the third, those that take an unreduced search no more than 5,000 executions. */
  const shapes = [
    { cpus: [0, 0], actions: 3, seeds: first(150) },
    { cpus: [0, 0, 1], actions: 1, seeds: first(100) },
    {
      cpus: [0, 0, 1],
      actions: 2,
      seeds: [2, 4, 7, 9, 10, 11, 12, 16, 20, 21, 24, 30, 31, 36, 37, 43, 45, 48, 51, 55],
    },
  ];
  for (const { cpus, actions, seeds } of shapes) {
    const shape = `threads on CPUs ${cpus.join(', ')}, ${actions} actions each`;
    it(`finds all that one without finds of ${seeds.length} programs: ${shape}`, async () => {
      const engine = await engineOf(2);
      const state = engine.machine.save();
      const executionOf = (seed: number): ReturnType<typeof engine.execution> => {
        engine.machine.restore(state);
        const threads: Thread[] = cpus.map((cpu, number) => {
          return { cpu, program: 'litmus', args: [seed * cpus.length + number, actions, number] };
        });
        return engine.execution(threads, engine.vm.END_CHECKS.none);
      };
      for (const seed of seeds) {
        const all = searchUnreduced(executionOf(seed));
        assert.deepEqual(searchReduced(executionOf(seed), true), all, `seed ${seed}`);
        assert.deepEqual(searchReduced(executionOf(seed), false), all, `seed ${seed}`);
        const bounded = executionOf(seed);
        const { outcome } = searchBounded(bounded, Infinity, { executions: Infinity });
        assert.equal(outcome === 'failed', all.deadlocks.size > 0, `seed ${seed}`);
        if (outcome === 'exhausted') assert.deepEqual(bounded.finalStates, all.states);
      }
    });
  }
});
