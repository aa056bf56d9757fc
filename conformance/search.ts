/** Runs random sequences until one ends differently on the two sides, and shrinks that. */
import fc from 'fast-check';
import type { ProcessCall } from './calls.js';
import { describeDifference } from './compare.js';
import type { Conformance } from './conformance.js';
import { sequences, type Mode } from './generate.js';

export interface SearchOptions {
  readonly mode: Mode;
  /** How many sequences, and calls of each. */
  readonly sequences: number;
  readonly calls: number;
  readonly seed: number;
  /** Of a difference that was found: runs that sequence alone. */
  readonly path?: string;
}

export interface Outcome {
  readonly mode: Mode;
  readonly sequences: number;
  readonly seed: number;
  /** How to get at the shrunk sequence; absent when all agreed, as are the others. */
  readonly path?: string;
  readonly calls?: readonly ProcessCall[];
  readonly difference?: string;
}

/** @param progress - is told how many sequences are done */
export async function search(
  conformance: Conformance,
  { mode, sequences: numRuns, calls, seed, path }: SearchOptions,
  progress: (done: number) => void = () => undefined,
): Promise<Outcome> {
  let done = 0;
  const property = fc.asyncProperty(sequences(mode, calls), async (sequence) => {
    progress(Math.min(++done, numRuns));
    const found = await conformance.disagreement(sequence);
    if (found !== undefined) throw new Error(describeDifference(found.steps, found.difference));
  });
  const only = path === undefined ? {} : { path, endOnFailure: true };
  const details = await fc.check(property, { numRuns, seed, ...only });
  const result = { mode, sequences: details.numRuns, seed };
  if (!details.failed) return result;
  return {
    ...result,
    path: details.counterexamplePath!,
    calls: details.counterexample![0],
    difference: (details.errorInstance as Error).message,
  };
}
