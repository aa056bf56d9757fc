/**
 * The simulate engine: discrete events over N CPUs and NUMA nodes. Every operation of the stepped
 * VM takes its effect at a simulated time, and costs what the cache line it touches costs to get.
 *
 * Deterministic: the same threads give the same times, to the bit.
 */
import { InvariantError } from '../../base/errors.js';
import type { Word } from '../../base/units.js';
import type { Memory } from '../../hardware/memory.js';
import { Work } from '../../hardware/cpu.js';
import { OPERATION_CODE as CODE, codesWhere } from '../../hardware/operations.js';
import type { VmConfig } from '../configuration.js';
import type { DeviceRequests } from '../deviceRequests.js';
import type { Engine, Thread } from '../engine.js';
import type { SteppedVm } from '../instance.js';
import { SteppedMachine, SteppedThread, isRequest, type SteppedCpu } from '../stepping.js';
import { CacheLines } from './cacheLines.js';
import type { MachineCosts } from './costs.js';
import { EventQueue } from './eventQueue.js';
import { LineWatch } from './lineWatch.js';
import type { SimulatedMachine } from './machine.js';
import { MemoryBuses } from './memoryBuses.js';

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
const releases = codesWhere(({ lock }) => lock === 'gives');

/** Of those who wait for the same, one can go at a time. */
const alone = new Set<number>([CODE.spinLock, CODE.downWrite]);

/** Operations that sleep until they can go. */
const sleeps = new Set<number>([CODE.downRead, CODE.downWrite, CODE.sleepOn]);

export class SimulateEngine implements Engine {
  /** Simulated time at which the threads of the last run, daemons apart, had ended. */
  nowNs = 0;
  /** Of each thread of the last run. */
  spans: SimulatedSpan[] = [];
  /** What its programs noted, in order of time. */
  notes: SimulatedNote[] = [];
  readonly lines: CacheLines;
  private readonly lineWords: number;
  private readonly costs: MachineCosts;
  private readonly buses: MemoryBuses;
  /** CPUs that wait for a word: a lock or a semaphore. */
  private readonly waiters = new Map<Word, number[]>();
  /** Since when a CPU sleeps, and for how long each has slept in this run. */
  private readonly asleepFrom = new Map<number, number>();
  private readonly asleepNs: Float64Array;
  /** When each place of the device is free again, in simulated nanoseconds. */
  private readonly deviceFreeNs: number[];
  private readonly workNs: Readonly<Record<Work, number>>;

  private constructor(
    readonly vm: SteppedVm,
    private readonly machine: SteppedMachine,
    { costs, ...topology }: SimulatedMachine,
  ) {
    this.costs = costs;
    this.lineWords = topology.lineBytes / 4;
    this.lines = new CacheLines(vm.TOTAL_WORDS, vm.CPUS, vm.cpuNode, { costs, ...topology });
    this.buses = new MemoryBuses(vm.CPUS, vm.cpuNode, costs.pageBusNs);
    this.asleepNs = new Float64Array(vm.CPUS);
    this.deviceFreeNs = new Array<number>(costs.deviceRequests).fill(0);
    this.workNs = {
      [Work.TRAP_ENTER]: costs.trapEnterNs,
      [Work.TRAP_EXIT]: costs.trapExitNs,
      [Work.SYSCALL]: costs.syscallNs,
      [Work.USER]: costs.userNs,
    };
  }

  get memory(): Memory {
    return this.machine.memory;
  }

  get requests(): DeviceRequests {
    return this.machine.requests;
  }

  static async create(config: VmConfig, model: SimulatedMachine): Promise<SimulateEngine> {
    const machine = await SteppedMachine.create(config);
    const engine = new SimulateEngine(machine.vm, machine, model);
    await engine.run([{ cpu: 0, program: 'boot', args: [] }]);
    return engine;
  }

  /** Accounts from now on for what CPUs wait for. */
  watchLines(): LineWatch {
    return (this.lines.watch = new LineWatch(this.machine.cpus, this.lineWords));
  }

  run(threads: readonly Thread[]): Promise<number[]> {
    const { machine } = this;
    const startNs = this.nowNs;
    this.notes = [];
    const running: (SteppedThread | undefined)[] = [];
    const ends = new Map<number, number>();
    this.asleepNs.fill(0);
    const queue = new EventQueue();
    /** CPUs that wait for the device. */
    const requested = new Set<number>();
    const daemons = threads.filter(({ daemon }) => daemon === true).map(({ cpu }) => cpu);
    let left = threads.length - daemons.length;
    const end = (cpu: number, time: number): void => {
      ends.set(cpu, time);
      if (daemons.includes(cpu)) return;
      this.nowNs = Math.max(this.nowNs, time);
      if (--left === 0) stopDaemons();
    };
    const stopDaemons = (): void => {
      for (const daemon of daemons) this.wake(machine.stopDaemon(daemon), this.nowNs, queue);
    };
    for (const { cpu, program, args, delayNs = 0 } of threads) {
      const thread = new SteppedThread(machine.cpus[cpu]);
      running[cpu] = thread;
      const begins = startNs + delayNs;
      if (thread.start(machine.vm.PROGRAMS[program], args)) queue.push(begins, cpu);
      else end(cpu, begins);
    }
    if (left === 0) stopDaemons();
    while (queue.size > 0) {
      let now = queue.nextTime;
      const id = queue.pop();
      const thread = running[id]!;
      for (;;) {
        const { cpu } = thread;
        if (!machine.isEnabled(cpu)) {
          this.waitersOf(cpu.x).push(id);
          if (sleeps.has(cpu.op)) this.asleepFrom.set(id, now);
          this.lines.watch?.waits(id, now);
          break;
        }
        if (isRequest(cpu.op) && !requested.delete(id)) {
          // It has its effect when the device has served it.
          requested.add(id);
          const served = this.servedTime(now);
          this.asleepNs[id] += served - now;
          queue.push(served, id);
          break;
        }
        const done = this.finishTime(cpu, now);
        const value = machine.perform(cpu);
        if (releases.has(cpu.op)) this.wake(cpu.x, done, queue);
        if (!thread.resume(value)) {
          end(id, done);
          break;
        }
        if (queue.nextTime < done) {
          queue.push(done, id);
          break;
        }
        now = done;
      }
    }
    const stuck = threads.filter(({ cpu }) => !ends.has(cpu));
    if (stuck.length > 0) {
      throw new InvariantError(
        `simulate: CPUs ${stuck.map(({ cpu }) => cpu).join(', ')} wait for ever`,
      );
    }
    machine.idle();
    this.spans = threads.map(({ cpu, delayNs = 0 }) => {
      return { startNs: startNs + delayNs, endNs: ends.get(cpu)!, asleepNs: this.asleepNs[cpu] };
    });
    return Promise.resolve(threads.map(({ cpu }) => running[cpu]!.result));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private waitersOf(word: Word): number[] {
    let waiting = this.waiters.get(word);
    if (waiting === undefined) this.waiters.set(word, (waiting = []));
    return waiting;
  }

  /**
   * A word was let go: lets those try again who can go now, of a lock the one who came first. Who is overtaken before its
   * turn comes waits anew, and who overtook wakes the next.
   */
  private wake(word: Word, time: number, queue: EventQueue): void {
    const waiting = this.waiters.get(word);
    if (waiting === undefined) return;
    let woken = 0;
    for (let place = 0; place < waiting.length;) {
      const id = waiting[place];
      const cpu = this.machine.cpus[id];
      const exclusive = alone.has(cpu.op);
      if ((exclusive && woken > 0) || !this.machine.isEnabled(cpu)) {
        place++;
        continue;
      }
      waiting.splice(place, 1);
      woken++;
      queue.push(time, id);
      this.asleepNs[id] += time - (this.asleepFrom.get(id) ?? time);
      this.asleepFrom.delete(id);
      this.lines.watch?.woken(id, time);
      if (exclusive) return;
    }
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
        const spinners = this.waiters.get(cpu.x)?.length ?? 0;
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
      case CODE.spendOn:
        return now + (this.isRemote(cpu, cpu.y) ? costs.unmapRemoteNs : costs.unmapPageNs);
      default:
        return lines.write(cpu.x, cpu.id, now, true);
    }
  }

  /** When the device, asked now, has served the request: at the place that is free first. */
  private servedTime(now: number): number {
    const { deviceFreeNs, costs } = this;
    const free = Math.min(...deviceFreeNs);
    const done = Math.max(now, free) + costs.deviceNs;
    deviceFreeNs[deviceFreeNs.indexOf(free)] = done;
    return done;
  }

  /** When a CPU that goes over a whole page from now on is done. */
  private pageDone(cpu: SteppedCpu, ns: number, now: number): number {
    const alone = ns * (this.isRemote(cpu, cpu.x) ? this.costs.remotePage : 1);
    return this.buses.use(cpu.id, cpu.node, now, alone);
  }

  private isRemote(cpu: SteppedCpu, word: Word): boolean {
    return this.vm.pfnNode(this.vm.wordPfn(word)) !== cpu.node;
  }
}
