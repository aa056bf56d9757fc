import { KINDS, OPERATIONS, pairCase, type PairOperation } from './pairs.js';
import { SMALL, type Scenario } from './scenario.js';

const RELOCATE: PairOperation = { name: 'relocate', program: 'pairRelocate', effects: 0 };

/**
 * A task moves all page tables of its process while another does what can be done to a page: each operation of the
 * matrix, and another that moves the same tables. As pairs.ts, for each kind of memory.
 */
export const RELOCATE_PAIRS: readonly Scenario[] = KINDS.map(({ kind, name, memory }) => ({
  name: `relocate-pairs-${name}`,
  summary: `page tables move beside every operation on ${memory}`,
  source: 'SPEC S2, S1 (1.11)',
  machine: { ...SMALL.machine, swapPages: 4 },
  limits: { ...SMALL.limits, mms: 4 },
  cases: [RELOCATE, ...OPERATIONS]
    .filter(({ kinds }) => kinds === undefined || kinds.includes(kind))
    .map((operation) => ({ ...pairCase(kind, RELOCATE, operation), preemptions: 0 })),
  fails: [],
  holds: ['relocate', 'v18-relocate', 'linux-6-relocate'],
}));
