/**
 * The loads that `minorfault scale` runs on every CPU of a machine: how much room each needs, and how it is started.
 * One more is an entry here.
 */
import { runAlone, type Engine, type Thread } from '../engines/engine.js';
import type { ArchName } from '../hardware/arch/index.js';
import type { Limits } from '../mm/design.js';
import type { ProgramName } from '../workloads/programs.js';
import { forkTasks, roomFor, shares } from './multitask.js';
import { framesFor } from './pftProcess.js';

export interface LoadShape {
  readonly arch: ArchName;
  readonly cpus: number;
  /** That each CPU touches while it is measured; or a few more. */
  readonly pages: number;
  readonly seed: number;
}

/** What a load needs of a machine. */
export interface Room {
  readonly frames: number;
  readonly limits: Partial<Limits>;
}

/** A load that has been started: what its CPUs do first, unmeasured, and what is measured. */
export interface StartedLoad {
  readonly warmUp: readonly Thread[];
  readonly measured: readonly Thread[];
}

export interface ScaleLoad {
  readonly summary: string;
  /**
   * What is counted: pages, as programs note them, from when the CPUs are at work until the first of them is done; or
   * all faults of the run.
   */
  readonly counts: 'pages' | 'faults';
  readonly room: (shape: LoadShape) => Room;
  readonly start: (engine: Engine, shape: LoadShape) => Promise<StartedLoad>;
}

/** Touched by a CPU before it is measured: prefault has its longest runs from the 16th page on. */
const WARM_UP_PAGES = 16;
/** Pages of a round of the loads that map and unmap, as their programs have them. */
const PAGE_MISS_PAGES = 32;
const UNMAP_MIX_PAGES = 16;
const FORK_HEAVY_NOTES = 32;
/** Rounds of those loads, at least: in the first all map at the same time, and in the last of them all unmap. */
const LEAST_ROUNDS = 4;
/** Frames of a process that forks, with its child and the tables of both. */
const FORK_HEAVY_FRAMES = 96;
/** Frames of the tables of a process that touches memory in one place. */
const TABLES_OF_PROCESS = 8;
/** Tasks of the multi-task load to a CPU. */
const TASKS_PER_CPU = 2;

export const SCALE_LOADS = {
  pft: {
    summary: 'threads touch new memory, all in one mapping: the documents’ test',
    counts: 'pages',
    ...touching(() => 1),
  },
  'vma-each': {
    summary: 'the same, but each thread has a mapping of its own',
    counts: 'pages',
    ...touching((threads) => threads),
  },
  'process-each': {
    summary: 'the same, but each CPU has a process of its own',
    counts: 'pages',
    room: (shape) => ({
      frames: framesFor(
        shape.arch,
        (touchedOf(shape) + TABLES_OF_PROCESS) * shape.cpus,
        shape.cpus,
      ),
      limits: recordsFor(shape.cpus, shape.cpus),
    }),
    start: startProcesses,
  },
  'page-miss': {
    summary: 'threads map memory, read 15 pages of 16, write to the other, and unmap it',
    counts: 'pages',
    ...mapping('pageMiss', PAGE_MISS_PAGES),
  },
  'munmap-mix': {
    summary: 'threads map 16 pages, write to them, and unmap them',
    counts: 'pages',
    ...mapping('unmapMix', UNMAP_MIX_PAGES),
  },
  'fork-heavy': {
    summary: 'a process on each CPU forks; the child copies on write and exits',
    counts: 'pages',
    room: ({ arch, cpus }) => ({
      frames: framesFor(arch, FORK_HEAVY_FRAMES * cpus, cpus),
      limits: recordsFor(2 * cpus + 1, 2 * cpus + 1),
    }),
    start: startForkHeavy,
  },
  multitask: {
    summary: 'the multi-task load, with two tasks to a CPU: docs/multitask.md',
    counts: 'faults',
    room: ({ cpus }) => roomFor(TASKS_PER_CPU * cpus, cpus),
    start: startMultitask,
  },
} as const satisfies Record<string, ScaleLoad>;

export type ScaleLoadName = keyof typeof SCALE_LOADS;

export const SCALE_LOAD_NAMES = Object.keys(SCALE_LOADS) as ScaleLoadName[];

/** Threads of one process, each with memory of its own. @param mappingsFor - of so many threads */
function touching(mappingsFor: (threads: number) => number): Pick<ScaleLoad, 'room' | 'start'> {
  return {
    room: (shape) => ({
      frames: framesFor(shape.arch, (touchedOf(shape) + 1) * shape.cpus, shape.cpus),
      limits: recordsFor(shape.cpus, 1 + mappingsFor(shape.cpus)),
    }),
    start: async (engine, shape) => {
      const { cpus, seed, pages } = shape;
      const total = touchedOf(shape);
      const tasks = await startThreads(engine, shape, total, mappingsFor(cpus));
      const run = (first: number, length: number): Thread[] =>
        tasks.map((task, cpu) => {
          return {
            cpu,
            program: 'steadyTouch',
            args: [task, seed, cpu, total, first, length],
          };
        });
      return { warmUp: run(0, WARM_UP_PAGES), measured: run(WARM_UP_PAGES, pages) };
    },
  };
}

/** That each CPU touches in all. */
function touchedOf({ pages }: LoadShape): number {
  return WARM_UP_PAGES + pages;
}

async function startProcesses(engine: Engine, shape: LoadShape): Promise<StartedLoad> {
  const { cpus, seed, pages } = shape;
  const total = touchedOf(shape);
  const tasks: number[] = [];
  for (let cpu = 0; cpu < cpus; cpu++) {
    tasks.push(await runAlone(engine, 'steadyTouchStart', 1, total, 1));
  }
  const run = (first: number, length: number): Thread[] =>
    tasks.map((task, cpu) => {
      return { cpu, program: 'steadyTouch', args: [task, seed + cpu, 0, total, first, length] };
    });
  return { warmUp: run(0, WARM_UP_PAGES), measured: run(WARM_UP_PAGES, pages) };
}

/** Threads of one process that map and unmap. @param roundPages - that a round of the program touches */
function mapping(program: ProgramName, roundPages: number): Pick<ScaleLoad, 'room' | 'start'> {
  return {
    room: ({ arch, cpus }) => ({
      // Memory that one CPU gives back others may not see for a while.
      frames: framesFor(arch, 3 * roundPages * cpus, cpus),
      limits: recordsFor(cpus, 2 * cpus),
    }),
    start: async (engine, shape) => {
      const tasks = await startThreads(engine, shape, roundPages, 0);
      const run = (rounds: number): Thread[] =>
        tasks.map((task, cpu) => ({ cpu, program, args: [task, shape.seed, cpu, rounds] }));
      return { warmUp: run(1), measured: run(roundsOf(shape, roundPages)) };
    },
  };
}

function roundsOf({ pages }: LoadShape, roundPages: number): number {
  return Math.max(LEAST_ROUNDS, Math.ceil(pages / roundPages));
}

async function startThreads(
  engine: Engine,
  { cpus }: LoadShape,
  pages: number,
  mappings: number,
): Promise<number[]> {
  const tasks = [await runAlone(engine, 'steadyTouchStart', cpus, pages, mappings)];
  for (let thread = 1; thread < cpus; thread++) {
    tasks.push(await runAlone(engine, 'pftThread', tasks[0], thread + 1));
  }
  return tasks;
}

async function startForkHeavy(engine: Engine, shape: LoadShape): Promise<StartedLoad> {
  const { cpus, seed } = shape;
  const all = Array.from({ length: cpus }, (_, cpu) => cpu);
  const starting = all.map((cpu): Thread => {
    return { cpu, program: 'forkHeavyStart', args: [seed, cpu] };
  });
  const tasks = await engine.run(starting);
  const run = (rounds: number): Thread[] =>
    all.map((cpu) => ({ cpu, program: 'forkHeavy', args: [tasks[cpu], seed, cpu, rounds] }));
  return { warmUp: run(1), measured: run(roundsOf(shape, FORK_HEAVY_NOTES)) };
}

async function startMultitask(engine: Engine, { cpus, seed }: LoadShape): Promise<StartedLoad> {
  const file = await runAlone(engine, 'multitaskFile');
  const parent = await runAlone(engine, 'multitaskParent');
  const records = await forkTasks(engine, parent, TASKS_PER_CPU * cpus);
  return { warmUp: [], measured: shares(cpus, file, seed, records) };
}

/** Records for so many tasks, each perhaps with a space of its own, and so many mappings in all. */
function recordsFor(tasks: number, mappings: number): Partial<Limits> {
  const vmas = mappings + tasks + 16;
  return { tasks: tasks + 2, mms: tasks + 2, vmas, anonVmas: vmas, anonVmaChains: 4 * vmas };
}
