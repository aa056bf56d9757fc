/**
 * Runs the page-fault test on an engine and works out the columns of the documents' tables.
 *
 * Each repetition is a new process whose threads touch their share of a mapping, and which then
 * exits. Rates use the calculated number of pages, all repetitions together, as the documents do.
 */
import { performance } from 'node:perf_hooks';
import { InputError } from '../base/errors.js';
import { vmConfig, type VmConfig } from '../engines/configuration.js';
import { runAlone, type Engine, type Thread } from '../engines/engine.js';
import { ParallelEngine } from '../engines/parallel/parallelEngine.js';
import { COSTS_BY_ARCH } from '../engines/simulate/costs.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import { ARCHES, type ArchName } from '../hardware/arch/index.js';
import type { VmDesign } from '../mm/design.js';

export type PftEngine = 'parallel' | 'simulate';

export interface PftSetup {
  readonly engine: PftEngine;
  readonly arch: ArchName;
  readonly design: VmDesign;
  /** Touched in each repetition, by all threads together. */
  readonly bytes: number;
  readonly repetitions: number;
  readonly threads: number;
  readonly cpusPerNode: number;
}

export interface PftResult {
  readonly engine: PftEngine;
  readonly arch: ArchName;
  readonly design: string;
  readonly bytes: number;
  readonly repetitions: number;
  readonly threads: number;
  /** All repetitions together. */
  readonly pages: number;
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly wallSeconds: number;
  readonly faultsPerCpuSecond: number;
  readonly faultsPerWallSecond: number;
}

/** Time that a repetition took, in seconds. */
interface Spent {
  user: number;
  system: number;
  wall: number;
}

/** Runs the test. @throws InputError when it does not fit a machine of 4 GiB */
export async function runPft(setup: PftSetup): Promise<PftResult> {
  const pageBytes = 2 ** ARCHES[setup.arch].pageShift;
  const pages = Math.floor(setup.bytes / pageBytes);
  if (pages < setup.threads) {
    throw new InputError('OPTION', `${setup.bytes} bytes are less than a page for each thread`);
  }
  const config = configFor(setup, pages);
  const spent =
    setup.engine === 'parallel'
      ? await runParallel(config, setup, pages)
      : await runSimulated(config, setup, pages);
  const touched = pages * setup.repetitions;
  return {
    engine: setup.engine,
    arch: setup.arch,
    design: setup.design.name,
    bytes: setup.bytes,
    repetitions: setup.repetitions,
    threads: setup.threads,
    pages: touched,
    userSeconds: spent.user,
    systemSeconds: spent.system,
    wallSeconds: spent.wall,
    faultsPerCpuSecond: touched / (spent.user + spent.system),
    faultsPerWallSecond: touched / spent.wall,
  };
}

/** A machine with room for the pages, their tables and what each CPU keeps back. */
function configFor(setup: PftSetup, pages: number): VmConfig {
  const { arch, threads, design } = setup;
  const entriesPerTable = 2 ** ARCHES[arch].indexBits[0];
  const tables = Math.ceil(pages / entriesPerTable) + 16;
  const frames = pages + tables + 64 * (threads + 1);
  const nodes = Math.ceil(threads / setup.cpusPerNode);
  return vmConfig({ arch, frames, cpus: threads, nodes }, design, { tasks: threads + 2 });
}

async function runParallel(config: VmConfig, setup: PftSetup, pages: number): Promise<Spent> {
  const engine = await ParallelEngine.create(config);
  try {
    engine.commitMemory();
    const total: Spent = { user: 0, system: 0, wall: 0 };
    // The first repetition only warms V8 up.
    for (let repetition = 0; repetition <= setup.repetitions; repetition++) {
      const tasks = await startProcess(engine, setup.threads, pages);
      const cpuBefore = process.cpuUsage();
      const reports = await engine.runOnWorkers(touches(tasks, pages));
      checkTouched(
        reports.map(({ result }) => result),
        pages,
      );
      const touchEnd = Math.max(...reports.map(({ endMs }) => endMs));
      const touchStart = Math.min(...reports.map(({ startMs }) => startMs));
      const exitStart = performance.now();
      await endProcess(engine, tasks);
      const exitMs = performance.now() - exitStart;
      const cpu = process.cpuUsage(cpuBefore);
      if (repetition === 0) continue;
      // All of it runs in the VM; the host sees it as user time.
      total.system += (cpu.user + cpu.system) / 1e6;
      total.wall += (touchEnd - touchStart + exitMs) / 1e3;
    }
    return total;
  } finally {
    await engine.close();
  }
}

async function runSimulated(config: VmConfig, setup: PftSetup, pages: number): Promise<Spent> {
  const costs = COSTS_BY_ARCH[setup.arch];
  const engine = await SimulateEngine.create(config, costs);
  const total: Spent = { user: 0, system: 0, wall: 0 };
  for (let repetition = 0; repetition < setup.repetitions; repetition++) {
    const tasks = await startProcess(engine, setup.threads, pages);
    const startNs = engine.nowNs;
    checkTouched(await engine.run(touches(tasks, pages)), pages);
    const busyNs = engine.spans.reduce((sum, span) => sum + span.endNs - span.startNs, 0);
    const touchedNs = engine.nowNs;
    await endProcess(engine, tasks);
    const exitNs = engine.nowNs - touchedNs;
    const userNs = pages * costs.userNs;
    total.user += userNs / 1e9;
    total.system += (busyNs - userNs + exitNs) / 1e9;
    total.wall += (engine.nowNs - startNs) / 1e9;
  }
  return total;
}

/** @returns the tasks, one a thread */
async function startProcess(engine: Engine, threads: number, pages: number): Promise<number[]> {
  const tasks = [await runAlone(engine, 'pftStart', pages)];
  for (let thread = 1; thread < threads; thread++) {
    tasks.push(await runAlone(engine, 'pftThread', tasks[0], thread + 1));
  }
  if (tasks.includes(0)) throw new InputError('MACHINE_FULL', 'no memory to start a process');
  return tasks;
}

async function endProcess(engine: Engine, tasks: readonly number[]): Promise<void> {
  for (const task of tasks) await runAlone(engine, 'pftExit', task);
}

/** Deals the pages out in equal runs; the last thread takes what is left over. */
function touches(tasks: readonly number[], pages: number): Thread[] {
  const share = Math.floor(pages / tasks.length);
  return tasks.map((task, cpu) => {
    const first = cpu * share;
    const length = cpu === tasks.length - 1 ? pages - first : share;
    return { cpu, program: 'pftTouch', args: [task, first, length] };
  });
}

function checkTouched(results: readonly number[], pages: number): void {
  if (results.some((result) => result < 0)) {
    throw new InputError('MACHINE_FULL', `out of memory (VM_FAULT_OOM) touching ${pages} pages`);
  }
}
