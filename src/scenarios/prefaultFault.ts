import { Access } from '../hardware/mmu.js';
import { SMALL, setup, taskAfter, thread, type Scenario } from './scenario.js';

/**
 * Pages that are touched by as many faults in sequence as make the order 30: 1, 2, 4 and 8 pages, and 14 by each of the
 * 27 others. V1's next order is 31.
 */
const LONG_RUN = 15 + 27 * 14;
/** Two pages more than a pagevec holds lie behind them. */
const LONG_MAPPING = LONG_RUN + 16;

/**
 * A CPU touches pages in sequence, so that each fault maps pages ahead, which another CPU may have touched before or
 * touches now. Nobody's page may be replaced, each must be counted once, and a run must end where it may not go on.
 *
 * The first case is S5-a, the second and the last are S5-b, the third and the last S5-c.
 */
export const prefaultFault: Scenario = {
  name: 'prefault-fault',
  summary: 'a CPU touches pages in sequence, so that faults map some ahead, where another CPU is',
  source: 'Lameter, 8 and 13 December 2004; SPEC S5-a, S5-b, S5-c',
  ...SMALL,
  cases: [
    {
      name: 'a long run, then a write',
      setup: setup('prefaultSetup', LONG_MAPPING, LONG_RUN, Access.READ, -1),
      threads: (first) => [
        thread(0, 'storePages', first, LONG_RUN, 1),
        thread(1, 'loadPages', taskAfter(first, 1), LONG_RUN, 1, -1),
      ],
      fails: ['prefault-v1'],
    },
    {
      name: 'a read ahead of a page that was written',
      setup: setup('prefaultSetup', 4, 1, Access.READ, 2),
      threads: (first) => [
        thread(0, 'loadPages', first, 1, 3, 2),
        thread(1, 'loadPages', taskAfter(first, 1), 3, 1, 2),
      ],
    },
    {
      name: 'a write ahead of a page that another CPU writes',
      setup: setup('prefaultSetup', 3, 1, Access.WRITE, -1),
      threads: (first) => [
        thread(0, 'storePages', first, 1, 2),
        thread(1, 'storePages', taskAfter(first, 1), 2, 1),
      ],
      fails: [],
    },
    {
      name: 'a read ahead of a page that another CPU writes',
      setup: setup('prefaultSetup', 3, 1, Access.READ, -1),
      threads: (first) => [
        thread(0, 'loadPages', first, 1, 2, -1),
        thread(1, 'storePages', taskAfter(first, 1), 2, 1),
      ],
    },
  ],
  fails: ['prefault-v1', 'prefault-v2'],
  holds: ['page-table-lock', 'v18', 'linux-6', 'prefault', 'v18-prefault', 'linux-6-prefault'],
};
