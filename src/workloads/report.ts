/** How a workload tells what went wrong: where, in which call. */
import { InvariantError } from '../base/errors.js';

/** A call as text. */
export function called(name: string, ...args: number[]): string {
  return `${name}(${args.map((arg) => `0x${arg.toString(16)}`).join(', ')})`;
}

/** An error of ours with the place where it showed; any other as it is. */
export function errorAt(place: string, error: unknown): unknown {
  if (!(error instanceof InvariantError)) return error;
  return new InvariantError(`${place}: ${error.message}`, { cause: error });
}
