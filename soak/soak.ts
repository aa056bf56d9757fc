/**
 * Random processes and threads on a machine that has memory for a third of what they use, round after round.
 * Each load is checked against what was stored; between rounds the audit counts everything anew; and at the
 * end of a machine nothing may be left but what the page cache keeps.
 */
import { vmConfig } from '../src/engines/configuration.js';
import { runAlone, type Engine, type Thread } from '../src/engines/engine.js';
import { RandomEngine } from '../src/engines/explore/randomEngine.js';
import { ParallelEngine } from '../src/engines/parallel/parallelEngine.js';
import { ARCHES, type ArchName } from '../src/hardware/arch/index.js';
import type { VmDesign } from '../src/mm/design.js';
import type { ProgramName } from '../src/workloads/programs.js';
import { DEVICE_FAILS, MEMORY_FAILS, NOTHING_FAILS } from '../src/workloads/report.js';

export type EngineName = 'parallel' | 'stepped';

export interface SoakOptions {
  readonly engine: EngineName;
  readonly arch: ArchName;
  readonly design: VmDesign;
  /** Of the first machine; each further one has one more. */
  readonly seed: number;
  /** Of each thread in a round; without, what suits the engine. */
  readonly operations?: number;
  /** Page frames; without, a third of what the processes use. */
  readonly frames?: number;
  /** Of each request to the device, from 0 to 1. */
  readonly ioFailures: number;
  /** Whether a call or an access of a thread that fails for want of memory is a failure. */
  readonly memorySuffices?: boolean;
  /** For the files of the parallel engine; without, a temporary one. */
  readonly directory?: string;
}

export interface SoakFailure {
  readonly message: string;
  /** Of the machine, and the round of it: what replays the failure. */
  readonly seed: number;
  readonly round: number;
}

/** Sums over all rounds. */
export interface SoakCounts {
  machines: number;
  rounds: number;
  operations: number;
  /** Loads that were checked. */
  loads: number;
  faults: number;
  majorFaults: number;
  pagesOut: number;
  pagesIn: number;
  failedRequests: number;
  /** Most page frames in use at the end of a round of threads, before they exit. */
  mostFrames: number;
}

export interface SoakResult extends Readonly<SoakCounts> {
  /** Of each machine. */
  readonly frames: number;
  readonly failure: SoakFailure | undefined;
}

/** A machine lives so long; the last round is of random processes, the others of threads. */
export const ROUNDS_OF_MACHINE = 12;

/** A round of the parallel engine that takes longer does not end. */
const ROUND_LIMIT_MS = 60_000;

/** CPUs of each node: those that run threads, then kswapd's, then those of its companions, if there are any. */
interface Shape {
  readonly nodes: number;
  readonly threadsOfNode: number;
  /** Over all tables, or all frames, by a companion in a round. As a stepped engine gives it turns, it must end. */
  readonly companionPasses: Readonly<Record<Companion, number>>;
  /** Of each thread in a round. */
  readonly operations: number;
  /** Of each region of a process, see workloads/sharedOperations.ts. */
  readonly pages: number;
  /** Of the swap file. */
  readonly swapPages: number;
  /** A third of the page frames that the processes of a round use. */
  readonly frames: number;
}

/** What else runs beside the threads, where the design is for it: who moves page tables and pages, or the host. */
type Companion = 'tableMover' | 'hostTakesAll';

const SHAPES: Readonly<Record<EngineName, Shape>> = {
  parallel: {
    nodes: 1,
    threadsOfNode: 2,
    companionPasses: { tableMover: Infinity, hostTakesAll: Infinity },
    operations: 10_000,
    pages: 128,
    frames: 190,
    swapPages: 1000,
  },
  stepped: {
    nodes: 2,
    threadsOfNode: 2,
    companionPasses: { tableMover: 10, hostTakesAll: 200 },
    operations: 1500,
    pages: 128,
    frames: 190,
    swapPages: 1000,
  },
};

/** Files of a machine: those that threads share, and two of each random process. */
const FILES = 32;

/**
 * Runs rounds until told to stop, or until something fails.
 *
 * @param goOn - asked before each round
 */
export async function soak(
  options: SoakOptions,
  goOn: (counts: Readonly<SoakCounts>) => boolean,
): Promise<SoakResult> {
  const counts: SoakCounts = {
    machines: 0,
    rounds: 0,
    operations: 0,
    loads: 0,
    faults: 0,
    majorFaults: 0,
    pagesOut: 0,
    pagesIn: 0,
    failedRequests: 0,
    mostFrames: 0,
  };
  let failure: SoakFailure | undefined;
  while (failure === undefined && goOn(counts)) {
    const machine = new SoakMachine(options, options.seed + counts.machines, counts);
    failure = await machine.live(goOn);
    counts.machines++;
  }
  return { ...counts, frames: framesOf(options), failure };
}

/** A machine, from its start to its end. */
class SoakMachine {
  private readonly shape: MachineShape;
  private readonly operations: number;
  private engine!: Engine;
  /** The first of the files that threads share. */
  private files = 0;
  private round = 0;

  constructor(
    private readonly options: SoakOptions,
    private readonly seed: number,
    private readonly counts: SoakCounts,
  ) {
    this.shape = { ...SHAPES[options.engine], companions: companionsOf(options.design) };
    this.operations = options.operations ?? this.shape.operations;
  }

  async live(goOn: (counts: Readonly<SoakCounts>) => boolean): Promise<SoakFailure | undefined> {
    const { options, seed, counts } = this;
    this.engine = await createEngine(options, this.shape, seed);
    try {
      this.files = await runAlone(this.engine, 'sharedFiles', this.shape.pages);
      this.engine.requests.fail({ probability: options.ioFailures, seed });
      do {
        this.round++;
        await withinLimit(this.runRound(), () => this.whatIsHeld());
        counts.rounds++;
      } while (this.round < ROUNDS_OF_MACHINE && goOn(counts));
      await this.expectNothingLeft();
    } catch (error) {
      return { message: String(error), seed, round: this.round };
    } finally {
      this.addCounts();
      await this.engine.close();
    }
    return undefined;
  }

  private async runRound(): Promise<void> {
    if (this.round === ROUNDS_OF_MACHINE) await this.runProcesses();
    else await this.runThreads();
    this.expectNone(this.engine.vm.audit(this.engine.memory));
  }

  /** In odd rounds the threads are those of one process, in even ones of two. */
  private async runThreads(): Promise<void> {
    const { engine, shape, files, operations } = this;
    const mayFail = this.mayFail(this.options.memorySuffices === true);
    const cpus = threadCpus(shape);
    const tasks: number[] = [];
    for (let place = 0; place < cpus.length; place++) {
      const isFirst = place === 0 || (place === cpus.length / 2 && this.round % 2 === 0);
      const task = isFirst
        ? await runAlone(engine, 'sharedStart')
        : await runAlone(engine, 'pftThread', tasks.at(-1)!, place + 1);
      tasks.push(task);
    }
    await this.run('sharedOperations', (place) => {
      const number = (this.round - 1) * cpus.length + place;
      return [tasks[place], this.threadSeed(place), operations, number, files, mayFail];
    });
    this.expectNone(engine.vm.audit(engine.memory));
    const used = engine.vm.framesInUse(engine.memory);
    this.counts.mostFrames = Math.max(this.counts.mostFrames, used);
    for (const task of tasks) await runAlone(engine, 'pftExit', task);
  }

  private async runProcesses(): Promise<void> {
    const mayFail = this.mayFail(false);
    await this.run('checkedOperations', (place) => [
      this.threadSeed(place),
      this.operations,
      mayFail,
    ]);
  }

  private mayFail(memorySuffices: boolean): number {
    if (this.options.ioFailures > 0) return DEVICE_FAILS;
    return memorySuffices ? NOTHING_FAILS : MEMORY_FAILS;
  }

  private threadSeed(place: number): number {
    return (this.seed * ROUNDS_OF_MACHINE + this.round) * threadCpus(this.shape).length + place;
  }

  /** Runs a program, which returns the loads that it checked, on each CPU that runs threads. */
  private async run(program: ProgramName, args: (place: number) => number[]): Promise<void> {
    const { engine, shape, counts } = this;
    const threads = threadCpus(shape).map((cpu, place): Thread => ({
      cpu,
      program,
      args: args(place),
    }));
    const results = await engine.run([...threads, ...daemons(shape)]);
    counts.operations += threads.length * this.operations;
    for (const loads of results.slice(0, threads.length)) counts.loads += loads;
  }

  private async expectNothingLeft(): Promise<void> {
    const { engine, shape } = this;
    for (let cpu = 0; cpu < cpusOf(shape); cpu++) {
      await engine.run([{ cpu, program: 'drainCpu', args: [] }]);
    }
    this.expectNone(engine.vm.audit(engine.memory));
    this.expectNone(engine.vm.leaks(engine.memory));
  }

  /** Locks that are held, for a round that does not end. */
  private whatIsHeld(): string {
    const faults = this.engine.vm.audit(this.engine.memory);
    return faults.filter((fault) => / (held|locked)/.test(fault)).join(', ');
  }

  private expectNone(faults: readonly string[]): void {
    if (faults.length > 0) throw new Error(faults.join('\n'));
  }

  private addCounts(): void {
    const { engine, counts } = this;
    const events = engine.vm.pageStates(engine.memory);
    const { failedReads, failedWrites } = engine.requests.counts();
    counts.faults += events.pgfault;
    counts.majorFaults += events.pgmajfault;
    counts.pagesOut += events.pswpout;
    counts.pagesIn += events.pswpin;
    counts.failedRequests += failedReads + failedWrites;
  }
}

/** What a machine is for a design. */
interface MachineShape extends Shape {
  readonly companions: readonly Companion[];
}

function companionsOf({ relocation, hinting }: VmDesign): Companion[] {
  const companions: Companion[] = [];
  if (relocation !== undefined) companions.push('tableMover');
  if (hinting !== undefined) companions.push('hostTakesAll');
  return companions;
}

function createEngine(options: SoakOptions, shape: MachineShape, seed: number): Promise<Engine> {
  const { arch, design, directory } = options;
  const machine = {
    arch,
    frames: framesOf(options),
    cpus: cpusOf(shape),
    nodes: shape.nodes,
    swapPages: shape.swapPages,
    ...(design.highpte !== undefined && ARCHES[arch].highMemory ? highMemory(options) : {}),
  };
  const config = vmConfig(machine, design, { files: FILES });
  if (options.engine === 'stepped') return RandomEngine.create(config, { seed });
  return ParallelEngine.create(config, directory === undefined ? {} : { directory });
}

/** A part of memory is low, and the pool has slots for two moves. */
function highMemory(options: SoakOptions): { lowFrames: number; kmaps: number } {
  return { lowFrames: framesOf(options) >> 2, kmaps: 4 };
}

function framesOf({ engine, frames }: SoakOptions): number {
  return frames ?? SHAPES[engine].frames;
}

function cpusOfNode({ threadsOfNode, companions }: MachineShape): number {
  return threadsOfNode + 1 + companions.length;
}

function cpusOf(shape: MachineShape): number {
  return shape.nodes * cpusOfNode(shape);
}

function threadCpus(shape: MachineShape): number[] {
  const cpus = Array.from({ length: cpusOf(shape) }, (_, cpu) => cpu);
  return cpus.filter((cpu) => cpu % cpusOfNode(shape) < shape.threadsOfNode);
}

/** kswapd of each node, and its companions. */
function daemons(shape: MachineShape): Thread[] {
  const { nodes, threadsOfNode, companions, companionPasses } = shape;
  return Array.from({ length: nodes }, (_, node) => node).flatMap((node) => {
    const first = node * cpusOfNode(shape) + threadsOfNode;
    const kswapd: Thread = { cpu: first, program: 'kswapd', args: [node], daemon: true };
    const others = companions.map((program, place): Thread => {
      return { cpu: first + 1 + place, program, args: [companionPasses[program]], daemon: true };
    });
    return [kswapd, ...others];
  });
}

/** Rejects when a round does not end; the engine is to be closed then. */
async function withinLimit(round: Promise<void>, whatIsHeld: () => string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no end within ${ROUND_LIMIT_MS / 1000} s: ${whatIsHeld()}`));
    }, ROUND_LIMIT_MS);
  });
  try {
    await Promise.race([round, limit]);
  } finally {
    clearTimeout(timer);
  }
}
