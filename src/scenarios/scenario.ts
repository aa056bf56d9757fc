/** What a scenario is: a race to be searched, as data. */
import type { VmConfig } from '../engines/configuration.js';
import type { Thread } from '../engines/engine.js';
import { RECORD_WORDS } from '../mm/layout/slab.js';
import type { EndCheckName } from '../workloads/endChecks.js';
import type { ProgramName } from '../workloads/programs.js';

/** What most scenarios run on: tables of two levels, room for a process of two threads. */
export const SMALL: Pick<Scenario, 'machine' | 'limits'> = {
  machine: { arch: 'i386', frames: 48, nodes: 1 },
  limits: { mapCount: 8, tasks: 6, mms: 3, vmas: 8, anonVmas: 8, anonVmaChains: 16, files: 2 },
};

/** A program by name, and what it is given. */
export interface Call {
  readonly program: ProgramName;
  readonly args: readonly number[];
}

/** One variant of a scenario's race. */
export interface ScenarioCase {
  readonly name: string;
  /** Run alone on CPU 0, first; its result is handed to `threads`. */
  readonly setup: (cpus: number) => Call;
  /** What each CPU does. @param cpus - as many as the scenario is run on: 2 unless `maxCpus` allows more */
  readonly threads: (setupResult: number, cpus: number) => readonly Thread[];
  /** CPUs that the race can have; 2 if left out. */
  readonly maxCpus?: number;
  /** What must hold when all have ended; the audit if left out. */
  readonly mustHold?: EndCheckName;
  /** Bound of the full search where that would take too long to end; none if left out. */
  readonly executions?: number;
  /** Preemptions that are tried before the full search; 1 if left out. */
  readonly preemptions?: number;
  /** In place of the scenario's. */
  readonly fails?: readonly string[];
}

/** A setup that is the same for any number of CPUs. */
export function setup(program: ProgramName, ...args: number[]): ScenarioCase['setup'] {
  return () => ({ program, args });
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
  readonly machine: Omit<VmConfig['machine'], 'cpus'>;
  readonly limits: VmConfig['limits'];
  readonly cases: readonly ScenarioCase[];
  /** Names of the designs whose fault it shows: as posted, or broken on purpose. */
  readonly fails: readonly string[];
  /** Names of the designs that must hold; all that are meant to be right if left out. */
  readonly holds?: readonly string[];
}
