/** The reference problem as a race that searches can be given: docs/checker.md has the counts that are known. */
import { pageTableLock } from '../src/designs/pageTableLock.js';
import { vmConfig } from '../src/engines/configuration.js';
import type { Thread } from '../src/engines/engine.js';
import type { Execution } from '../src/engines/explore/execution.js';
import { ExploreEngine } from '../src/engines/explore/exploreEngine.js';
import type { Problem } from '../src/engines/explore/searchMessages.js';

/** As ReferenceForm numbers them. */
const FORMS = ['LOCK', 'CAS', 'BUG', 'BUGRSS'] as const;
export type Form = (typeof FORMS)[number];

/** Faulting CPUs and a reclaimer on a few pages. */
export function problemOf(form: Form, cpus: number, pages: number): Problem {
  const config = vmConfig({ arch: 'i386', frames: 12, cpus: cpus + 1, nodes: 1 }, pageTableLock, {
    tasks: 2,
    mms: 2,
    vmas: 4,
    anonVmas: 4,
    files: 2,
  });
  const args = [FORMS.indexOf(form), pages];
  const threads: Thread[] = [];
  for (let cpu = 0; cpu < cpus; cpu++) threads.push({ cpu, program: 'referenceFault', args });
  threads.push({ cpu: cpus, program: 'referenceReclaim', args });
  return { config, threads, check: 'reference' };
}

export async function reference(form: Form, cpus: number, pages: number): Promise<Execution> {
  const { config, threads, check } = problemOf(form, cpus, pages);
  const engine = await ExploreEngine.create(config);
  return engine.execution(threads, engine.vm.END_CHECKS[check]);
}
