import { SMALL, setup, taskAfter, thread, type Scenario } from './scenario.js';

/** A schedule is long: of the designs that differ in something else, some. */
const HOLDS = ['page-table-lock', 'v18', 'v18-held', 'table-lock', 'pte-bit', 'linux-6'];

/**
 * SPEC S1-c: reclaim beside a first touch whose page goes straight on to the LRU list, because the pagevec is full.
 * V18 puts it there after the compare-exchange, and says why ("because if the page is on the LRU then try_to_unmap may
 * come in and unmap the pte": Lameter, 2 March 2005, patch 3 of 4). That does not happen here: while no pte maps a page
 * whose mapcount is 1, reclaim finds nothing to unmap and lets it be (broken-rmap-before-install). What breaks is that
 * a page can be locked while its flags are still set by a plain store, which needs two preemptions.
 */
export const lruBeforeInstall: Scenario = {
  name: 'lru-before-install',
  summary: 'a CPU reclaims while another touches a page, which goes on the LRU list at once',
  source: 'Lameter, 2 March 2005, V18 patch 3 of 4, do_anonymous_page; SPEC S1-c',
  machine: { ...SMALL.machine, swapPages: 4 },
  limits: SMALL.limits,
  cases: [
    {
      name: 'one touches the page',
      setup: setup('fullPagevecSetup'),
      threads: (first) => [
        thread(0, 'storeIfAllowed', first),
        thread(1, 'reclaimAll', taskAfter(first, 1), 0),
      ],
      executions: 300,
      preemptions: 2,
    },
    {
      name: 'both touch it, and one installs its page in vain',
      setup: setup('fullPagevecSetup'),
      threads: (first) => [
        thread(0, 'storeIfAllowed', first),
        thread(1, 'reclaimAll', taskAfter(first, 1), 1),
      ],
      executions: 300,
      preemptions: 2,
    },
  ],
  fails: ['broken-lru-before-install'],
  holds: [...HOLDS, 'broken-rmap-before-install'],
};
