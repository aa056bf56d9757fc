/**
 * relocation: what page tables that can move cost where none does, and what it takes to move one. Prints JSON.
 *
 *   operations   of a page miss (workloads/pageMiss.ts) under table-lock and relocate, on equal machines: both cache
 *                where leaf tables are
 *   ns           wall time of the same, in turn in this process, medians
 *   nsPerTable   wall time of a move of the tables of a process, by the table: alone, and while a thread of the process
 *                takes page misses; and its page misses, in ns, beside that and alone
 */
import { performance } from 'node:perf_hooks';
import { designNamed } from '../src/designs/index.js';
import { vmConfig, type VmConfig } from '../src/engines/configuration.js';
import type { Thread } from '../src/engines/engine.js';
import { ParallelEngine } from '../src/engines/parallel/parallelEngine.js';
import { SteppedMachine, SteppedThread } from '../src/engines/stepping.js';

const MISS_ROUNDS = 400;
const MISS_PAGES = 32;
const ROUNDS = 60;
const WARM_UP_ROUNDS = 20;
/** Leaf tables of the process that moves, all full. */
const TABLES = 32;
const PAGES_OF_TABLE = 512;
const MOVES = 40;
const ALL_LEVELS = 15;

function configFor(design: string): VmConfig {
  const machine = { arch: 'x86_64', frames: 24_000, cpus: 2, nodes: 1 } as const;
  const config = vmConfig(machine, designNamed(design));
  return { ...config, machine: { ...config.machine, walkCache: true } };
}

/** Operations of a page miss, those of the walks of the MMU included. */
async function operationsOf(design: string): Promise<number> {
  const machine = await SteppedMachine.create(configFor(design));
  const { PROGRAMS } = machine.vm;
  let operations = 0;
  const run = (program: keyof typeof PROGRAMS, ...args: number[]): number => {
    const thread = new SteppedThread(machine.cpus[0]);
    let pending = thread.start(PROGRAMS[program], args);
    while (pending) {
      operations++;
      pending = thread.resume(machine.perform(thread.cpu));
    }
    return thread.result;
  };
  run('boot');
  const task = run('pftStart', 1);
  run('pageMiss', task, 1, 0, 4);
  operations = 0;
  const touched = run('pageMiss', task, 1, 0, MISS_ROUNDS);
  return operations / touched;
}

/** Wall times of a page miss under each design, in turn. */
async function missTimes(designs: readonly string[]): Promise<number[]> {
  const sides: (() => number)[] = [];
  const engines: ParallelEngine[] = [];
  for (const design of designs) {
    const engine = await ParallelEngine.create(configFor(design));
    engine.commitMemory();
    engines.push(engine);
    const cpu = engine.cpu(0);
    const { PROGRAMS } = engine.vm;
    const task = PROGRAMS.pftStart(cpu, 1);
    sides.push(() => {
      const start = performance.now();
      PROGRAMS.pageMiss(cpu, task, 1, 0, MISS_ROUNDS);
      return ((performance.now() - start) * 1e6) / (MISS_ROUNDS * MISS_PAGES);
    });
  }
  const samples: number[][] = designs.map(() => []);
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    for (const [at, side] of sides.entries()) {
      const ns = side();
      if (round >= WARM_UP_ROUNDS) samples[at].push(ns);
    }
  }
  for (const engine of engines) await engine.close();
  return samples.map(median);
}

/** What a move takes by the table, and a page miss beside it. */
async function moveTimes(beside: boolean): Promise<{ table: number; miss: number }> {
  const engine = await ParallelEngine.create(configFor('relocate'));
  engine.commitMemory();
  const pages = TABLES * PAGES_OF_TABLE;
  const first = (await runOne(engine, 0, 'pftStart', pages)).result;
  const second = (await runOne(engine, 1, 'pftThread', first, 2)).result;
  await runOne(engine, 0, 'pftTouch', first, 0, pages);
  const tables: number[] = [];
  const misses: number[] = [];
  // Its memory begins behind what is mapped.
  const miss: Thread = { cpu: 1, program: 'pageMiss', args: [second, 1, 2 * pages, MISS_ROUNDS] };
  for (let move = 0; move < MOVES; move++) {
    const mover: Thread = { cpu: 0, program: 'relocateOwn', args: [first, ALL_LEVELS, 4 * TABLES] };
    const [moved, missed] = await engine.runOnWorkers(beside ? [mover, miss] : [mover]);
    tables.push(((moved.endMs - moved.startMs) * 1e6) / TABLES);
    if (beside) misses.push(((missed.endMs - missed.startMs) * 1e6) / (MISS_ROUNDS * MISS_PAGES));
  }
  if (!beside) {
    for (let run = 0; run < MOVES; run++) {
      const [missed] = await engine.runOnWorkers([miss]);
      misses.push(((missed.endMs - missed.startMs) * 1e6) / (MISS_ROUNDS * MISS_PAGES));
    }
  }
  await engine.close();
  return { table: median(tables), miss: median(misses) };
}

async function runOne(
  engine: ParallelEngine,
  cpu: number,
  program: Thread['program'],
  ...args: number[]
): Promise<{ result: number }> {
  return (await engine.runOnWorkers([{ cpu, program, args }]))[0];
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

const designs = ['table-lock', 'relocate'];
const operations = [await operationsOf(designs[0]), await operationsOf(designs[1])];
const ns = await missTimes(designs);
const alone = await moveTimes(false);
const beside = await moveTimes(true);
process.stdout.write(
  `${JSON.stringify({ designs, operations, ns, nsPerTable: { alone, beside } }, undefined, 2)}\n`,
);
