/**
 * What the engines have in common: each runs programs, one to a CPU, on a machine.
 */
import type { Memory } from '../hardware/memory.js';
import type { ProgramName } from '../workloads/programs.js';
import type { DeviceRequests } from './deviceRequests.js';
import type { SteppedVm } from './instance.js';

/** A program to run, by name: a worker cannot be handed a function. */
export interface Thread {
  readonly cpu: number;
  readonly program: ProgramName;
  readonly args: readonly number[];
  /**
   * Set for what serves the others, such as kswapd: it is told to return when they have ended. A daemon
   * with nothing to do returns if `CpuLine.stop` of its CPU is 1, and else sleeps on `CpuLine.wakeup`,
   * with the value that it read before it looked for work.
   */
  readonly daemon?: true;
  /** Simulated nanoseconds until it begins; 0 if left out. */
  readonly delayNs?: number;
}

export interface Engine {
  /** The machine's memory, to be read between runs. */
  readonly memory: Memory;
  /** To the device that holds the files and the swap file: counts, and which are to fail. */
  readonly requests: DeviceRequests;
  /** Layout, names and audit: what does not run on a CPU is the same in both forms. */
  readonly vm: Pick<
    SteppedVm,
    | 'CpuLine'
    | 'audit'
    | 'framesInUse'
    | 'leaks'
    | 'cpuLine'
    | 'mappedPages'
    | 'nameOf'
    | 'pageStates'
    | 'readMm'
  >;
  /**
   * Runs threads side by side, each on its own CPU, to their end, and then tells the daemons among
   * them to return; the CPUs are idle before and after.
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
