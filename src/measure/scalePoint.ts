/**
 * One point of `minorfault scale`: a load on every CPU of a simulated machine, under one design. Faults a second are
 * those of the time in which all CPUs are at work; what they wait for is told by cache line.
 */
import { InputError } from '../base/errors.js';
import { Prng } from '../base/prng.js';
import { designNamed } from '../designs/index.js';
import { vmConfig } from '../engines/configuration.js';
import type { LineWatch } from '../engines/simulate/lineWatch.js';
import type { SimulatedMachine } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import { hotLines, type HotLine } from './hotLines.js';
import { runTimed, type TimedTask } from './predictReplay.js';
import { SCALE_LOADS, type ScaleLoad, type ScaleLoadName } from './scaleLoads.js';

/** A recording as a load. */
export type TracedLoad = Omit<TimedTask, 'design' | 'machine' | 'cpus' | 'seed' | 'pacing'>;

/** A point to be simulated, as a worker is handed it. */
export interface PointTask {
  /** Of which as many CPUs are taken as the point has. */
  readonly machine: SimulatedMachine;
  readonly design: string;
  readonly load: ScaleLoadName | TracedLoad;
  readonly cpus: number;
  readonly seed: number;
  /** That each CPU touches, at least. */
  readonly pages: number;
  /** Hottest lines to be told; 0 for none, which is faster. */
  readonly lines: number;
  /** Slots of the pool by which page tables in high memory are reached; as many as i386 has if left out. */
  readonly kmaps?: number;
}

/** What became of the pool of slots, in designs that have one. */
export interface PoolEvents {
  /** Times that a task slept because no slot was free. */
  readonly sleeps: number;
  /** Times that the slots that nobody used were emptied, and TLBs flushed. */
  readonly flushes: number;
  /** Slots given back for which somebody slept. */
  readonly handOvers: number;
}

export interface ScalePoint {
  readonly design: string;
  readonly cpus: number;
  readonly seed: number;
  /** A second of simulated time, all CPUs together. */
  readonly faultsPerSecond: number;
  /** Hottest first. */
  readonly lines: readonly HotLine[];
  readonly pool: PoolEvents | undefined;
}

/** Where a worker finds `simulatePoint`. */
export const POINT_TASKS = { url: import.meta.url, name: 'simulatePoint' };

/** CPUs begin within so much of each other. */
const STAGGER_NS = 20_000;
/** Few CPUs do more each, so that a point has as many pages; but no more each than this. */
const POINT_PAGES = 4096;
const MOST_PAGES = 384;
/** @throws InputError when the machine has no such CPUs, or its memory could not be simulated */
export async function simulatePoint(task: PointTask): Promise<ScalePoint> {
  const { machine, design, cpus, seed, load, lines } = task;
  if (cpus > machine.cpus) {
    throw new InputError('OPTION', `got ${cpus} CPUs, and ${machine.name} has ${machine.cpus}`);
  }
  const simulated =
    typeof load === 'string'
      ? await simulateLoad(task, SCALE_LOADS[load])
      : await simulateTrace(task, load);
  const { faultsPerNs, hottest, pool } = simulated;
  const told = hottest.slice(0, lines);
  return { design, cpus, seed, faultsPerSecond: faultsPerNs * 1e9, lines: told, pool };
}

interface Simulated {
  readonly faultsPerNs: number;
  /** All that were waited for, if any was to be told. */
  readonly hottest: readonly HotLine[];
  readonly pool: PoolEvents | undefined;
}

async function simulateLoad(task: PointTask, load: ScaleLoad): Promise<Simulated> {
  const { machine, design, cpus, seed } = task;
  const pages = Math.max(task.pages, Math.min(MOST_PAGES, Math.floor(POINT_PAGES / cpus)));
  const shape = { arch: machine.arch, cpus, pages, seed };
  const { frames, limits } = load.room(shape);
  const nodes = Math.ceil(cpus / machine.cpusPerNode);
  const highmem = machine.lowBytes === undefined ? {} : highMemory(machine, frames, task);
  const memory = { arch: machine.arch, frames, cpus, nodes, ...highmem };
  const config = vmConfig(memory, designNamed(design), limits);
  const engine = await SimulateEngine.create(config, { ...machine, cpus });
  const { warmUp, measured } = await load.start(engine, shape);
  await engine.run(warmUp);
  const before = engine.vm.pageStates(engine.memory).pgfault;
  const startNs = engine.nowNs;
  const watch = task.lines > 0 ? engine.watchLines() : undefined;
  const random = new Prng(seed);
  await engine.run(
    measured.map((thread) => ({ ...thread, delayNs: random.fraction() * STAGGER_NS })),
  );
  const spentNs = engine.nowNs - startNs;
  const faults = engine.vm.pageStates(engine.memory).pgfault - before;
  return {
    faultsPerNs: load.counts === 'faults' ? faults / spentNs : steadyRate(engine, cpus),
    hottest: watch === undefined ? [] : hotLines(engine, watch.hottest(), cpus * spentNs),
    pool: engine.vm.KMAP_POOL ? poolEvents(engine) : undefined,
  };
}

/** A recording's faults, back to back, on so many CPUs. */
async function simulateTrace(task: PointTask, load: TracedLoad): Promise<Simulated> {
  let watch: LineWatch | undefined;
  const timed = await runTimed({ ...task, ...load, pacing: 'back-to-back' }, ({ engine }) => {
    if (task.lines > 0) watch = engine.watchLines();
  });
  const { engine, faults, wallNs } = timed;
  return {
    faultsPerNs: faults / wallNs,
    hottest: watch === undefined ? [] : hotLines(engine, watch.hottest(), task.cpus * wallNs),
    pool: undefined,
  };
}

/** Since the machine was booted. */
function poolEvents({ vm, memory }: SimulateEngine): PoolEvents {
  const { KMAP, Kmap } = vm;
  return {
    sleeps: memory.words[KMAP + Kmap.sleeps],
    flushes: memory.words[KMAP + Kmap.flushes],
    handOvers: memory.words[KMAP + Kmap.handOvers],
  };
}

/** Of a process's memory, what must be low at least: the tops of its tables; and a few more of the kernel's. */
const LOW_FRAMES_PER_CPU = 8;

/** A machine that has only what the load needs has as large a part of that in low memory as the whole; but enough. */
function highMemory(
  { nodeBytes, lowBytes = 0, cpus, cpusPerNode }: SimulatedMachine,
  frames: number,
  { cpus: running, kmaps }: PointTask,
): { lowFrames: number; kmaps?: number } {
  const part = lowBytes / (nodeBytes * Math.ceil(cpus / cpusPerNode));
  const least = LOW_FRAMES_PER_CPU * (running + 1);
  const room = Math.max(least, Math.floor(frames * part));
  return { lowFrames: Math.min(frames, room), ...(kmaps === undefined ? {} : { kmaps }) };
}

/**
 * Pages a nanosecond until the first CPU has ended, from when as many are done as there are CPUs; or a quarter of all,
 * where one CPU has it so much easier than others.
 */
function steadyRate({ notes, spans }: SimulateEngine, cpus: number): number {
  const endNs = Math.min(...spans.map((span) => span.endNs));
  const noted = notes.filter(({ ns }) => ns <= endNs).length;
  const first = Math.min(cpus, noted >> 2);
  return (noted - first) / (endNs - notes[first - 1].ns);
}
