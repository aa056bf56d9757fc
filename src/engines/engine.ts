/**
 * What the engines have in common: each runs programs, one to a CPU, on a machine.
 */
import type { Memory } from '../hardware/memory.js';
import type { ProgramName } from '../workloads/programs.js';
import type { SteppedVm } from './instance.js';

/** A program to run, by name: a worker cannot be handed a function. */
export interface Thread {
  readonly cpu: number;
  readonly program: ProgramName;
  readonly args: readonly number[];
}

export interface Engine {
  /** The machine's memory, to be read between runs. */
  readonly memory: Memory;
  /** Layout, names and audit: what does not run on a CPU is the same in both forms. */
  readonly vm: Pick<SteppedVm, 'audit' | 'nameOf' | 'mappedPages' | 'pageStates' | 'readMm'>;
  /**
   * Runs threads side by side, each on its own CPU, to their end; the CPUs are idle before and
   * after.
   *
   * @returns what each program returned, in order
   */
  run(threads: readonly Thread[]): Promise<number[]>;
  close(): Promise<void>;
}

/** Runs one program alone on CPU 0. */
export async function runAlone(
  engine: Engine,
  program: ProgramName,
  ...args: number[]
): Promise<number> {
  const [result] = await engine.run([{ cpu: 0, program, args }]);
  return result;
}
