/**
 * One execution of a few programs, a chosen CPU at a time: what the searches are made of. It can be
 * started over from the same state any number of times.
 */
import { InvariantError } from '../../base/errors.js';
import { OPERATION_CODE as CODE, OPERATIONS, OPERATION_NAMES } from '../../hardware/operations.js';
import type { EndCheck } from '../../workloads/endChecks.js';
import type { Thread } from '../engine.js';
import {
  SteppedThread,
  isRequest,
  isSilent,
  type MachineState,
  type SteppedCpu,
  type SteppedMachine,
} from '../stepping.js';

const blockingCodes = new Set(
  OPERATION_NAMES.filter((name) => OPERATIONS[name].blocks === true).map((name) => CODE[name]),
);

/** Functions that a deadlock is reported with, of each thread: the innermost. */
const WAITING_CALLERS = 3;

/** Whether an operation waits until it can go. */
function isBlocking(op: number): boolean {
  return blockingCodes.has(op);
}

/**
 * Whether an operation takes something that others wait for. Such operations race with each other, and not
 * with what gives it back: a lock cannot go before the release that it waited for. A CPU that goes on past
 * a point where it answers interrupts takes that point from whoever would interrupt it there.
 */
export function acquires(op: number): boolean {
  return isBlocking(op) || op === CODE.interrupts;
}

export class Execution {
  /** By place in `threads`, not by CPU number. */
  readonly running: readonly SteppedThread[];
  readonly ended: boolean[];
  /** What went wrong, once something has. */
  failure: string | undefined;
  private readonly byCpu = new Map<number, number>();
  private readonly daemons: readonly number[];
  private readonly initial: MachineState;
  /** Threads that have not ended, daemons apart. */
  private left = 0;
  private daemonsAreTold = false;

  constructor(
    readonly machine: SteppedMachine,
    private readonly threads: readonly Thread[],
    private readonly check: EndCheck = machine.vm.audit,
  ) {
    this.initial = machine.save();
    this.running = threads.map(({ cpu }) => new SteppedThread(machine.cpus[cpu]));
    this.ended = threads.map(() => false);
    threads.forEach(({ cpu }, index) => this.byCpu.set(cpu, index));
    this.daemons = [...threads.keys()].filter((index) => threads[index].daemon === true);
  }

  /** Goes back to the beginning. */
  restart(): void {
    const { machine } = this;
    machine.restore(this.initial);
    this.failure = undefined;
    this.left = this.threads.length - this.daemons.length;
    this.daemonsAreTold = false;
    this.threads.forEach(({ program, args }, index) => {
      const thread = this.running[index];
      this.advance(index, () => thread.start(machine.vm.PROGRAMS[program], args));
    });
    this.stopIdleDaemons();
  }

  cpuOf(index: number): SteppedCpu {
    return this.running[index].cpu;
  }

  /** Whether a thread's pending operation can go. */
  isEnabled(index: number): boolean {
    if (this.ended[index]) return false;
    const cpu = this.cpuOf(index);
    if (cpu.op === CODE.invalidate) return cpu.x === cpu.id || this.answersInterrupts(cpu.x);
    return this.machine.isEnabled(cpu);
  }

  /** Whether a thread waits for the device. */
  isRequesting(index: number): boolean {
    return !this.ended[index] && isRequest(this.cpuOf(index).op);
  }

  /** A CPU answers in user mode between two instructions, and wherever it waits. */
  private answersInterrupts(cpuId: number): boolean {
    const index = this.byCpu.get(cpuId);
    if (index === undefined || this.ended[index]) return true;
    const { op } = this.cpuOf(index);
    if (op === CODE.interrupts || isRequest(op)) return true;
    return isBlocking(op) && !this.isEnabledButForInterrupts(index);
  }

  private isEnabledButForInterrupts(index: number): boolean {
    const cpu = this.cpuOf(index);
    return cpu.op !== CODE.invalidate && this.machine.isEnabled(cpu);
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
    const thread = this.running[index];
    this.advance(index, () => thread.resume(this.machine.perform(thread.cpu)));
    this.stopIdleDaemons();
  }

  /**
   * Tells the daemons to return when all others have ended and no daemon can go: a state that every order
   * of independent steps leads to, so that a search need not try others for it.
   */
  private stopIdleDaemons(): void {
    if (this.left > 0 || this.daemons.length === 0 || this.daemonsAreTold) return;
    if (this.enabledMask() !== 0) return;
    this.daemonsAreTold = true;
    for (const index of this.daemons) this.machine.stopDaemon(this.threads[index].cpu);
  }

  /** Runs on past operations that no other CPU can see. A broken invariant ends the execution. */
  private advance(index: number, go: () => boolean): void {
    const thread = this.running[index];
    try {
      let pending = go();
      while (pending && isSilent(thread.cpu.op))
        pending = thread.resume(this.machine.perform(thread.cpu));
      this.ended[index] = !pending;
    } catch (error) {
      if (!(error instanceof InvariantError)) throw error;
      this.failure = error.message;
      this.ended[index] = true;
    }
    if (this.ended[index] && this.threads[index].daemon === undefined) this.left--;
  }

  /** @returns what is wrong when no thread can go: a deadlock, or what the audit finds */
  endFailures(): string[] {
    if (this.failure !== undefined) return [this.failure];
    const waiting = this.running.filter((_, index) => !this.ended[index]);
    if (waiting.length > 0) {
      return waiting.map((thread) => {
        const { cpu } = thread;
        const where = thread.callers().slice(-WAITING_CALLERS).join(' > ');
        const word = this.machine.vm.nameOf(cpu.x);
        const value = this.machine.memory.words[cpu.x];
        return `deadlock: cpu ${cpu.id} waits in ${OPERATION_NAMES[cpu.op]} of ${word} (${value}), ${where}`;
      });
    }
    const { memory, cpus } = this.machine;
    return this.check(memory, cpus);
  }
}
