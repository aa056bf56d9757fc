/** Predictions for a recording on N CPUs, over designs, paces and seeds: `minorfault replay --cpus`. */
import { designNamed } from '../designs/index.js';
import { vmConfig } from '../engines/configuration.js';
import type { SimulatedMachine } from '../engines/simulate/machine.js';
import { runTasks } from '../engines/workerPool.js';
import { REPLAY_ARCH, REPLAY_LIMITS, Replay } from '../traces/replay.js';
import { feedAll, replayMachine, type ReplayOptions } from '../traces/replayFile.js';
import { TimedReplay, type Pacing } from '../traces/timedReplay.js';
import { readTruth } from '../traces/truth.js';

/** One replay that is timed, as a worker is handed it. */
export interface TimedTask extends Omit<ReplayOptions, 'designs' | 'progress'> {
  readonly trace: string;
  /** By name, as `designNamed` takes them. */
  readonly design: string;
  /** Of which as many CPUs are taken as asked for. */
  readonly machine: SimulatedMachine;
  readonly cpus: number;
  readonly pacing: Pacing;
  readonly seed: number;
}

/** What came of it. Times are simulated, in nanoseconds. */
export interface TimedResult {
  /** Faults taken, and how many of them could meet another CPU's. */
  readonly faults: number;
  readonly besideOthers: number;
  readonly threads: number;
  /** Faults that read from the device. */
  readonly major: number;
  readonly wallNs: number;
  readonly cpuNs: number;
}

/** Where a worker finds `timeReplay`. */
const TIMED_TASKS = { url: import.meta.url, name: 'timeReplay' };

export async function timeReplay(task: TimedTask): Promise<TimedResult> {
  const timed = await runTimed(task);
  const { faults, besideOthers, threadCount: threads, wallNs, cpuNs, engine } = timed;
  const { pgmajfault: major } = engine.vm.pageStates(engine.memory);
  return { faults, besideOthers, threads, major, wallNs, cpuNs };
}

/**
 * Replays a trace exactly and, an event behind, timed.
 *
 * @param before - done with the timed replay before it begins
 */
export async function runTimed(
  task: TimedTask,
  before?: (timed: TimedReplay) => void,
): Promise<TimedReplay> {
  const { trace, machine, cpus, truthPath, pacing, seed } = task;
  const truth = truthPath === undefined ? undefined : await readTruth(truthPath);
  const design = designNamed(task.design);
  const memory = replayMachine(task);
  const exact = await Replay.create(design, memory, truth);
  const nodes = Math.ceil(cpus / machine.cpusPerNode);
  const config = vmConfig({ arch: REPLAY_ARCH, cpus, nodes, ...memory }, design, REPLAY_LIMITS);
  const timed = await TimedReplay.create(config, { ...machine, cpus }, truth, pacing, seed);
  before?.(timed);
  await feedAll(trace, [exact], task, (event, file, line, timeNs) => {
    timed.feed(event, file, line, timeNs, exact.taken);
  });
  timed.close();
  return timed;
}

/** What is predicted for a design on so many CPUs. */
export interface PredictedPoint extends TimedResult {
  readonly cpus: number;
  /** wallNs, which is at the recorded pace, over both paces and all seeds. */
  readonly leastNs: number;
  readonly mostNs: number;
}

export interface Prediction {
  readonly trace: string;
  readonly design: string;
  readonly machine: string;
  readonly points: readonly PredictedPoint[];
}

export interface PredictionSetup extends Omit<ReplayOptions, 'designs' | 'progress'> {
  readonly trace: string;
  readonly designs: readonly string[];
  readonly machine: SimulatedMachine;
  readonly cpus: readonly number[];
  /** Of the start of CPUs that go back to back. */
  readonly seeds: readonly number[];
  readonly workers: number;
  /** @param replays - done so far, of `replaysOf` */
  readonly progress?: (replays: number) => void;
}

/** How many replays a prediction takes. */
export function replaysOf({ designs, cpus, seeds }: PredictionSetup): number {
  return designs.length * cpus.length * (1 + seeds.length);
}

export async function predictReplay(setup: PredictionSetup): Promise<Prediction[]> {
  const { designs, cpus, seeds, machine, trace, workers, progress, ...options } = setup;
  const points = designs.flatMap((design) => cpus.map((count) => ({ design, cpus: count })));
  let done = 0;
  const run = (
    pacing: Pacing,
    of: readonly { design: string; cpus: number; seed: number }[],
  ): Promise<TimedResult[]> => {
    const tasks = of.map((point): TimedTask => ({ ...options, ...point, trace, machine, pacing }));
    return runTasks<TimedTask, TimedResult>(TIMED_TASKS, tasks, workers, {
      done: () => progress?.(++done),
    });
  };
  const recorded = await run(
    'recorded',
    points.map((point) => ({ ...point, seed: seeds[0] })),
  );
  // Where no CPU could meet another, the pace changes nothing.
  const shared = points.filter((_, place) => recorded[place].besideOthers > 0);
  progress?.((done += (points.length - shared.length) * seeds.length));
  const packed = await run(
    'back-to-back',
    shared.flatMap((point) => seeds.map((seed) => ({ ...point, seed }))),
  );
  const predicted = points.map(({ cpus: count }, place) => {
    const own = recorded[place];
    return pointOf(count, own, own.besideOthers > 0 ? packed.splice(0, seeds.length) : []);
  });
  return designs.map((design, place) => ({
    trace,
    design,
    machine: machine.name,
    points: predicted.slice(place * cpus.length, (place + 1) * cpus.length),
  }));
}

/** @param packed - with faults back to back, by seeds */
function pointOf(
  cpus: number,
  recorded: TimedResult,
  packed: readonly TimedResult[],
): PredictedPoint {
  const walls = [recorded, ...packed].map(({ wallNs }) => wallNs);
  return { ...recorded, cpus, leastNs: Math.min(...walls), mostNs: Math.max(...walls) };
}
