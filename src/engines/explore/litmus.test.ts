/** What the reduced search finds of small random programs is what a search without reduction finds. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { searchReduced, searchUnreduced } from '../../../test/unreduced.js';
import { pageTableLock } from '../../designs/pageTableLock.js';
import { vmConfig } from '../configuration.js';
import type { Thread } from '../engine.js';
import type { Execution } from './execution.js';
import { ExploreEngine } from './exploreEngine.js';
import { searchBounded } from './bounded.js';

const LIMITS = { tasks: 2, mms: 2, vmas: 4, anonVmas: 4, files: 2 };

describe('a search with reduction', () => {
  const shapes = [
    { cpus: 2, actions: 2, programs: 150 },
    { cpus: 3, actions: 1, programs: 30 },
  ];
  for (const { cpus, actions, programs } of shapes) {
    it(`finds all that one without finds of ${programs} programs of ${cpus} CPUs`, async () => {
      const machine = { arch: 'i386', frames: 12, cpus, nodes: 1 } as const;
      const engine = await ExploreEngine.create(vmConfig(machine, pageTableLock, LIMITS));
      const state = engine.machine.save();
      const executionOf = (seed: number): Execution => {
        engine.machine.restore(state);
        const threads: Thread[] = Array.from({ length: cpus }, (_, cpu) => {
          return { cpu, program: 'litmus', args: [seed * cpus + cpu, actions, cpu] };
        });
        return engine.execution(threads, engine.vm.END_CHECKS.none);
      };
      let deadlocks = 0;
      for (let seed = 1; seed <= programs; seed++) {
        const all = searchUnreduced(executionOf(seed));
        assert.deepEqual(searchReduced(executionOf(seed), true), all, `seed ${seed}`);
        assert.deepEqual(searchReduced(executionOf(seed), false), all, `seed ${seed}`);
        deadlocks += all.deadlocks.size;
        const bounded = executionOf(seed);
        const { outcome } = searchBounded(bounded, Infinity, { executions: Infinity });
        assert.equal(outcome === 'failed', all.deadlocks.size > 0, `seed ${seed}`);
        if (outcome === 'exhausted') assert.deepEqual(bounded.finalStates, all.states);
      }
      if (actions > 1) assert.ok(deadlocks > 0, 'no program deadlocked');
    });
  }
});
