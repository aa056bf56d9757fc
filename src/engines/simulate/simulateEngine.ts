/**
 * The simulate engine: discrete events over N CPUs and NUMA nodes. Every operation of the stepped
 * VM takes its effect at a simulated time, and costs what the cache line it touches costs to get.
 *
 * Deterministic: the same threads give the same times, to the bit.
 */
import { InputError, InvariantError } from '../../base/errors.js';
import type { Word } from '../../base/units.js';
import type { Memory } from '../../hardware/memory.js';
import { FrameWork, Work } from '../../hardware/cpu.js';
import { OPERATION_CODE as CODE, OPERATION_NAMES, codesWhere } from '../../hardware/operations.js';
import type { VmConfig } from '../configuration.js';
import type { DeviceRequests } from '../deviceRequests.js';
import type { Engine, Thread } from '../engine.js';
import { specializeFor, type PlainVm, type SteppedVm } from '../instance.js';
import { SteppedMachine, isRequest, type SteppedCpu } from '../stepping.js';
import { CacheLines } from './cacheLines.js';
import { Clock } from './clock.js';
import type { MachineCosts } from './costs.js';
import { EventQueue } from './eventQueue.js';
import { LineWatch } from './lineWatch.js';
import { hops, type SimulatedMachine } from './machine.js';
import { MemoryBuses } from './memoryBuses.js';
import { TimedCpu, TimedThread, type Stepper } from './timedCpu.js';
import { Waiting } from './waiting.js';
import { Zeroing } from './zeroing.js';

/** When a thread of the last run began and ended, in simulated nanoseconds. */
export interface SimulatedSpan {
  readonly startNs: number;
  readonly endNs: number;
  /** Of that, what it slept: for a semaphore, another CPU or the device; who waits for a lock does not. */
  readonly asleepNs: number;
}

/** When a program of the last run came to a point that it noted. */
export interface SimulatedNote {
  readonly point: number;
  readonly ns: number;
}

/** Operations that may let go on who waits for the same word. */
const releases = byCode(codesWhere(({ lock }) => lock === 'gives'));

/** Operations that sleep until they can go. */
const sleeps = byCode(new Set([CODE.downRead, CODE.downWrite, CODE.sleepOn]));

/** Operations that no other CPU sees. */
const unseen = byCode(new Set([CODE.spend, CODE.spendOn, CODE.spendNs, CODE.interrupts]));

/** For tests, which compare. */
export interface SimulateOptions {
  /** Whether the engine performs every operation, in order of time; slower. */
  readonly inOrder?: true;
}

export class SimulateEngine implements Engine, Stepper {
  /** Simulated time at which the threads of the last run, daemons apart, had ended. */
  nowNs = 0;
  /** Of each thread of the last run. */
  spans: SimulatedSpan[] = [];
  /** What its programs noted, in order of time. */
  notes: SimulatedNote[] = [];
  readonly lines: CacheLines;
  private readonly costs: MachineCosts;
  private readonly buses: MemoryBuses;
  private readonly clock = new Clock();
  /** The two timed forms of the VM: for a thread that is alone, and for several. */
  private readonly plain: () => PlainVm;
  private readonly stepped: () => SteppedVm;
  private inOrder: boolean;
  private readonly zeroing: Zeroing;
  private readonly queue: EventQueue;
  /** CPUs that wait for a lock or a semaphore, since when, and for how long each has slept in this run. */
  private readonly waiting: Waiting;
  private readonly waitsFromNs: Float64Array;
  private readonly asleepNs: Float64Array;
  /** When the thread on each CPU ended; NaN while it has not. */
  private readonly endNs: Float64Array;
  /** 1 for CPUs that wait for the device. */
  private readonly requested: Uint8Array;
  /** When each place of the device is free again, in simulated nanoseconds. */
  private readonly deviceFreeNs: number[];
  private readonly workNs: Readonly<Record<Work, number>>;

  private constructor(
    private readonly machine: SteppedMachine,
    private readonly cpus: readonly TimedCpu[],
    config: VmConfig,
    private readonly model: SimulatedMachine,
    options: SimulateOptions,
  ) {
    const { vm, memory } = machine;
    const { costs } = model;
    this.costs = costs;
    const { words, wides } = memory;
    this.lines = new CacheLines(
      vm.TOTAL_WORDS,
      vm.CPUS,
      vm.cpuNode,
      model,
      ownLines(vm, model.lines),
    );
    this.buses = new MemoryBuses(vm.CPUS, vm.cpuNode, costs);
    this.workNs = {
      [Work.TRAP_ENTER]: costs.trapEnterNs,
      [Work.TRAP_EXIT]: costs.trapExitNs,
      [Work.SYSCALL]: costs.syscallNs,
      [Work.USER]: costs.userNs,
      [Work.FLUSH_KERNEL_PAGE]: costs.flushKernelPageNs,
    };
    const spends = (work: Work): void => this.clock.advance(this.workNs[work]);
    const bindings = { words, wides, spends, ...this.lines.hits(this.clock) };
    this.plain = once(() => specializeFor(config, 'timedPlain', bindings) as PlainVm);
    this.stepped = once(() => specializeFor(config, 'timedStepped', bindings) as SteppedVm);
    // What looks for accesses to free frames looks at each operation, and names those who made it.
    this.inOrder = vm.DEBUG_PAGEALLOC || options.inOrder === true;
    this.zeroing = new Zeroing(vm, words, this.lines);
    this.queue = new EventQueue(vm.CPUS);
    this.waiting = new Waiting(
      cpus,
      (cpu) => machine.isEnabled(cpu),
      (cpu, atNs) => this.goOnAt(cpu, atNs),
    );
    this.waitsFromNs = new Float64Array(vm.CPUS);
    this.asleepNs = new Float64Array(vm.CPUS);
    this.endNs = new Float64Array(vm.CPUS);
    this.requested = new Uint8Array(vm.CPUS);
    this.deviceFreeNs = new Array<number>(costs.deviceRequests).fill(0);
  }

  get vm(): SteppedVm {
    return this.machine.vm;
  }

  get memory(): Memory {
    return this.machine.memory;
  }

  get requests(): DeviceRequests {
    return this.machine.requests;
  }

  static async create(
    config: VmConfig,
    model: SimulatedMachine,
    options: SimulateOptions = {},
  ): Promise<SimulateEngine> {
    const cpus: TimedCpu[] = [];
    const machine = await SteppedMachine.create(config, (vm, id) => {
      return (cpus[id] = new TimedCpu(vm, id, () => engine));
    });
    const engine = new SimulateEngine(machine, cpus, config, model, options);
    await engine.run([{ cpu: 0, program: 'boot', args: [] }]);
    return engine;
  }

  /** Accounts from now on for what CPUs wait for. So that it is known who waits, all operations come to the engine. */
  watchLines(): LineWatch {
    this.inOrder = true;
    return (this.lines.watch = new LineWatch(this.machine.cpus, (word) => this.lines.lineOf(word)));
  }

  run(threads: readonly Thread[]): Promise<number[]> {
    return Promise.resolve(this.runNow(threads));
  }

  /** The same at once: nothing here waits for anything outside. */
  runNow(threads: readonly Thread[]): number[] {
    const { machine, cpus, asleepNs, endNs } = this;
    const startNs = this.nowNs;
    this.notes = [];
    asleepNs.fill(0);
    endNs.fill(NaN);
    const [first] = threads;
    const alone = threads.length === 1 && first.daemon !== true;
    const results =
      alone && !this.inOrder ? [this.runAlone(first, startNs)] : this.runAll(threads, startNs);
    machine.idle(threads.map(({ cpu }) => cpus[cpu]));
    this.spans = threads.map(({ cpu, delayNs = 0 }) => {
      return { startNs: startNs + delayNs, endNs: endNs[cpu], asleepNs: asleepNs[cpu] };
    });
    return results;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Runs a thread with no other on the machine, as functions that call each other. @returns what it returned */
  private runAlone({ cpu, program, args, delayNs = 0 }: Thread, startNs: number): number {
    this.clock.set(cpu, startNs + delayNs, Infinity);
    // The plain form takes this CPU's record where the parallel engine has its own.
    const run = this.plain().PROGRAMS[program] as unknown as Run;
    const result = run(this.cpus[cpu], ...args);
    this.nowNs = this.clock.nowNs;
    this.endNs[cpu] = this.nowNs;
    return result;
  }

  /** Runs threads side by side. @returns what each returned */
  private runAll(threads: readonly Thread[], startNs: number): number[] {
    const { clock, cpus, queue } = this;
    const daemons = new Set(threads.filter(({ daemon }) => daemon === true).map(({ cpu }) => cpu));
    let left = threads.length - daemons.size;
    const stopDaemons = (): void => {
      for (const daemon of daemons)
        this.waiting.release(this.machine.stopDaemon(daemon), this.nowNs);
    };
    const end = ({ id }: TimedCpu): void => {
      this.endNs[id] = clock.nowNs;
      if (daemons.has(id)) return;
      this.nowNs = Math.max(this.nowNs, clock.nowNs);
      if (--left === 0) stopDaemons();
    };
    const running: TimedThread[] = [];
    const programs = (this.inOrder ? this.vm : this.stepped()).PROGRAMS;
    for (const { cpu, program, args, delayNs = 0 } of threads) {
      running[cpu] = new TimedThread(cpus[cpu], programs[program], args);
      queue.push(startNs + delayNs, cpu);
    }
    if (left === 0) stopDaemons();
    while (queue.size > 0) {
      const now = queue.nextTime;
      const id = queue.pop();
      clock.set(id, now, queue.nextTime);
      const thread = running[id];
      if (thread.isRunning ? this.goesOn(thread) : thread.begin()) queue.push(clock.nowNs, id);
      else if (!thread.isRunning) end(cpus[id]);
    }
    const stuck = threads.filter(({ cpu }) => Number.isNaN(this.endNs[cpu]));
    if (stuck.length > 0) throw waitsForEver(stuck.map(({ cpu }) => cpu));
    return threads.map(({ cpu }) => running[cpu].result);
  }

  /**
   * Runs a thread from its pending operation on, as long as no other CPU comes before it.
   *
   * @returns whether it goes on when its time comes; else it waits or has ended
   */
  private goesOn(thread: TimedThread): boolean {
    const { cpu } = thread;
    const { clock, queue } = this;
    do {
      if (!this.machine.isEnabled(cpu)) {
        this.waiting.add(cpu.x, cpu.id);
        this.waitsFromNs[cpu.id] = clock.nowNs;
        this.lines.watch?.waits(cpu.id, clock.nowNs);
        return false;
      }
      if (isRequest(cpu.op) && (this.requested[cpu.id] ^= 1) === 1) {
        // It has its effect when the device has served it.
        queue.push(this.servedTime(cpu), cpu.id);
        return false;
      }
      if (!thread.resume(this.step(cpu))) return false;
    } while (clock.nowNs <= queue.nextTime);
    return true;
  }

  /** Whether a CPU, which runs, may perform its pending operation at once. */
  mayStep(cpu: TimedCpu): boolean {
    if (unseen[cpu.op]) return true;
    return this.clock.inTurn && !isRequest(cpu.op) && this.machine.isEnabled(cpu);
  }

  /** Performs the pending operation of the CPU that runs, and moves its clock. @returns its result */
  step(cpu: TimedCpu): unknown {
    const done = this.finishTime(cpu, this.clock.nowNs);
    const value = this.perform(cpu);
    if (releases[cpu.op]) this.waiting.release(cpu.x, done);
    this.clock.set(cpu.id, done, this.queue.nextTime);
    return value;
  }

  /** The same for a thread that is alone. */
  stepAlone(cpu: TimedCpu): unknown {
    if (!this.machine.isEnabled(cpu)) throw waitsForEver([cpu.id]);
    if (isRequest(cpu.op)) this.clock.set(cpu.id, this.servedTime(cpu), Infinity);
    const done = this.finishTime(cpu, this.clock.nowNs);
    const value = this.perform(cpu);
    this.clock.set(cpu.id, done, Infinity);
    return value;
  }

  /** Lets a CPU that waits try again; whoever comes first gets what it waits for. */
  private goOnAt(cpu: SteppedCpu, atNs: number): void {
    this.queue.push(atNs, cpu.id);
    this.lines.watch?.woken(cpu.id, atNs);
    if (sleeps[cpu.op]) this.asleepNs[cpu.id] += atNs - this.waitsFromNs[cpu.id];
  }

  /** Performs the pending operation of a CPU. @returns its result */
  private perform(cpu: SteppedCpu): unknown {
    switch (cpu.op) {
      case CODE.zeroPage:
      case CODE.zeroPageOnce:
        if (this.vm.DEBUG_PAGEALLOC) break;
        this.zeroing.zero(cpu.x);
        return undefined;
      case CODE.copyPage:
      case CODE.copyPageOnce:
      case CODE.readDevice:
        this.zeroing.fill(cpu.x);
    }
    return this.machine.perform(cpu);
  }

  /** When the pending operation of a CPU, started now, is done. */
  private finishTime(cpu: SteppedCpu, now: number): number {
    const { costs, lines } = this;
    switch (cpu.op) {
      case CODE.load:
      case CODE.readOnce:
      case CODE.loadWide:
      case CODE.readOnceWide:
      case CODE.sleepOn:
        return lines.read(cpu.x, cpu.id, now);
      case CODE.store:
      case CODE.writeOnce:
      case CODE.storeWide:
      case CODE.writeOnceWide:
        return lines.write(cpu.x, cpu.id, now, false);
      case CODE.spinLock:
      case CODE.lockBit: {
        const spinners = this.waiting.on(cpu.x);
        return lines.write(cpu.x, cpu.id, now, true, spinners * costs.spinnerNs);
      }
      case CODE.zeroPage:
      case CODE.zeroPageOnce:
        return this.pageDone(cpu, costs.zeroPageNs, now);
      case CODE.copyPage:
      case CODE.copyPageOnce:
        return this.pageDone(cpu, costs.copyPageNs, now);
      case CODE.readDevice:
      case CODE.writeDevice:
      case CODE.truncateDevice:
        return now;
      case CODE.note:
        this.notes.push({ point: cpu.x, ns: now });
        return now;
      case CODE.invalidate:
        return now + (cpu.x === cpu.id ? costs.hitNs : costs.ipiNs);
      case CODE.interrupts:
        return now;
      case CODE.spend:
        return now + this.workNs[cpu.x as Work];
      case CODE.spendNs:
        return now + cpu.x;
      case CODE.spendOn:
        return now + this.frameWorkNs(cpu);
      default:
        return lines.write(cpu.x, cpu.id, now, true);
    }
  }

  /** When the device, asked now, has served a CPU's request: at the place that is free first. The CPU sleeps. */
  private servedTime({ id }: SteppedCpu): number {
    const { deviceFreeNs, costs } = this;
    const now = this.clock.nowNs;
    const free = Math.min(...deviceFreeNs);
    const done = Math.max(now, free) + costs.deviceNs;
    deviceFreeNs[deviceFreeNs.indexOf(free)] = done;
    this.asleepNs[id] += done - now;
    return done;
  }

  /** When a CPU that goes over a whole page from now on is done. */
  private pageDone(cpu: SteppedCpu, ns: number, now: number): number {
    const remote = this.isRemote(cpu, cpu.x);
    const alone = remote ? ns * this.costs.remotePage : ns;
    return this.buses.use(cpu.id, cpu.node, now, alone, remote);
  }

  /** What the work on a frame takes that a CPU says it does. */
  private frameWorkNs(cpu: SteppedCpu): number {
    const { costs, vm } = this;
    const distance = hops(this.model, cpu.node, vm.pfnNode(vm.wordPfn(cpu.y)));
    if ((cpu.x as FrameWork) === FrameWork.UNMAP) {
      return distance === 0 ? costs.unmapPageNs : costs.unmapRemoteNs;
    }
    if (distance === 0) return costs.memoryNs;
    return costs.memoryRemoteNs + (distance - 1) * costs.hopNs;
  }

  private isRemote(cpu: SteppedCpu, word: Word): boolean {
    return this.vm.pfnNode(this.vm.wordPfn(word)) !== cpu.node;
  }
}

/**
 * The words that lie together on a line of their own, for each group of names and each record.
 *
 * @throws InputError when there is no word of a name
 */
function ownLines(vm: SteppedVm, groups: SimulatedMachine['lines'] = []): Word[][] {
  return groups.flatMap((names) => {
    const words = names.map((name) => {
      const found = vm.wordsNamed(name);
      if (found.length > 0) return found;
      throw new InputError(
        'MACHINE_LINES',
        `lines: no word is called "${name}", expected names such as mm.mmapSem or page.refcount`,
      );
    });
    const most = Math.max(...words.map(({ length }) => length));
    return Array.from({ length: most }, (_, record) =>
      words.flatMap((found) => (record < found.length ? [found[record]] : [])),
    );
  });
}

/** A function that makes something when it is first asked for it. */
function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

type Run = (cpu: TimedCpu, ...args: readonly number[]) => number;

function byCode(codes: ReadonlySet<number>): readonly boolean[] {
  return OPERATION_NAMES.map((name) => codes.has(CODE[name]));
}

function waitsForEver(cpus: readonly number[]): InvariantError {
  return new InvariantError(`simulate: CPUs ${cpus.join(', ')} wait for ever`);
}
