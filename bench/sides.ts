/** Ways to touch pages in the worker build, and how they are compared: in turn, in one process. */
import { performance } from 'node:perf_hooks';
import { designNamed } from '../src/designs/index.js';
import { vmConfig } from '../src/engines/configuration.js';
import type { Thread } from '../src/engines/engine.js';
import { ParallelEngine, type ParallelOptions } from '../src/engines/parallel/parallelEngine.js';
import { runProgram } from '../src/engines/parallel/plainCpu.js';
import { handwrittenTouch } from './handwritten.js';

/** Pages that each side touches. */
export const PAGES = Number(process.argv[2]);
const ROUNDS = 12;
const WARM_UP_ROUNDS = 8;
/** Runs of a side in each round: the first finds the caches full of another side's memory. */
const RUNS_PER_TURN = 6;
const CPUS = 2;

/** A way to touch all pages; returns wall nanoseconds per page. */
export type Side = () => Promise<number>;

export async function engineFor(
  design: string,
  options: ParallelOptions = {},
): Promise<ParallelEngine> {
  const machine = { arch: 'x86_64', frames: PAGES + 1200, cpus: CPUS, nodes: 1 } as const;
  const config = vmConfig(machine, designNamed(design), { tasks: 8 });
  const engine = await ParallelEngine.create(config, options);
  engine.commitMemory();
  return engine;
}

/** Touches by one or two workers, each its half. */
export function workers(engine: ParallelEngine, threads: number): Side {
  return async () => {
    // All of it on the workers: what another core has touched would be cold.
    const run = async (
      cpu: number,
      program: Thread['program'],
      ...args: number[]
    ): Promise<number> => (await engine.runOnWorkers([{ cpu, program, args }]))[0].result;
    const first = await run(0, 'pftStart', PAGES);
    const tasks = [first];
    if (threads === 2) tasks.push(await run(1, 'pftThread', first, 2));
    const share = PAGES / threads;
    const touches = tasks.map((task, cpu): Thread => ({
      cpu,
      program: 'pftTouch',
      args: [task, cpu * share, share],
    }));
    const ns = await wallPerPage(engine, touches);
    for (const [cpu, task] of tasks.entries()) await run(cpu, 'pftExit', task);
    return ns;
  };
}

/** Only zeroes the frames, each worker its half. */
export function zeroing(engine: ParallelEngine, threads: number): Side {
  return async () => {
    const share = PAGES / threads;
    return await wallPerPage(
      engine,
      Array.from({ length: threads }, (_, cpu): Thread => {
        return { cpu, program: 'zeroFrames', args: [1 + cpu * share, share] };
      }),
    );
  };
}

async function wallPerPage(engine: ParallelEngine, threads: readonly Thread[]): Promise<number> {
  const reports = await engine.runOnWorkers(threads);
  const start = Math.min(...reports.map(({ startMs }) => startMs));
  const end = Math.max(...reports.map(({ endMs }) => endMs));
  return ((end - start) * 1e6) / PAGES;
}

/** Touches on this thread, by the VM's own program or by the hand-written function. */
export function onThisThread(engine: ParallelEngine, byHand: boolean): Side {
  const cpu = engine.cpu(0);
  const { PROGRAMS } = engine.vm;
  const hand = handwrittenTouch(engine.vm, engine.memory, cpu);
  return () => {
    const task = PROGRAMS.pftStart(cpu, PAGES);
    const start = performance.now();
    if (byHand) hand(task, 0, PAGES);
    else PROGRAMS.pftTouch(cpu, task, 0, PAGES);
    const ns = ((performance.now() - start) * 1e6) / PAGES;
    runProgram(engine.vm, cpu, 'pftExit', [task]);
    return Promise.resolve(ns);
  };
}

/**
 * Runs sides in turn, round after round, and adds the median of each to `medians`. Sides whose ratio is
 * wanted run together; others do not, so that they do not empty each other's caches.
 */
export async function compare(
  engines: readonly ParallelEngine[],
  sides: Readonly<Record<string, Side>>,
  medians: Record<string, number>,
): Promise<void> {
  const samples = new Map<string, number[]>(Object.keys(sides).map((name) => [name, []]));
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    for (const [name, side] of Object.entries(sides)) {
      await side();
      for (let run = 1; run < RUNS_PER_TURN; run++) {
        const ns = await side();
        if (round >= WARM_UP_ROUNDS) samples.get(name)!.push(ns);
      }
    }
  }
  for (const engine of engines) {
    const faults = engine.vm.audit(engine.memory);
    if (faults.length > 0) throw new Error(`the audit after the benchmark found: ${faults[0]}`);
    await engine.close();
  }
  for (const [name, values] of samples) medians[name] = median(values);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
