/** Times searches of the checker, with data races and frames watched, and prints a row each as JSON. */
import { performance } from 'node:perf_hooks';
import { problemOf, reference, type Form } from '../test/referenceProblem.js';
import { designNamed } from '../src/designs/index.js';
import { searchAll } from '../src/engines/explore/sourceSets.js';
import { searchInWorkers } from '../src/engines/explore/splitSearch.js';
import { prepareCase } from '../src/scenarios/check.js';
import { scenarioNamed } from '../src/scenarios/index.js';

export interface Run {
  readonly what: string;
  readonly executions: number;
  readonly steps: number;
  readonly seconds: number;
  /** Resident memory afterwards. */
  readonly megabytes: number;
  readonly target: string;
}

const UNBOUNDED = { executions: Infinity };
/** Executions of the VM's own scenarios that are timed; a search that ends before is made again. */
const TIMED = 30_000;

const rows: Run[] = [];

async function time(
  what: string,
  target: string,
  search: () => Promise<{ executions: number; steps: number }>,
): Promise<number> {
  const start = performance.now();
  const { executions, steps } = await search();
  const seconds = (performance.now() - start) / 1000;
  const megabytes = Math.round(process.memoryUsage.rss() / 1e6);
  rows.push({ what, executions, steps, seconds, megabytes, target });
  return seconds;
}

async function timeReference(
  form: Form,
  cpus: number,
  pages: number,
  target: string,
): Promise<void> {
  const execution = await reference(form, cpus, pages);
  const commute = form === 'CAS';
  const what = `${form} ${cpus}×${pages}${commute ? ', commuting' : ''}`;
  await time(what, target, () => {
    return Promise.resolve(searchAll(execution, UNBOUNDED, undefined, { commute }));
  });
}

// V8 compiles the search on a small problem first.
searchAll(await reference('LOCK', 3, 1), UNBOUNDED);
await timeReference('LOCK', 4, 1, '≤ 6 s');
await timeReference('CAS', 3, 2, '≤ 40 s, < 200 MB');

for (const [name, place, design] of [
  ['truncate-fault', 1, 'page-table-lock'],
  ['truncate-fault', 2, 'page-table-lock'],
  ['first-fault', 2, 'linux-6'],
] as const) {
  const scenario = scenarioNamed(name);
  const scenarioCase = scenario.cases[place];
  const { execution } = await prepareCase(scenario, scenarioCase, designNamed(design), 2);
  const what = `${name} (${scenarioCase.name}), ${design}`;
  await time(what, '≥ 10,000 and 1.5 M a second', () => {
    const sum = { executions: 0, steps: 0 };
    while (sum.executions < TIMED) {
      const { executions, steps } = searchAll(execution, UNBOUNDED);
      sum.executions += executions;
      sum.steps += steps;
    }
    return Promise.resolve(sum);
  });
}

const problem = problemOf('CAS', 3, 2);
const [one, two] = [1, 2].map((workers) => () => {
  return searchInWorkers(problem, UNBOUNDED, { workers });
});
const alone = await time('CAS 3×2, a worker', '', one);
const together = await time('CAS 3×2, two workers', '', two);
const ratio = (alone / together).toFixed(2);
rows.push({ ...rows.at(-1)!, what: `two workers against one: ${ratio} ×`, target: '≥ 1.7 ×' });

process.stdout.write(JSON.stringify(rows));
