/** What a scenario is: a race to be searched, as data. */
import type { VmConfig } from '../engines/configuration.js';
import type { Thread } from '../engines/engine.js';
import { RECORD_WORDS } from '../mm/layout/slab.js';
import type { ProgramName } from '../workloads/programs.js';

/** What most scenarios run on: two CPUs, tables of two levels, room for a process of two threads. */
export const SMALL: Pick<Scenario, 'machine' | 'limits'> = {
  machine: { arch: 'i386', frames: 48, cpus: 2, nodes: 1 },
  limits: { mapCount: 8, tasks: 4, mms: 3, vmas: 8, anonVmas: 8, anonVmaChains: 16, files: 2 },
};

/** One variant of a scenario's race. */
export interface ScenarioCase {
  readonly name: string;
  /** Run alone, first; its result is handed to `threads`. */
  readonly setup: { readonly program: ProgramName; readonly args: readonly number[] };
  readonly threads: (setupResult: number) => readonly Thread[];
  /** Bound of the full search where that would take too long to end; none if left out. */
  readonly executions?: number;
}

/** A program for a CPU to run. */
export function thread(cpu: number, program: ProgramName, ...args: number[]): Thread {
  return { cpu, program, args };
}

/** A task that the setup made after its first: on a fresh machine their records follow each other. */
export function taskAfter(first: number, number: number): number {
  return first + number * RECORD_WORDS.task;
}

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  /** The document that tells of it. */
  readonly source: string;
  readonly machine: VmConfig['machine'];
  readonly limits: VmConfig['limits'];
  readonly cases: readonly ScenarioCase[];
  /** Whether it shows what is wrong with the broken designs; it is run under those only then. */
  readonly brokenDesignsFail: boolean;
}
