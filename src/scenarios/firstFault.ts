import { Access } from '../hardware/mmu.js';
import { SMALL, taskAfter, thread, type Scenario, type ScenarioCase } from './scenario.js';

/** @param accesses - of the first CPU and the second; any more do as the second */
function touches(name: string, warm: 0 | 1, accesses: readonly [Access, Access]): ScenarioCase {
  return {
    name,
    setup: (cpus) => ({ program: 'firstFaultSetup', args: [cpus, warm] }),
    threads: (firstTask, cpus) =>
      Array.from({ length: cpus }, (_, cpu) =>
        thread(cpu, 'firstFault', taskAfter(firstTask, cpu), accesses[Math.min(cpu, 1)], cpu),
      ),
    maxCpus: 4,
  };
}

/**
 * SPEC S1-a and S1-b: two CPUs touch one pte at once. A page must not be lost, and rss must count
 * each mapped page once. Afterwards each touches a page of its own, so that each counts one.
 */
export const firstFault: Scenario = {
  name: 'first-fault',
  summary: 'two CPUs touch one untouched page, then a page of their own',
  source: 'Lameter, 2 March 2005, V18; SPEC S1-a, S1-b',
  ...SMALL,
  cases: [
    touches('write, write', 1, [Access.WRITE, Access.WRITE]),
    touches('read, write', 1, [Access.READ, Access.WRITE]),
    touches('write, write; no tables yet', 0, [Access.WRITE, Access.WRITE]),
  ],
  fails: ['broken-check-then-install', 'broken-plain-rss'],
};
