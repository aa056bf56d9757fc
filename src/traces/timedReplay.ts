/**
 * Predicts what a recording's faults take on N CPUs: the faults between two changes of an address space run side by
 * side on the simulate engine, each thread's on its CPU, and all else is done in no time in between, on the same
 * memory. Which faults there are is the exact replay's to say (replay.ts), which goes ahead of this one.
 *
 * docs/traces.md has what a prediction rests on.
 */
import { InvariantError } from '../base/errors.js';
import { Prng } from '../base/prng.js';
import type { Word } from '../base/units.js';
import type { VmConfig } from '../engines/configuration.js';
import type { Thread } from '../engines/engine.js';
import { attachPlain, type PlainVm } from '../engines/instance.js';
import type { SimulatedMachine } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import type { MappedAhead } from './mappedAhead.js';
import type { TraceEvent } from './perfScript.js';
import type { TakenFault } from './replay.js';
import {
  TracedProcesses,
  type FaultEvent,
  type Process,
  type TracedThread,
} from './tracedProcesses.js';
import type { Truth } from './truth.js';

/**
 * When a CPU takes its next fault:
 *   recorded      as long after the last one as the recording says: what is in between is the program's own work
 *   back-to-back  at once, so that faults meet as often as they can; CPUs begin within a microsecond
 */
export const PACINGS = ['recorded', 'back-to-back'] as const;
export type Pacing = (typeof PACINGS)[number];

/** A fault that is to be taken by a CPU. Times are the recording's, in nanoseconds. */
interface QueuedFault extends TakenFault {
  readonly task: Word;
  readonly startNs: number;
  readonly endNs: number;
}

const STAGGER_NS = 1000;

export class TimedReplay extends TracedProcesses {
  /** Faults taken. */
  faults = 0;
  /** Of those, the ones that could meet another CPU's. */
  besideOthers = 0;
  /** Simulated time in the fault path: of the busiest CPU between two changes, all of these together. */
  wallNs = 0;
  /** The same of all CPUs together. */
  cpuNs = 0;
  /** Threads that took faults. */
  private readonly cpuOfThread = new Map<number, number>();
  /** By CPU. */
  private readonly queues: QueuedFault[][];
  private readonly waitingProcesses = new Set<Process>();
  private readonly startedNs = new WeakMap<TracedThread, number>();
  private readonly random: Prng;
  private nowNs = 0;
  private taken: readonly TakenFault[] = [];

  private constructor(
    readonly engine: SimulateEngine,
    vm: PlainVm,
    truth: Truth | undefined,
    private readonly pacing: Pacing,
    seed: number,
  ) {
    super(vm, engine.memory, truth);
    this.random = new Prng(seed);
    this.queues = Array.from({ length: vm.CPUS }, () => []);
  }

  /** @param seed - of when CPUs begin, where that is left to chance */
  static async create(
    config: VmConfig,
    machine: SimulatedMachine,
    truth: Truth | undefined,
    pacing: Pacing,
    seed: number,
  ): Promise<TimedReplay> {
    const engine = await SimulateEngine.create(config, machine);
    const { vm } = await attachPlain(config, engine.memory.buffer);
    return new TimedReplay(engine, vm, truth, pacing, seed);
  }

  /** Threads that took a fault. */
  get threadCount(): number {
    return this.cpuOfThread.size;
  }

  /**
   * Applies one event.
   *
   * @param nowNs - when it was recorded
   * @param taken - what the exact replay did for it
   */
  feed(
    event: TraceEvent,
    file: string,
    line: number,
    nowNs: number,
    taken: readonly TakenFault[],
  ): void {
    this.nowNs = nowNs;
    this.taken = taken;
    this.apply(event, file, line);
  }

  /** Takes the faults that are left. @throws InvariantError when our VM's own audit fails */
  close(): void {
    for (const process of this.processes.values()) this.finish(process);
    this.takeQueued();
    const [first] = this.vm.audit(this.memory);
    if (first !== undefined) throw new InvariantError(`the audit after the replay found: ${first}`);
  }

  protected atFault(process: Process, thread: TracedThread, event: FaultEvent): void {
    if (event.kind === 'exception') this.startedNs.set(thread, this.nowNs);
    if (this.taken.length === 0 || !this.run(process, thread)) return;
    const queue = this.queues[this.cpuOf(thread)];
    const startNs = this.startedNs.get(thread) ?? this.nowNs;
    for (const { address, errorCode } of this.taken) {
      queue.push({ task: thread.task, address, errorCode, startNs, endNs: this.nowNs });
    }
    this.waitingProcesses.add(process);
  }

  /** Threads are dealt to CPUs in the order of their first faults. */
  private cpuOf({ tid }: TracedThread): number {
    let cpu = this.cpuOfThread.get(tid);
    if (cpu === undefined) {
      cpu = this.cpuOfThread.size % this.queues.length;
      this.cpuOfThread.set(tid, cpu);
    }
    return cpu;
  }

  /** Faults of a process come before what changes it; those of others may still wait for company. */
  protected beforeChange(process: Process): void {
    if (this.waitingProcesses.has(process)) this.takeQueued();
  }

  private takeQueued(): void {
    const busy = this.queues.flatMap((queue, cpu) => (queue.length > 0 ? [cpu] : []));
    if (busy.length === 0) return;
    const firstNs = Math.min(...busy.map((cpu) => this.queues[cpu][0].startNs));
    const runs = busy.map((cpu) => this.threadFor(cpu, firstNs));
    // CPU 0 is the one that makes the calls, too: meanwhile it runs nothing there.
    const task = this.cpu.current;
    this.cpu.idle();
    const failed = this.engine.runNow(runs.map(({ thread }) => thread));
    if (task !== 0) this.vm.switchTo(this.cpu, task);
    if (failed.some((faults) => faults > 0)) throw this.full('what other CPUs keep back');
    const ns = this.engine.spans.map(({ startNs, endNs }, at) => endNs - startNs - runs[at].gapsNs);
    this.wallNs += Math.max(...ns);
    this.cpuNs += ns.reduce((sum, one) => sum + one, 0);
    for (const cpu of busy) {
      const { length } = this.queues[cpu];
      this.faults += length;
      if (busy.length > 1) this.besideOthers += length;
      this.queues[cpu].length = 0;
    }
    this.waitingProcesses.clear();
  }

  /** What a CPU does, and how much of it is no fault. */
  private threadFor(cpu: number, firstNs: number): { thread: Thread; gapsNs: number } {
    const recorded = this.pacing === 'recorded';
    const args: number[] = [];
    let gapsNs = 0;
    let lastNs = NaN;
    for (const { task, address, errorCode, startNs, endNs } of this.queues[cpu]) {
      const gapNs = recorded && startNs > lastNs ? startNs - lastNs : 0;
      args.push(task, address, errorCode, gapNs);
      gapsNs += gapNs;
      lastNs = endNs;
    }
    const delayNs = recorded
      ? this.queues[cpu][0].startNs - firstNs
      : this.random.fraction() * STAGGER_NS;
    return { thread: { cpu, program: 'tracedFaults', args, delayNs }, gapsNs };
  }

  protected ends(): void {
    // Nothing is told of it.
  }

  protected aheadOf(): MappedAhead | undefined {
    return undefined;
  }
}
