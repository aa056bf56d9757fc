import { Access } from '../hardware/mmu.js';
import { SMALL, setup, taskAfter, thread, type Scenario, type ScenarioCase } from './scenario.js';

function beside(name: string, access: Access, mappedBefore: 0 | 1): ScenarioCase {
  return {
    name,
    setup: setup('firstFaultSetup', 2, 1),
    threads: (firstTask) => [
      // Touched twice, the second access finds a translation in the TLB, or a hole in its stead.
      thread(0, 'touchShared', firstTask, access, 1 + mappedBefore),
      thread(1, 'unmapShared', taskAfter(firstTask, 1)),
    ],
  };
}

/**
 * One CPU touches a page while another unmaps it. No TLB may hold what is no longer mapped, and no page
 * may be lost or freed twice.
 */
export const munmapFault: Scenario = {
  name: 'munmap-fault',
  summary: 'a CPU touches a page that another unmaps',
  source: 'SPEC S1 (1.11)',
  ...SMALL,
  cases: [
    beside('read', Access.READ, 0),
    beside('write', Access.WRITE, 0),
    beside('write twice', Access.WRITE, 1),
  ],
  fails: [],
};
