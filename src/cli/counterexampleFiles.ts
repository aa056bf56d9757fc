/** Reads and writes the files in which counterexamples are kept. */
import { writeFile } from 'node:fs/promises';
import { InputError } from '../base/errors.js';
import {
  formatCounterexample,
  parseCounterexample,
  type Counterexample,
} from '../scenarios/counterexample.js';
import { readText } from '../traces/lines.js';
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

async function writeText(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new InputError('FILE_WRITE', `cannot be written (${code})`, { file: path });
  }
}
