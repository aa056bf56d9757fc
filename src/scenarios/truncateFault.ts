import { Access } from '../hardware/mmu.js';
import { SMALL, setup, taskAfter, thread, type Scenario, type ScenarioCase } from './scenario.js';

function beside(name: string, shared: 0 | 1, cached: 0 | 1, access: Access): ScenarioCase {
  return {
    name,
    setup: setup('fileSetup', shared, cached),
    threads: (first) => [
      thread(0, 'truncateAll', first),
      thread(1, 'touchTwice', taskAfter(first, 1), access),
    ],
  };
}

/**
 * One CPU cuts a file off while another faults on a page of it. A fault that has found the page before it was cut
 * off must not map it afterwards: nothing would ever take it away again.
 */
export const truncateFault: Scenario = {
  name: 'truncate-fault',
  summary: 'a CPU touches a page of a file that another cuts off',
  source: 'Linux 2.6.10, do_no_page and truncate_count',
  ...SMALL,
  cases: [
    beside('shared, read', 1, 1, Access.READ),
    beside('shared, write', 1, 1, Access.WRITE),
    beside('private, write', 0, 1, Access.WRITE),
    beside('shared, read from the device', 1, 0, Access.READ),
  ],
  fails: [],
};
