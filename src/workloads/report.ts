/** How a workload tells what went wrong: where, in which call; and what may go wrong without being so. */
import { InvariantError } from '../base/errors.js';

/** A call as text. */
export function called(name: string, ...args: number[]): string {
  return `${name}(${args.map((arg) => `0x${arg.toString(16)}`).join(', ')})`;
}

/** An error of ours with the place where it showed; any other as it is. */
export function errorAt(place: string, error: unknown): unknown {
  if (!(error instanceof InvariantError)) return error;
  return new InvariantError(`${place}: ${error.message}`, { cause: error, kind: error.kind });
}

/** Memory does not hold what it must. @param what - what it holds, and what it should */
export function contentsError(what: string): InvariantError {
  return new InvariantError(what, { kind: 'contents' });
}

/** What may fail in a run: nothing; memory, where the machine is small; requests to the device, too. */
export const NOTHING_FAILS = 0;
export const MEMORY_FAILS = 1;
export const DEVICE_FAILS = 2;
