import { PairKind } from '../workloads/pairSetup.js';
import { operationNamed, pairCase, type PairOperation } from './pairs.js';
import { SMALL, type Scenario, type ScenarioCase } from './scenario.js';

const MIGRATE: PairOperation = { name: 'migrate', program: 'pairMigrate', effects: 0 };

/** A page is written and moved to the other node while another task acts on it. */
function besideMove(page: string, kind: PairKind, operation: string): ScenarioCase {
  const made = pairCase(kind, MIGRATE, operationNamed(operation));
  return { ...made, name: `${operation}: ${page}` };
}

/**
 * A process's page moves to another node while another thread loads from it, stores to it, forks, or has it taken out of
 * memory; and where a file that it is a private copy of is cut off, for which nobody takes mmap_sem. What was stored is
 * there, and a page that has just moved is freed no sooner than its mover is done with it.
 */
export const migratePages: Scenario = {
  name: 'migrate-pages',
  summary: 'a page moves to another node while another thread uses it',
  source: 'Biro, April 2008; Linux 2.6.16, migrate_pages; SPEC S2',
  machine: { ...SMALL.machine, nodes: 2, swapPages: 4 },
  limits: { ...SMALL.limits, mms: 4 },
  cases: [
    besideMove('a page of its own', PairKind.ANON, 'read'),
    besideMove('a page of its own', PairKind.ANON, 'write'),
    besideMove('a page of its own', PairKind.ANON, 'fork'),
    besideMove('a page of its own', PairKind.ANON, 'dontneed'),
    { ...besideMove('a page of its own', PairKind.ANON, 'pageout'), executions: 2000 },
    besideMove('a page that a child shares', PairKind.FORKED, 'write'),
    besideMove('a private copy of a page of a file', PairKind.PRIVATE_FILE, 'truncate'),
  ],
  fails: [],
  holds: ['relocate', 'v18-relocate', 'linux-6-relocate'],
};
