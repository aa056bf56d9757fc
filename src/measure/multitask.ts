/**
 * Runs the multi-task load on an engine and works out the columns of AIM7's table.
 *
 * As in AIM7 the clock starts when all tasks are forked and ready, and each task's time runs from there to its end.
 */
import { InputError } from '../base/errors.js';
import { vmConfig, type VmConfig } from '../engines/configuration.js';
import { runAlone, type Engine, type Thread } from '../engines/engine.js';
import { ParallelEngine } from '../engines/parallel/parallelEngine.js';
import { machineForArch } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import type { ArchName } from '../hardware/arch/index.js';
import type { Limits, VmDesign } from '../mm/design.js';

export type MultitaskEngine = 'parallel' | 'simulate';

export interface MultitaskSetup {
  readonly engine: MultitaskEngine;
  readonly arch: ArchName;
  readonly design: VmDesign;
  readonly cpus: number;
  readonly cpusPerNode: number;
  readonly tasks: number;
  readonly seed: number;
}

/** The columns of AIM7's table. */
export interface Aim7Row {
  readonly tasks: number;
  readonly jobsPerMinute: number;
  /** Job timing index: 100 × (1 − standard deviation / mean) of the tasks' times, as a whole number. */
  readonly jti: number;
  readonly jobsPerMinutePerTask: number;
  readonly realSeconds: number;
  /** Of all CPUs together; waiting for a spinlock counts, sleep does not. */
  readonly cpuSeconds: number;
}

export interface MultitaskResult extends Aim7Row {
  readonly engine: MultitaskEngine;
  readonly arch: ArchName;
  readonly design: string;
  readonly cpus: number;
  readonly seed: number;
  readonly jobs: number;
  /** Faults that found everything in order. */
  readonly spuriousFaults: number;
  /** Faults that needed no device, spurious ones among them. */
  readonly minorFaults: number;
}

/** What a run took, and did. */
interface Run {
  readonly jobs: number;
  readonly realSeconds: number;
  readonly cpuSeconds: number;
  /** When threads of tasks ended, from the start of all. */
  readonly ends: readonly { task: number; seconds: number }[];
}

/** Frames that a task has at most while it waits for its turn: tables, and data that it wrote to. */
const TASK_FRAMES = 28;
/** Frames that a CPU has in use or keeps back: a job's memory, a child's, and its lists. */
const CPU_FRAMES = 256;
/** Frames of the parent and of the file. */
const COMMON_FRAMES = 256;
/** A call takes no more arguments than two for each. */
const MAX_TASKS = 20_000;
/** On worker threads the same is run before, for V8 to compile. */
const WARM_UP_TASKS = 50;

/** @throws InputError when the tasks do not fit a machine of 4 GiB */
export async function runMultitask(setup: MultitaskSetup): Promise<MultitaskResult> {
  const { engine: name, arch, design, cpus, tasks, seed } = setup;
  if (tasks > MAX_TASKS) {
    throw new InputError('OPTION', `got ${tasks} tasks, expected at most ${MAX_TASKS}`);
  }
  const config = configFor(setup);
  const engine =
    name === 'parallel'
      ? await ParallelEngine.create(config)
      : await SimulateEngine.create(config, machineForArch(arch));
  try {
    const file = await runAlone(engine, 'multitaskFile');
    const parent = await runAlone(engine, 'multitaskParent');
    if (engine instanceof ParallelEngine) {
      engine.commitMemory();
      const few = await forkTasks(engine, parent, WARM_UP_TASKS);
      await runParallel(engine, shares(cpus, file, seed, few));
    }
    const threads = shares(cpus, file, seed, await forkTasks(engine, parent, tasks));
    const before = engine.vm.pageStates(engine.memory);
    const run =
      engine instanceof ParallelEngine
        ? await runParallel(engine, threads)
        : await runSimulated(engine, threads);
    const after = engine.vm.pageStates(engine.memory);
    return {
      engine: name,
      arch,
      design: design.name,
      cpus,
      seed,
      jobs: run.jobs,
      ...aim7Row(tasks, run),
      spuriousFaults: after.spurious_page_faults - before.spurious_page_faults,
      minorFaults: after.pgfault - before.pgfault - (after.pgmajfault - before.pgmajfault),
    };
  } finally {
    await engine.close();
  }
}

/** A machine with room for all tasks at once. */
export function configFor(setup: MultitaskSetup): VmConfig {
  const { arch, design, cpus, cpusPerNode, tasks } = setup;
  const { frames, limits } = roomFor(Math.max(tasks, WARM_UP_TASKS), cpus);
  const nodes = Math.ceil(cpus / cpusPerNode);
  return vmConfig({ arch, frames, cpus, nodes }, design, limits);
}

/** What so many tasks need of a machine. */
export function roomFor(
  tasks: number,
  cpus: number,
): { readonly frames: number; readonly limits: Partial<Limits> } {
  // The parent, the tasks, and a child of one on each CPU.
  const processes = tasks + cpus + 1;
  return {
    frames: TASK_FRAMES * tasks + CPU_FRAMES * cpus + COMMON_FRAMES,
    limits: {
      tasks: 2 * processes,
      mms: processes,
      vmas: 6 * processes,
      anonVmas: 6 * processes,
      anonVmaChains: 16 * processes,
    },
  };
}

/** Forks tasks of two threads each. @returns the threads' records, as `multitaskShare` takes them */
export async function forkTasks(engine: Engine, parent: number, tasks: number): Promise<number[]> {
  const records: number[] = [];
  for (let number = 0; number < tasks; number++) {
    const first = await runAlone(engine, 'multitaskFork', parent, number);
    records.push(first, await runAlone(engine, 'multitaskThread', first, number));
  }
  return records;
}

/** What each CPU is to run. */
export function shares(cpus: number, file: number, seed: number, records: number[]): Thread[] {
  const args = [file, seed, ...records];
  return Array.from({ length: cpus }, (_, cpu) => ({ cpu, program: 'multitaskShare', args }));
}

async function runSimulated(engine: SimulateEngine, threads: readonly Thread[]): Promise<Run> {
  const startNs = engine.nowNs;
  const jobs = await engine.run(threads);
  const busy = engine.spans.map((span) => span.endNs - span.startNs - span.asleepNs);
  return {
    jobs: sum(jobs),
    realSeconds: (engine.nowNs - startNs) / 1e9,
    cpuSeconds: sum(busy) / 1e9,
    ends: engine.notes.map(({ point, ns }) => ({ task: point, seconds: (ns - startNs) / 1e9 })),
  };
}

async function runParallel(engine: ParallelEngine, threads: readonly Thread[]): Promise<Run> {
  const cpuBefore = process.cpuUsage();
  const reports = await engine.runOnWorkers(threads);
  const cpu = process.cpuUsage(cpuBefore);
  const startMs = Math.min(...reports.map((report) => report.startMs));
  const endMs = Math.max(...reports.map((report) => report.endMs));
  const notes = reports.flatMap((report) => report.notes);
  return {
    jobs: sum(reports.map(({ result }) => result)),
    realSeconds: (endMs - startMs) / 1e3,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    ends: notes.map(({ point, ms }) => ({ task: point, seconds: (ms - startMs) / 1e3 })),
  };
}

function aim7Row(tasks: number, { jobs, realSeconds, cpuSeconds, ends }: Run): Aim7Row {
  const jobsPerMinute = (jobs * 60) / realSeconds;
  const times = new Map<number, number>();
  for (const { task, seconds } of ends) {
    times.set(task, Math.max(seconds, times.get(task) ?? 0));
  }
  return {
    tasks,
    jobsPerMinute,
    jti: jobTimingIndex([...times.values()]),
    jobsPerMinutePerTask: jobsPerMinute / tasks,
    realSeconds,
    cpuSeconds,
  };
}

/** 100 when all tasks took the same time; less the more their times differ. */
export function jobTimingIndex(times: readonly number[]): number {
  const mean = sum(times) / times.length;
  const variance = sum(times.map((time) => (time - mean) ** 2)) / times.length;
  return Math.max(0, Math.floor(100 * (1 - Math.sqrt(variance) / mean)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
