/**
 * faultPath PAGES: times the fault path of the worker build in one process, all sides in turn, round after
 * round, and prints the median of each as JSON: nanoseconds of wall time per page.
 */
import { compare, engineFor, onThisThread, workers, zeroing } from './sides.js';

const medians: Record<string, number> = {};

const whole = await engineFor('v18-per-thread');
const inJavaScript = await engineFor('v18-per-thread', { wasm: false });
await compare(
  [whole, inJavaScript],
  {
    'zero in JavaScript 1': zeroing(inJavaScript, 1),
    'zero in JavaScript 2': zeroing(inJavaScript, 2),
    'zero 1': zeroing(whole, 1),
    'zero 2': zeroing(whole, 2),
    'fault 1': workers(whole, 1),
    'fault 2': workers(whole, 2),
  },
  medians,
);
const bareV18 = await engineFor('v18-per-thread', { zeroing: false });
const bareLock = await engineFor('page-table-lock', { zeroing: false });
await compare(
  [bareV18, bareLock],
  {
    'bare v18-per-thread 1': workers(bareV18, 1),
    'bare page-table-lock 1': workers(bareLock, 1),
    'bare v18-per-thread 2': workers(bareV18, 2),
    'bare page-table-lock 2': workers(bareLock, 2),
  },
  medians,
);
const atomic = await engineFor('v18');
await compare(
  [atomic],
  {
    'stripped 1': onThisThread(atomic, false),
    'by hand 1': onThisThread(atomic, true),
  },
  medians,
);
const bareAtomic = await engineFor('v18', { zeroing: false });
await compare(
  [bareAtomic],
  {
    'bare stripped 1': onThisThread(bareAtomic, false),
    'bare by hand 1': onThisThread(bareAtomic, true),
  },
  medians,
);
process.stdout.write(`${JSON.stringify(medians)}\n`);
