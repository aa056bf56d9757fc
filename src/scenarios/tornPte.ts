import { Access } from '../hardware/mmu.js';
import { SMALL, setup, taskAfter, thread, type Scenario } from './scenario.js';

/**
 * SPEC S1-e: where a pte is two words, who holds no lock reads and writes it half by half. V18 leaves i386 with PAE out
 * ("restricted to CPUs better than a 486 and non PAE mode": Lameter, 2 March 2005). Three reasons:
 *
 * - two CPUs that install at once leave the low word of one entry with the high word of the other;
 * - a compare-exchange of two words empties the first of them meanwhile, and who faults then takes the pte for one that
 *   nobody has touched;
 * - who reads the low word of one entry and the high word of the next copies from a frame that the pte never mapped.
 *
 * Patch 3 of 4 alone (v18-first) installs what was written to under the lock, and has only the last: its copy is thrown
 * away, but with DEBUG_PAGEALLOC it is an oops.
 */
export const tornPte: Scenario = {
  name: 'torn-pte',
  summary: 'two CPUs at one pte of two words, with no lock',
  source: 'Lameter, 2 March 2005, V18 overview; SPEC S1-e',
  machine: { ...SMALL.machine, arch: 'i386-pae' },
  limits: SMALL.limits,
  cases: [
    {
      name: 'two halves are written by two CPUs',
      setup: setup('firstFaultSetup', 2, 1),
      threads: (first) =>
        [0, 1].map((cpu) => thread(cpu, 'firstFault', taskAfter(first, cpu), Access.WRITE, cpu)),
      fails: ['v18', 'v18-per-thread', 'v18-wp-locked', 'v18-held'],
    },
    {
      name: 'two halves are exchanged and read',
      setup: setup('neighbourFrameSetup'),
      threads: (first) => [
        thread(0, 'storeIfAllowed', first),
        thread(1, 'storeIfAllowed', taskAfter(first, 2)),
      ],
      fails: ['v18', 'v18-per-thread', 'v18-wp-locked', 'v18-held', 'broken-v18-debug-pagealloc'],
    },
  ],
  fails: [],
};
