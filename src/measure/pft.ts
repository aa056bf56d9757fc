/**
 * The page-fault test and the columns of the documents' tables.
 *
 * Each repetition is a new process whose threads touch their share of a mapping, and which then
 * exits. Rates use the calculated number of pages, all repetitions together, as the documents do.
 *
 * Where the design has prezeroing, all memory is zeroed before the clock starts, as by an idle machine.
 * Afterwards a node's kscrubd runs on the node's last CPU whenever the test has no thread there, and its
 * time counts for nobody.
 */
import { InputError } from '../base/errors.js';
import { vmConfig, type VmConfig } from '../engines/configuration.js';
import { machineForArch, type SimulatedMachine } from '../engines/simulate/machine.js';
import type { ArchName } from '../hardware/arch/index.js';
import type { VmDesign } from '../mm/design.js';
import { runParallelPft } from './pftParallel.js';
import { framesFor, pageBytes } from './pftProcess.js';
import { runSimulatedPft } from './pftSimulated.js';

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
  /**
   * To be simulated as it is, with all its CPUs and memory. Unless given, the architecture's costs are those of a
   * machine of the shape above, whose threads start at once.
   */
  readonly machine?: SimulatedMachine | undefined;
  /** Of what a simulation leaves to chance; 1 unless given. */
  readonly seed?: number | undefined;
  /** On which a machine is simulated; see pftSimulated.ts. */
  readonly scale?: number | undefined;
}

export interface PftResult {
  readonly engine: PftEngine;
  readonly arch: ArchName;
  /** Of the machine that is simulated, or whose costs are used. */
  readonly machine?: string;
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
export interface PftSpent {
  readonly user: number;
  readonly system: number;
  readonly wall: number;
  readonly prezeroed: number;
}

/** Runs the test. @throws InputError when it does not fit the machine */
export async function runPft(setup: PftSetup): Promise<PftResult> {
  const { engine, arch, design, bytes, repetitions, threads } = setup;
  const pages = Math.floor(bytes / pageBytes(arch));
  if (pages < threads) {
    throw new InputError('OPTION', `${bytes} bytes are less than a page for each thread`);
  }
  const machine =
    engine === 'parallel' ? undefined : (setup.machine ?? shapedMachine(setup, pages));
  const spent =
    machine === undefined
      ? await runParallelPft(configFor(setup, pages), setup, pages)
      : await runSimulatedPft(
          machine,
          setup.machine === undefined ? { ...setup, scale: 1 } : setup,
        );
  const touched = pages * repetitions;
  return {
    engine,
    arch,
    ...(machine === undefined ? {} : { machine: machine.name }),
    design: design.name,
    bytes,
    repetitions,
    threads,
    pages: touched,
    prezeroed: spent.prezeroed,
    userSeconds: spent.user,
    systemSeconds: spent.system,
    wallSeconds: spent.wall,
    faultsPerCpuSecond: touched / (spent.user + spent.system),
    faultsPerWallSecond: touched / spent.wall,
  };
}

/** The machine of a test where none is named. */
function configFor(setup: PftSetup, pages: number): VmConfig {
  const { arch, threads, design, memoryBytes, cpus = threads } = setup;
  if (cpus < threads) {
    throw new InputError(
      'OPTION',
      `${threads} threads need as many CPUs, and the machine has ${cpus}`,
    );
  }
  const needed = framesFor(arch, pages, threads);
  const frames = memoryBytes === undefined ? needed : memoryBytes / pageBytes(arch);
  if (frames < needed) {
    throw new InputError('OPTION', `${memoryBytes} bytes of memory are too few for the test`);
  }
  const nodes = Math.ceil(cpus / setup.cpusPerNode);
  return vmConfig({ arch, frames, cpus, nodes }, design, { tasks: threads + 2 });
}

/** The same to be simulated, with the costs of the architecture's machine. */
function shapedMachine(setup: PftSetup, pages: number): SimulatedMachine {
  const { arch, cpusPerNode } = setup;
  const { frames, cpus, nodes } = configFor(setup, pages).machine;
  const like = machineForArch(arch);
  const nodeBytes = Math.ceil(frames / nodes) * pageBytes(arch);
  return { ...like, cpus, cpusPerNode, nodeBytes, costs: { ...like.costs, startDelayNs: 0 } };
}
