import { Access } from '../hardware/mmu.js';
import { TASK_RECORD } from './firstFault.js';
import type { Scenario, ScenarioCase } from './scenario.js';

function beside(name: string, access: Access, mappedBefore: 0 | 1): ScenarioCase {
  return {
    name,
    setup: { program: 'firstFaultSetup', args: [2, 1] },
    threads: (firstTask) => [
      // Touched twice, the second access finds a translation in the TLB, or a hole in its stead.
      { cpu: 0, program: 'touchShared', args: [firstTask, access, 1 + mappedBefore] },
      { cpu: 1, program: 'unmapShared', args: [firstTask + TASK_RECORD] },
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
  machine: { arch: 'i386', frames: 48, cpus: 2, nodes: 1 },
  limits: { tasks: 4, mms: 2, vmas: 8, anonVmas: 8, files: 2 },
  cases: [
    beside('read', Access.READ, 0),
    beside('write', Access.WRITE, 0),
    beside('write twice', Access.WRITE, 1),
  ],
  brokenDesignsFail: false,
};
