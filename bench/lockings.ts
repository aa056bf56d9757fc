/**
 * lockings PAGES: times the fault path of the worker build under each locking, one thread and two, all in turn in
 * one process, without zeroing; prints the median of each as JSON: nanoseconds of wall time per page.
 */
import { LOCKINGS } from './lockingNames.js';
import { compare, engineFor, workers, type Side } from './sides.js';

const medians: Record<string, number> = {};
const engines = await Promise.all(LOCKINGS.map((name) => engineFor(name, { zeroing: false })));
for (const threads of [1, 2]) {
  const sides: Record<string, Side> = {};
  LOCKINGS.forEach((name, place) => {
    sides[`${name} ${threads}`] = workers(engines[place], threads);
  });
  await compare(threads === 2 ? engines : [], sides, medians);
}
process.stdout.write(`${JSON.stringify(medians)}\n`);
