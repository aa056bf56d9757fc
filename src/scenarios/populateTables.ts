import { Access } from '../hardware/mmu.js';
import { SMALL, setup, taskAfter, thread, type Scenario, type ScenarioCase } from './scenario.js';

/**
 * @param level - of the table that has the empty entry: 1 has those that point to ptes
 * @param executions - bound of the search; the tables below are fought over too
 */
function bothPopulate(entry: string, level: number, executions?: number): ScenarioCase {
  return {
    name: `an empty ${entry}`,
    setup: setup('missingTablesSetup', level),
    threads: (first) =>
      [0, 1].map((cpu) => thread(cpu, 'firstFault', taskAfter(first, cpu), Access.WRITE, -1)),
    ...(executions === undefined ? {} : { executions }),
  };
}

/**
 * SPEC S1-i: two CPUs touch a page whose tables are not there. Each brings a table for the empty entry; one hangs its
 * own in (pgd_test_and_populate, pud_test_and_populate, pmd_test_and_populate: Lameter, 2 March 2005, V18 patch 3 of 4),
 * and the other frees its own, once.
 */
export const populateTables: Scenario = {
  name: 'populate-tables',
  summary: 'two CPUs build the tables for one page',
  source: 'Lameter, 2 March 2005, V18 patch 3 of 4, handle_mm_fault; SPEC S1-i',
  machine: { ...SMALL.machine, arch: 'x86_64' },
  limits: SMALL.limits,
  cases: [bothPopulate('pmd', 1), bothPopulate('pud', 2, 500), bothPopulate('pgd', 3, 500)],
  fails: ['broken-populate-store', 'broken-populate-leak'],
};
