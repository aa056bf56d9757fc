/** What the workers of one search, and who hands out its parts, tell each other. */
import type { EndCheckName } from '../../workloads/endChecks.js';
import type { ProgramName } from '../../workloads/programs.js';
import type { VmConfig } from '../configuration.js';
import type { Thread } from '../engine.js';
import type { Bounds, SearchResult } from './search.js';
import type { SharedNode } from './sourceSets.js';

/** A race as data, from which each worker makes the same execution. */
export interface Problem {
  readonly config: VmConfig;
  readonly setup?: { readonly program: ProgramName; readonly args: readonly number[] };
  readonly threads: readonly Thread[];
  readonly check: EndCheckName;
}

export interface SearchWorkerSetup {
  readonly problem: Problem;
  readonly commute: boolean;
  /** Of the whole search. */
  readonly bounds: Bounds;
  /** What all see at once: see `Shared`. */
  readonly shared: Int32Array;
}

/** Words that all workers share. */
export const enum Shared {
  /** How many workers have nothing to do. */
  IDLE,
  /** Executions of all, told now and then. */
  EXECUTIONS,
  WORDS,
}

/** What a worker tells. */
export type SearchMessage =
  | { readonly kind: 'reverse'; readonly path: readonly number[]; readonly initials: number }
  | {
      readonly kind: 'give';
      readonly path: readonly number[];
      readonly first: number;
      readonly nodes: readonly SharedNode[];
      readonly choices: number;
      readonly sleep: number;
    }
  /** It goes on. */
  | { readonly kind: 'progress' }
  | { readonly kind: 'done'; readonly result: SearchResult };
