/**
 * Runs the page-fault test on an engine and works out the columns of the documents' tables.
 *
 * Each repetition is a new process whose threads touch their share of a mapping, and which then
 * exits. Rates use the calculated number of pages, all repetitions together, as the documents do.
 *
 * Where the design has prezeroing, all memory is zeroed before the clock starts, as by an idle machine.
 * Afterwards a node's kscrubd runs on the node's last CPU whenever the test has no thread there, and its
 * time counts for nobody.
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
  /** CPUs of the machine, at least one a thread; unless given, just as many. */
  readonly cpus?: number | undefined;
  /** Of the machine; unless given, just what the test needs. */
  readonly memoryBytes?: number | undefined;
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
  /** Frames that were handed out as zeroed beforehand; those of page tables count too. */
  readonly prezeroed: number;
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly wallSeconds: number;
  readonly faultsPerCpuSecond: number;
  readonly faultsPerWallSecond: number;
}

/** Time that the repetitions took, in seconds, and what they took that was zeroed. */
interface Spent {
  user: number;
  system: number;
  wall: number;
  prezeroed: number;
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
    prezeroed: spent.prezeroed,
    userSeconds: spent.user,
    systemSeconds: spent.system,
    wallSeconds: spent.wall,
    faultsPerCpuSecond: touched / (spent.user + spent.system),
    faultsPerWallSecond: touched / spent.wall,
  };
}

/** A machine with room for the pages, their tables and what each CPU keeps back. */
function configFor(setup: PftSetup, pages: number): VmConfig {
  const { arch, threads, design, memoryBytes } = setup;
  const cpus = setup.cpus ?? threads;
  if (cpus < threads) {
    throw new InputError(
      'OPTION',
      `${threads} threads need as many CPUs, and the machine has ${cpus}`,
    );
  }
  const entriesPerTable = 2 ** ARCHES[arch].indexBits[0];
  const tables = Math.ceil(pages / entriesPerTable) + 16;
  const needed = pages + tables + 64 * (threads + 1);
  const frames = memoryBytes === undefined ? needed : memoryBytes / 2 ** ARCHES[arch].pageShift;
  if (frames < needed) {
    throw new InputError('OPTION', `${memoryBytes} bytes of memory are too few for the test`);
  }
  const nodes = Math.ceil(cpus / setup.cpusPerNode);
  return vmConfig({ arch, frames, cpus, nodes }, design, { tasks: threads + 2 });
}

/** The machine's kscrubds, for a run whose threads are on the CPUs below `busy`. */
function kscrubds({ machine, design }: VmConfig, busy: number): Thread[] {
  if (design.prezero === undefined) return [];
  const { cpus, nodes } = machine;
  const perNode = Math.ceil(cpus / nodes);
  return Array.from({ length: nodes }, (_, node): Thread => {
    const cpu = Math.min((node + 1) * perNode, cpus) - 1;
    return { cpu, program: 'kscrubd', args: [node], daemon: true };
  }).filter(({ cpu }) => cpu >= busy);
}

/** Zeroes all free memory, where the design has that, before a clock runs. */
async function scrubAll(engine: Engine, { machine, design }: VmConfig): Promise<void> {
  if (design.prezero === undefined) return;
  for (let node = 0; node < machine.nodes; node++) await runAlone(engine, 'scrubNode', node);
}

async function runParallel(config: VmConfig, setup: PftSetup, pages: number): Promise<Spent> {
  const engine = await ParallelEngine.create(config);
  try {
    engine.commitMemory();
    const total: Spent = { user: 0, system: 0, wall: 0, prezeroed: 0 };
    // The first repetition only warms V8 up.
    for (let repetition = 0; repetition <= setup.repetitions; repetition++) {
      if (repetition <= 1) await scrubAll(engine, config);
      const tasks = await startProcess(engine, setup.threads, pages);
      const { pgalloc_zeroed } = engine.vm.pageStates(engine.memory);
      const cpuBefore = process.cpuUsage();
      const reports = await engine.runOnWorkers(touches(tasks, pages));
      checkTouched(
        reports.map(({ result }) => result),
        pages,
      );
      const touchEnd = Math.max(...reports.map(({ endMs }) => endMs));
      const touchStart = Math.min(...reports.map(({ startMs }) => startMs));
      const prezeroed = engine.vm.pageStates(engine.memory).pgalloc_zeroed - pgalloc_zeroed;
      const exitStart = performance.now();
      await endProcess(engine, tasks);
      const exitMs = performance.now() - exitStart;
      const cpu = process.cpuUsage(cpuBefore);
      if (repetition === 0) continue;
      total.prezeroed += prezeroed;
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
  const total: Spent = { user: 0, system: 0, wall: 0, prezeroed: 0 };
  await scrubAll(engine, config);
  for (let repetition = 0; repetition < setup.repetitions; repetition++) {
    const tasks = await startProcess(engine, setup.threads, pages);
    const { pgalloc_zeroed } = engine.vm.pageStates(engine.memory);
    const startNs = engine.nowNs;
    const threads = touches(tasks, pages);
    const results = await engine.run([...threads, ...kscrubds(config, setup.threads)]);
    checkTouched(results.slice(0, setup.threads), pages);
    const busyNs = engine.spans
      .slice(0, setup.threads)
      .reduce((sum, span) => sum + span.endNs - span.startNs, 0);
    total.prezeroed += engine.vm.pageStates(engine.memory).pgalloc_zeroed - pgalloc_zeroed;
    const touchedNs = engine.nowNs;
    await endProcess(engine, tasks, kscrubds(config, 1));
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

/** @param daemons - that run beside, on other CPUs than 0 */
async function endProcess(
  engine: Engine,
  tasks: readonly number[],
  daemons: readonly Thread[] = [],
): Promise<void> {
  for (const task of tasks) {
    await engine.run([{ cpu: 0, program: 'pftExit', args: [task] }, ...daemons]);
  }
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
