/** What all searches over interleavings have in common: what they are allowed, and what they found. */
import type { Prng } from '../../base/prng.js';

/** What a failure shows by. */
export const FAILURE_KINDS = [
  'invariant',
  'audit',
  'contents',
  'data race',
  'deadlock',
  'use after free',
  'livelock',
] as const;

export type FailureKind = (typeof FAILURE_KINDS)[number];

/** What a search was allowed. */
export interface Bounds {
  readonly executions: number;
  /** When to stop, in milliseconds of the clock that `now` tells. */
  readonly deadline?: number;
  /** Of one execution: one that takes more has no end, or none that is worth waiting for. */
  readonly steps?: number;
}

/** Steps of one execution, unless told otherwise. */
export const MAX_STEPS = 100_000;

export interface SearchResult {
  /** `failed`: a schedule breaks something; `bounded`: a bound was hit before the end. */
  readonly outcome: 'exhausted' | 'bounded' | 'failed';
  /** Executions that ran to their end. */
  readonly executions: number;
  /** Executions given up because another covers them. */
  readonly blocked: number;
  /** Steps of all executions, those that were handed their results again among them. */
  readonly steps: number;
  readonly failures: readonly string[];
  /** Of the first failure. */
  readonly kind?: FailureKind;
  /** The thread that went at each step, of the failing execution. */
  readonly schedule: readonly number[];
}

/** Called now and then with executions so far and, where it can be told, the share of the search that is done. */
export type Progress = (executions: number, share?: number) => void;

export const PROGRESS_EVERY = 1024;

/** The lowest bit that is set, counted from 0. */
export function lowest(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}

/** One of the bits that are set, counted from 0. */
export function randomMember(random: Prng, mask: number): number {
  let left = mask;
  for (let skip = random.below(bitCount(mask)); skip > 0; skip--) left &= left - 1;
  return lowest(left);
}

function bitCount(mask: number): number {
  let count = 0;
  for (let left = mask; left !== 0; left &= left - 1) count++;
  return count;
}
