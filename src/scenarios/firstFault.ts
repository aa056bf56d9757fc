import { Access } from '../hardware/mmu.js';
import { SMALL, taskAfter, thread, type Scenario, type ScenarioCase } from './scenario.js';

function touches(name: string, warm: 0 | 1, accesses: readonly Access[]): ScenarioCase {
  return {
    name,
    setup: { program: 'firstFaultSetup', args: [accesses.length, warm] },
    threads: (firstTask) =>
      accesses.map((access, cpu) =>
        thread(cpu, 'firstFault', taskAfter(firstTask, cpu), access, cpu),
      ),
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
  brokenDesignsFail: true,
};
