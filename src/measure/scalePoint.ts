/**
 * One point of `minorfault scale`: a load on every CPU of a simulated machine, under one design. Faults a second are
 * those of the time in which all CPUs are at work; what they wait for is told by cache line.
 */
import { InputError } from '../base/errors.js';
import { Prng } from '../base/prng.js';
import { designNamed } from '../designs/index.js';
import { vmConfig } from '../engines/configuration.js';
import type { WatchedLine } from '../engines/simulate/lineWatch.js';
import type { SimulatedMachine } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import { SCALE_LOADS, type ScaleLoad, type ScaleLoadName } from './scaleLoads.js';

/** A point to be simulated, as a worker is handed it. */
export interface PointTask {
  /** Of which as many CPUs are taken as the point has. */
  readonly machine: SimulatedMachine;
  readonly design: string;
  readonly load: ScaleLoadName;
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

/** Functions that wait for a line. */
export interface HotWaiter {
  /** The one that waits, and who called it. */
  readonly functions: string;
  /** Of the time that is waited for the line. */
  readonly share: number;
}

/** A cache line that CPUs wait for; or lines that are alike, such as those of all processes. */
export interface HotLine {
  /** Words that are waited for, longest first. Where lines are alike a star stands for what differs. */
  readonly words: readonly string[];
  readonly lines: number;
  /** Of all CPUs' time, that they wait for it. */
  readonly share: number;
  /** Of that, for the line to come to them; the rest is for others to let go of what it holds. */
  readonly transferShare: number;
  readonly transfers: number;
  readonly waiters: readonly HotWaiter[];
}

/** Where a worker finds `simulatePoint`. */
export const POINT_TASKS = { url: import.meta.url, name: 'simulatePoint' };

/** CPUs begin within so much of each other. */
const STAGGER_NS = 20_000;
/** Few CPUs do more each, so that a point has as many pages; but no more each than this. */
const POINT_PAGES = 4096;
const MOST_PAGES = 384;
/** Words and waiters that are told of a line. */
const TOLD_WORDS = 4;
const TOLD_WAITERS = 3;

/** @throws InputError when the machine has no such CPUs, or its memory could not be simulated */
export async function simulatePoint(task: PointTask): Promise<ScalePoint> {
  const { machine, design, cpus, seed } = task;
  if (cpus > machine.cpus) {
    throw new InputError('OPTION', `got ${cpus} CPUs, and ${machine.name} has ${machine.cpus}`);
  }
  const load: ScaleLoad = SCALE_LOADS[task.load];
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
  const rate = load.counts === 'faults' ? faults / spentNs : steadyRate(engine, cpus);
  const lines = watch === undefined ? [] : hotLines(engine, watch.hottest(), cpus * spentNs);
  const pool = engine.vm.KMAP_POOL ? poolEvents(engine) : undefined;
  const told = lines.slice(0, task.lines);
  return { design, cpus, seed, faultsPerSecond: rate * 1e9, lines: told, pool };
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

/** Lines by name, those that are alike as one. */
function hotLines(
  { vm, memory }: SimulateEngine,
  watched: readonly WatchedLine[],
  totalNs: number,
): HotLine[] {
  const tables = vm.tableNames(memory);
  /** Entries of page tables are named by their table, and the lock of a table as such. */
  const nameOf = (word: number): string => {
    const table = tables.get(vm.wordPfn(word));
    if (table !== undefined) return `${table.name}[${table.pfn}]`;
    const name = vm.nameOf(word);
    const lockOf = /^page\[(\d+)\]\.mapping$/.exec(name);
    return lockOf !== null && tables.has(Number(lockOf[1])) ? `page[${lockOf[1]}].ptl` : name;
  };
  const alike = new Map<string, WatchedLine[]>();
  for (const line of watched) {
    const kind = starred(nameOf(line.words[0]));
    const group = alike.get(kind);
    if (group === undefined) alike.set(kind, [line]);
    else group.push(line);
  }
  return [...alike.values()]
    .map((group) =>
      hotLine(group, group.length === 1 ? nameOf : (word) => starred(nameOf(word)), totalNs),
    )
    .sort((a, b) => b.share - a.share);
}

function starred(name: string): string {
  return name.replaceAll(/\d+(?=\])/g, '*');
}

function hotLine(
  group: readonly WatchedLine[],
  nameOf: (word: number) => string,
  totalNs: number,
): HotLine {
  const transferNs = sum(group.map((line) => line.transferNs));
  const waitNs = transferNs + sum(group.map((line) => line.heldNs));
  const words = new Set(group.flatMap((line) => line.words.slice(0, TOLD_WORDS).map(nameOf)));
  const nsOf = new Map<string, number>();
  for (const waiter of group.flatMap((line) => line.waiters)) {
    const functions = waiter.callers.join(' > ');
    nsOf.set(functions, (nsOf.get(functions) ?? 0) + waiter.waitNs);
  }
  const waiters = [...nsOf].sort(([, a], [, b]) => b - a).slice(0, TOLD_WAITERS);
  return {
    words: [...words].slice(0, TOLD_WORDS),
    lines: group.length,
    share: waitNs / totalNs,
    transferShare: transferNs / waitNs,
    transfers: sum(group.map((line) => line.transfers)),
    waiters: waiters.map(([functions, ns]) => ({ functions, share: ns / waitNs })),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
