/**
 * One execution of a few programs, a chosen thread at a time: what the searches are made of. It can be taken back to
 * any step, and go on another way from there.
 *
 * Memory goes back by what the trail has noted. The programs cannot go back, so they start anew and are handed the
 * results that their operations had: no operation is done twice.
 */
import { InvariantError } from '../../base/errors.js';
import { OPERATION_CODE as CODE } from '../../hardware/operations.js';
import type { Tlb } from '../../hardware/tlb.js';
import type { EndCheck } from '../../workloads/endChecks.js';
import type { Thread } from '../engine.js';
import {
  SteppedCpu,
  SteppedThread,
  isRequest,
  isSilent,
  operationName,
  type DeviceState,
  type SteppedMachine,
} from '../stepping.js';
import type { FailureKind } from './search.js';
import { Places, isBlocking } from './touches.js';
import { Trail, enlarged } from './trail.js';

/** Functions that a deadlock is reported with, of each thread: the innermost. */
const WAITING_CALLERS = 3;

/** How many words an operation may change: none, its first, that and the next, or a page of them. */
const enum Changes {
  NONE,
  ONE,
  TWO,
  PAGE,
}

const changes: readonly Changes[] = Array.from({ length: 64 }, (_, op) => changesOf(op));

function changesOf(op: number): Changes {
  switch (op) {
    case CODE.load:
    case CODE.readOnce:
    case CODE.loadWide:
    case CODE.readOnceWide:
    case CODE.sleepOn:
    case CODE.writeDevice:
    case CODE.truncateDevice:
    case CODE.invalidate:
    case CODE.interrupts:
    case CODE.spend:
    case CODE.spendOn:
    case CODE.spendNs:
    case CODE.note:
      return Changes.NONE;
    case CODE.storeWide:
    case CODE.writeOnceWide:
    case CODE.downWrite:
    case CODE.tryDownWrite:
    case CODE.upWrite:
      return Changes.TWO;
    case CODE.zeroPage:
    case CODE.zeroPageOnce:
    case CODE.copyPage:
    case CODE.copyPageOnce:
    case CODE.readDevice:
      return Changes.PAGE;
    default:
      return Changes.ONE;
  }
}

/** What the device held before a step that changed it. */
interface DeviceMark extends DeviceState {
  readonly step: number;
}

export interface ExecutionOptions {
  /** What must hold when all threads have ended; the audit unless told otherwise. */
  readonly check?: EndCheck;
  /** Whether it will be taken back: if not, it keeps nothing and may go on for ever. */
  readonly goesBack?: boolean;
  /** Whether to touch a frame that nobody has is a failure; not where programs take their memory from nowhere. */
  readonly checksFrames?: boolean;
}

/** No thread has a CPU. */
const NOBODY = -1;

/** The result of a step by which a task found that it must wait. */
const WAITS = Symbol('waits');

export class Execution {
  /** By place in `threads`, not by CPU number. */
  readonly running: readonly SteppedThread[];
  readonly ended: boolean[];
  /** Steps so far. */
  depth = 0;
  /** The thread that took each step; `depth` of them count. */
  schedule = new Int32Array(4096);
  /** What went wrong, once something has. */
  failure: string | undefined;
  /** What kind of failure that is. */
  failureKind: FailureKind = 'invariant';
  readonly check: EndCheck;
  readonly checksFrames: boolean;
  /** Threads of each CPU, by place. */
  private readonly threadsOf: readonly (readonly number[])[];
  /** Of each thread: whether its CPU has others too. */
  private readonly shares: readonly boolean[];
  /** The thread that each CPU runs, or ran last; the only one that it has. */
  private readonly onCpu: number[];
  /** Of each thread that shares a CPU: whether it has left it since it has to wait, and not been picked again. */
  private readonly asleep: boolean[];
  private readonly daemons: readonly number[];
  /** Threads that have not ended, daemons apart. */
  private left = 0;
  /** Steps after which the daemons were told to return. */
  private daemonsToldAt = Infinity;
  private readonly trail: Trail | undefined;
  private readonly results: unknown[] = [];
  private readonly deviceMarks: DeviceMark[] = [];
  private readonly words: Int32Array;
  /** Final states that the check has found nothing wrong with, by their hash. */
  private readonly goodStates = new Set<number>();

  constructor(
    readonly machine: SteppedMachine,
    readonly threads: readonly Thread[],
    { check = machine.vm.audit, goesBack = true, checksFrames = false }: ExecutionOptions = {},
  ) {
    this.checksFrames = checksFrames;
    const { vm, memory } = machine;
    this.check = check;
    this.words = memory.words;
    this.trail = goesBack ? new Trail(memory.words, vm.PAGE_WORDS) : undefined;
    const of: number[][] = machine.cpus.map(() => []);
    this.running = threads.map(({ cpu }, index) => {
      of[cpu].push(index);
      const first = machine.cpus[cpu];
      return new SteppedThread(of[cpu].length === 1 ? first : new SteppedCpu(vm, cpu, first.tlb));
    });
    this.threadsOf = of;
    this.shares = threads.map(({ cpu }) => of[cpu].length > 1);
    this.onCpu = of.map(() => NOBODY);
    this.ended = threads.map(() => false);
    this.asleep = threads.map(() => false);
    this.daemons = [...threads.keys()].filter((index) => threads[index].daemon === true);
    this.start();
    this.stopIdleDaemons();
  }

  /** Final states seen that nothing is wrong with, by their hash. */
  get finalStates(): ReadonlySet<number> {
    return this.goodStates;
  }

  /** The thread that took the last step; -1 before the first. */
  get last(): number {
    return this.depth === 0 ? NOBODY : this.schedule[this.depth - 1];
  }

  /** The threads that took the first steps, in order: of all steps so far, or of so many. */
  path(steps = this.depth): number[] {
    return [...this.schedule.subarray(0, steps)];
  }

  /** @param commute - whether additions whose results are unused commute */
  places(commute = true): Places {
    const manyThreads = this.threads.length > 2;
    return new Places(this.machine, { commute, manyThreads, frames: this.checksFrames });
  }

  cpuOf(index: number): SteppedCpu {
    return this.running[index].cpu;
  }

  /** Whether a thread's CPU has others too. */
  sharesCpu(index: number): boolean {
    return this.shares[index];
  }

  /** Goes back to the beginning. */
  restart(): void {
    this.goBack(0);
  }

  /** Goes back to the state before a step. */
  goBack(step: number): void {
    const { trail, schedule, results, machine, deviceMarks, running, shares } = this;
    if (trail === undefined) throw new InvariantError('explore: this execution cannot go back');
    if (step < this.depth) trail.rollBack(step);
    while (deviceMarks.length > 0 && deviceMarks.at(-1)!.step >= step) {
      machine.restoreDevice(deviceMarks.pop()!);
    }
    this.depth = step;
    for (const cpu of machine.cpus) cpu.tlb.drop(-1);
    this.start();
    for (let at = 0; at < step; at++) {
      const index = schedule[at];
      const { cpu } = running[index];
      if (shares[index]) {
        const waits = results[at] === WAITS;
        this.takeCpu(index, waits, false);
        if (waits) continue;
      }
      if (cpu.op === CODE.invalidate) machine.flush(cpu.x, cpu.y, results[at] as number);
      this.resume(index, results[at]);
    }
    if (step < this.daemonsToldAt) this.daemonsToldAt = Infinity;
    this.stopIdleDaemons();
  }

  /** Starts all programs: each goes up to its first operation. */
  private start(): void {
    const { machine, threads, running, ended } = this;
    this.failure = undefined;
    this.left = threads.length - this.daemons.length;
    this.onCpu.fill(NOBODY);
    this.asleep.fill(false);
    for (let index = 0; index < threads.length; index++) {
      const { program, args } = threads[index];
      const { cpu } = running[index];
      if (!this.shares[index]) this.onCpu[cpu.id] = index;
      cpu.mm = 0;
      cpu.current = 0;
      cpu.pgd = 0;
      ended[index] = !running[index].start(machine.vm.PROGRAMS[program], args);
      this.skipSilent(index);
      if (ended[index] && threads[index].daemon === undefined) this.left--;
    }
  }

  /** Whether a thread's pending operation can go. */
  isEnabled(index: number): boolean {
    if (this.ended[index]) return false;
    if (!this.shares[index]) return this.canGo(index);
    return this.mayHaveCpu(index) && (this.attempts(index) || this.canGo(index));
  }

  /**
   * Whether a thread's next step is to see if it must wait: to go to sleep if so, or to spin on the CPU that it takes
   * by this. Only a task that shares its CPU takes such a step. That it leaves the CPU is then something that it does
   * itself, at a time of its own, and whatever comes to be free afterwards does not give it the CPU back. Were the CPU
   * free for others just as long as the task cannot go, then who gives back what it waits for would take the CPU from
   * them, which none of the words that the two touch tells.
   */
  attempts(index: number): boolean {
    if (!this.shares[index] || this.asleep[index]) return false;
    const { cpu } = this.running[index];
    return this.machine.sleepsAt(cpu) || (isBlocking(cpu.op) && this.onCpu[cpu.id] !== index);
  }

  /** Whether that is all that its next step does. */
  mustWait(index: number): boolean {
    return this.attempts(index) && !this.canGo(index);
  }

  private canGo(index: number): boolean {
    const { cpu } = this.running[index];
    if (cpu.op === CODE.invalidate) return cpu.x === cpu.id || this.answersInterrupts(cpu.x);
    return this.machine.isEnabled(cpu);
  }

  /** Whether a thread waits for the device. */
  isRequesting(index: number): boolean {
    return !this.ended[index] && isRequest(this.cpuOf(index).op);
  }

  /** A CPU answers in user mode between two instructions, and wherever it waits. */
  private answersInterrupts(cpuId: number): boolean {
    const index = this.onCpu[cpuId];
    // One of several tasks must have begun: until then the CPU is as if in the kernel.
    if (index === NOBODY) return this.threadsOf[cpuId].length === 0;
    if (this.ended[index]) return true;
    const { cpu } = this.running[index];
    if (cpu.op === CODE.interrupts || isRequest(cpu.op) || this.asleep[index]) return true;
    if (this.attempts(index)) return false;
    return isBlocking(cpu.op) && (cpu.op === CODE.invalidate || !this.machine.isEnabled(cpu));
  }

  /**
   * Whether a thread has its CPU or can have it: another one leaves it where it sleeps, and in user mode. The kernel
   * itself is not preempted by its own CPU's tasks.
   */
  private mayHaveCpu(index: number): boolean {
    const { id } = this.cpuOf(index);
    const holder = this.onCpu[id];
    return holder === index || holder === NOBODY || this.leavesCpu(holder);
  }

  /** Whether a thread is at a point where another may take its CPU. */
  leavesCpu(index: number): boolean {
    if (this.ended[index] || this.asleep[index]) return true;
    const { op } = this.cpuOf(index);
    return op === CODE.interrupts || isRequest(op);
  }

  /** Whether a thread's step makes its CPU its own, rather than that it goes on having it. */
  takesCpu(index: number): boolean {
    const holder = this.onCpu[this.cpuOf(index).id];
    return holder !== index || this.leavesCpu(index);
  }

  /** Whether a thread's step makes its CPU go over to another address space. */
  changesMm(index: number): boolean {
    const { id, mm } = this.cpuOf(index);
    const holder = this.onCpu[id];
    return holder !== index && holder !== NOBODY && this.cpuOf(holder).mm !== mm;
  }

  /**
   * A thread that shares its CPU takes a step, and so the CPU: with the CPU's address space, and nothing of the last
   * one's left in the TLB.
   *
   * @param waits - whether all that it finds is that it must wait
   * @param first - whether the words do not tell of it yet
   */
  private takeCpu(index: number, waits: boolean, first: boolean): void {
    const { cpu } = this.running[index];
    const changesMm = this.changesMm(index);
    this.asleep[index] = waits && this.machine.sleepsAt(cpu);
    this.onCpu[cpu.id] = index;
    if (!changesMm) return;
    cpu.tlb.drop(-1);
    const { cpuLine, CpuLine } = this.machine.vm;
    if (first) this.set(cpuLine(cpu.id) + CpuLine.activeMm, cpu.mm);
  }

  /** Bits of the threads that can go. */
  enabledMask(): number {
    let mask = 0;
    for (let index = 0; index < this.running.length; index++) {
      if (this.isEnabled(index)) mask |= 1 << index;
    }
    return mask;
  }

  /** Performs a thread's pending operation and runs it up to its next. */
  step(index: number): void {
    const { trail, running } = this;
    const { cpu } = running[index];
    trail?.mark(this.depth);
    const waits = this.mustWait(index);
    if (this.shares[index]) this.takeCpu(index, waits, true);
    let result: unknown = WAITS;
    try {
      if (this.checksFrames) this.machine.checkFrames(cpu);
      if (!waits) {
        result = trail === undefined ? this.machine.perform(cpu) : this.perform(cpu, trail);
      }
    } catch (error) {
      this.fail(index, error);
    }
    if (trail !== undefined) {
      if (this.depth === this.schedule.length) this.schedule = enlarged(this.schedule);
      this.schedule[this.depth] = index;
      this.results[this.depth] = result;
    }
    this.depth++;
    if (this.failure === undefined && !waits) this.resume(index, result);
    if (this.left === 0) this.stopIdleDaemons();
  }

  /** Performs an operation, and notes what it changes. */
  private perform(cpu: SteppedCpu, trail: Trail): unknown {
    const { machine, words } = this;
    const { op, x } = cpu;
    switch (changes[op]) {
      case Changes.NONE:
        if (op === CODE.writeDevice || op === CODE.truncateDevice) this.markDevice();
        return machine.perform(cpu);
      case Changes.ONE: {
        const old = words[x];
        const result = machine.perform(cpu);
        if (words[x] !== old) trail.note(x, old);
        return result;
      }
      case Changes.TWO: {
        const old = words[x];
        const next = words[x + 1];
        const result = machine.perform(cpu);
        if (words[x] !== old) trail.note(x, old);
        if (words[x + 1] !== next) trail.note(x + 1, next);
        return result;
      }
      case Changes.PAGE:
        if (op === CODE.readDevice) this.markDevice();
        return trail.notePage(x, () => machine.perform(cpu));
    }
  }

  private markDevice(): void {
    this.deviceMarks.push({ step: this.depth, ...this.machine.saveDevice() });
  }

  private set(word: number, value: number): void {
    const old = this.words[word];
    this.words[word] = value;
    if (value !== old) this.trail?.note(word, old);
  }

  private resume(index: number, result: unknown): void {
    try {
      this.ended[index] = !this.running[index].resume(result);
    } catch (error) {
      this.fail(index, error);
      return;
    }
    this.skipSilent(index);
    if (this.ended[index] && this.threads[index].daemon === undefined) this.left--;
  }

  /** Runs on past operations that no other CPU can see. */
  private skipSilent(index: number): void {
    const thread = this.running[index];
    if (this.ended[index] || !isSilent(thread.cpu.op)) return;
    try {
      while (!this.ended[index] && isSilent(thread.cpu.op)) {
        this.ended[index] = !thread.resume(undefined);
      }
    } catch (error) {
      this.fail(index, error);
    }
  }

  /** A broken invariant ends the execution. */
  private fail(index: number, error: unknown): void {
    if (!(error instanceof InvariantError)) throw error;
    this.failure = error.message;
    this.failureKind = error.kind;
    this.ended[index] = true;
  }

  /**
   * Tells the daemons to return when all others have ended and no daemon can go: a state that every order
   * of independent steps leads to, so that a search need not try others for it.
   */
  private stopIdleDaemons(): void {
    if (this.left > 0 || this.daemons.length === 0 || this.depth >= this.daemonsToldAt) return;
    if (this.enabledMask() !== 0) return;
    this.daemonsToldAt = this.depth;
    const { machine, words } = this;
    for (const index of this.daemons) {
      const { stop, wakeup } = machine.daemonWords(this.threads[index].cpu);
      this.set(stop, 1);
      this.set(wakeup, words[wakeup] + 1);
    }
  }

  /** @returns what is wrong when no thread can go: a deadlock, or what the check finds */
  endFailures(): string[] {
    if (this.failure !== undefined) return [this.failure];
    if (this.ended.includes(false)) {
      this.failureKind = 'deadlock';
      return this.deadlock();
    }
    this.failureKind = 'audit';
    const { machine, trail } = this;
    const cpus = machine.cpus.map(({ id, tlb }) => {
      const index = this.onCpu[id];
      return { tlb, mm: index === NOBODY ? 0 : this.cpuOf(index).mm };
    });
    if (trail === undefined) return this.check(machine.memory, cpus);
    let state = trail.hash;
    for (const { tlb, mm } of cpus) if (mm !== 0) state = mixed(state, hashOfTlb(tlb));
    for (const { result } of this.running) state = mixed(state, result >>> 0);
    if (this.goodStates.has(state)) return [];
    const failures = this.check(machine.memory, cpus);
    if (failures.length === 0) this.goodStates.add(state);
    return failures;
  }

  private deadlock(): string[] {
    const waiting = [...this.running.keys()].filter((index) => !this.ended[index]);
    return waiting.map((index) => {
      const thread = this.running[index];
      const { cpu } = thread;
      const where = thread.callers().slice(-WAITING_CALLERS).join(' > ');
      // It could go, and the CPU's other task spins, so that it does not leave the CPU.
      if (this.canGo(index)) return `deadlock: a task waits for cpu ${cpu.id}, ${where}`;
      return `deadlock: cpu ${cpu.id} waits in ${operationName(cpu)} of ${this.awaited(cpu)}, ${where}`;
    });
  }

  /** What a CPU waits for, in words. */
  private awaited({ op, x }: SteppedCpu): string {
    if (op === CODE.invalidate) return `cpu ${x}`;
    return `${this.machine.vm.nameOf(x)} (${this.words[x]})`;
  }
}

/** A state's hash with another number in it, below 2^53. */
function mixed(state: number, number: number): number {
  const low = Math.imul((state % 2 ** 32) ^ number, 0x9e3779b1) >>> 0;
  const high = (Math.floor(state / 2 ** 32) * 31 + (number >>> 11)) % 2 ** 21;
  return high * 2 ** 32 + low;
}

/** Below 2^32. */
function hashOfTlb({ tags, entries, walkTags, walkTables }: Tlb): number {
  return hashOfSlots(hashOfSlots(0, tags, entries), walkTags, walkTables) >>> 0;
}

function hashOfSlots(from: number, tags: Int32Array, entries: Int32Array): number {
  let hash = from;
  for (let slot = 0; slot < tags.length; slot++) {
    if (tags[slot] === 0) continue;
    hash = Math.imul(hash ^ slot, 0x85ebca6b) ^ Math.imul(tags[slot] ^ entries[slot], 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}
