/** Reads and writes the files in which counterexamples are kept. */
import {
  formatCounterexample,
  parseCounterexample,
  type Counterexample,
} from '../scenarios/counterexample.js';
import { readText } from '../traces/lines.js';
import { writeText } from './files.js';
import { scheduleHtml } from './scheduleHtml.js';

/** @throws InputError when the file cannot be read, or is none */
export async function readCounterexample(path: string): Promise<Counterexample> {
  return parseCounterexample(await readText(path), path);
}

export async function writeCounterexample(
  path: string,
  counterexample: Counterexample,
): Promise<void> {
  await writeText(path, formatCounterexample(counterexample));
}

/** Writes a counterexample as a page for a browser. */
export async function writeSchedulePage(
  path: string,
  counterexample: Counterexample,
): Promise<void> {
  await writeText(path, await scheduleHtml(counterexample));
}
