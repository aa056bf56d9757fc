/**
 * Runs the stepped form of the VM an operation at a time. The explore and the simulate engine are
 * built on this.
 *
 * A running function is a generator. It yields either the generator of a function that it calls,
 * which goes on the thread's stack, or nothing, with an operation written into the CPU's record;
 * then it waits for that operation's result. Keeping the stack here instead of in `yield*` saves
 * V8 from resuming through every level of it.
 */
import { InvariantError } from '../base/errors.js';
import type { Pfn, Word } from '../base/units.js';
import { configurationHash, type Memory } from '../hardware/memory.js';
import { OPERATION_CODE as CODE, OPERATION_NAMES, codesWhere } from '../hardware/operations.js';
import type { Tlb } from '../hardware/tlb.js';
import type { Program } from '../workloads/programs.js';
import { MemoryDevice, type Device, type DeviceContents } from './device.js';
import { CountedDevice, DeviceRequests } from './deviceRequests.js';
import type { VmConfig } from './configuration.js';
import { allocatePrivate, loadStepped, type SteppedVm } from './instance.js';

/** As in the parallel engine, so that the word reads the same. */
const WRITER = -(1 << 24);

/** The record that the stepped form writes an operation into. */
export class SteppedCpu {
  /** Code of the pending operation, and its arguments. */
  op = 0;
  x = 0;
  y = 0;
  z = 0;
  current: Word = 0;
  mm: Word = 0;
  pgd: Pfn = 0;
  /** What runs here, or ran last. */
  thread: SteppedThread | undefined;
  readonly node: number;

  /** @param tlb - of the CPU, where another task on it has a record already */
  constructor(
    vm: SteppedVm,
    readonly id: number,
    readonly tlb: Tlb = new vm.Tlb(),
  ) {
    this.node = vm.cpuNode(id);
  }
}

export type Frame = Generator<unknown, unknown, unknown> & { readonly functionName?: string };

/** Of all generators. By name it would be looked up anew in the frames of each function. */
const { next: resumeFrame } = Object.getPrototypeOf(function* () {}.prototype) as {
  readonly next: (this: Frame, value: unknown) => IteratorResult<unknown, unknown>;
};

/** One program on one CPU. */
export class SteppedThread {
  protected readonly stack: Frame[] = [];
  /** What the program returned, once it has ended. */
  result = 0;

  constructor(readonly cpu: SteppedCpu) {}

  /** @returns whether an operation is pending */
  start(program: Program, args: readonly number[]): boolean {
    this.stack.length = 0;
    this.cpu.thread = this;
    // The stepped form takes the CPU's record where the source has the interface that describes it.
    const run = program as unknown as (cpu: SteppedCpu, ...args: readonly number[]) => Frame;
    this.stack.push(run(this.cpu, ...args));
    return this.resume(undefined);
  }

  /**
   * Hands the pending operation's result to the program.
   *
   * @returns whether another operation is pending; false when the program has ended
   */
  resume(value: unknown): boolean {
    const stack = this.stack;
    for (;;) {
      let next: IteratorResult<unknown, unknown>;
      try {
        next = resumeFrame.call(stack[stack.length - 1], value);
      } catch (error) {
        next = this.unwind(error);
      }
      value = next.value;
      if (next.done === true) {
        stack.pop();
        if (stack.length === 0) {
          this.result = value as number;
          return false;
        }
      } else if (value === undefined) {
        return true;
      } else {
        stack.push(value as Frame);
        value = undefined;
      }
    }
  }

  /** The innermost function has thrown: goes on with the one that catches it. */
  private unwind(thrown: unknown): IteratorResult<unknown, unknown> {
    const { stack } = this;
    for (let error = thrown; ;) {
      stack.pop();
      if (stack.length === 0) throw error;
      try {
        return stack[stack.length - 1].throw(error);
      } catch (again) {
        error = again;
      }
    }
  }

  get isRunning(): boolean {
    return this.stack.length > 0;
  }

  /** The functions that are running, outermost first. */
  callers(): string[] {
    return this.stack.map((frame) => frame.functionName ?? '?');
  }
}

/** What the device holds, and the requests to it so far. */
export interface DeviceState {
  readonly contents: DeviceContents;
  readonly requests: Int32Array;
}

/** Everything that can change of a machine whose CPUs are idle. */
export interface MachineState extends DeviceState {
  readonly words: Int32Array;
}
/** Operations whose first argument is no word. */
const wordless = new Set<number>([
  CODE.truncateDevice,
  CODE.invalidate,
  CODE.interrupts,
  CODE.spend,
  CODE.spendOn,
  CODE.spendNs,
]);

/** Operations that leave the words of their first argument as they are. */
const reads = new Set<number>([
  CODE.load,
  CODE.readOnce,
  CODE.loadWide,
  CODE.readOnceWide,
  CODE.sleepOn,
  CODE.writeDevice,
]);

type CreateCpu = (vm: SteppedVm, id: number) => SteppedCpu;

/** A machine whose CPUs are stepped. */
export class SteppedMachine {
  readonly cpus: readonly SteppedCpu[];
  private readonly words: Int32Array;
  private readonly wides: Float64Array;
  private readonly pageWords: number;
  /** What the files and the swap file are kept on. */
  private readonly contents: MemoryDevice;
  private readonly device: Device;
  readonly requests = new DeviceRequests();

  private constructor(
    readonly vm: SteppedVm,
    readonly memory: Memory,
    createCpu: CreateCpu,
  ) {
    this.words = memory.words;
    this.wides = memory.wides;
    this.pageWords = vm.PAGE_WORDS;
    this.contents = new MemoryDevice(vm.PAGE_WORDS);
    this.device = new CountedDevice(this.contents, this.requests);
    this.cpus = Array.from({ length: vm.CPUS }, (_, id) => createCpu(vm, id));
  }

  /** A machine of this configuration, with fresh memory that this thread alone uses. */
  static async create(
    config: VmConfig,
    createCpu: CreateCpu = (vm, id) => new SteppedCpu(vm, id),
  ): Promise<SteppedMachine> {
    const vm = await loadStepped(config);
    const memory = vm.createMemory(vm.TOTAL_WORDS, configurationHash(config), allocatePrivate);
    return new SteppedMachine(vm, memory, createCpu);
  }

  /** The state between two runs, to go back to. */
  save(): MachineState {
    return { words: this.words.slice(), ...this.saveDevice() };
  }

  saveDevice(): DeviceState {
    return { contents: this.contents.save(), requests: this.requests.words.slice() };
  }

  restoreDevice({ contents, requests }: DeviceState): void {
    this.contents.restore(contents);
    this.requests.words.set(requests);
  }

  restore(state: MachineState): void {
    this.words.set(state.words);
    this.restoreDevice(state);
    this.idle();
  }

  /** Whether the pending operation of a CPU can go now, but for `invalidate`. */
  isEnabled(cpu: SteppedCpu): boolean {
    switch (cpu.op) {
      case CODE.spinLock:
        return this.words[cpu.x] === 0;
      case CODE.downRead:
        return this.words[cpu.x] >= 0;
      case CODE.downWrite:
        return this.words[cpu.x] === 0;
      case CODE.lockBit:
        return (this.words[cpu.x] & cpu.y) === 0;
      case CODE.sleepOn:
        return this.words[cpu.x] !== cpu.y;
      default:
        return true;
    }
  }

  /** Whether who waits in a CPU's pending operation sleeps: the bits of ptes that are locks are spun on. */
  sleepsAt(cpu: SteppedCpu): boolean {
    switch (cpu.op) {
      case CODE.downRead:
      case CODE.downWrite:
      case CODE.sleepOn:
        return true;
      case CODE.lockBit:
        return this.vm.wordPfn(cpu.x) < 0;
      default:
        return false;
    }
  }

  /**
   * Performs the pending operation of a CPU, which must be enabled.
   *
   * @returns its result
   */
  perform(cpu: SteppedCpu): unknown {
    const { words } = this;
    const { x, y } = cpu;
    if (this.vm.DEBUG_PAGEALLOC) this.checkMapped(cpu);
    if (this.vm.HIGHPTE) this.checkKmap(cpu);
    switch (cpu.op) {
      case CODE.load:
      case CODE.readOnce:
        return words[x];
      case CODE.store:
      case CODE.writeOnce:
        words[x] = y;
        return undefined;
      case CODE.cas:
        if (words[x] !== y) return false;
        words[x] = cpu.z;
        return true;
      case CODE.xchg: {
        const old = words[x];
        words[x] = y;
        return old;
      }
      case CODE.add:
      case CODE.addUnused: {
        const old = words[x];
        words[x] = old + y;
        return old;
      }
      case CODE.or: {
        const old = words[x];
        words[x] = old | y;
        return old;
      }
      case CODE.and: {
        const old = words[x];
        words[x] = old & y;
        return old;
      }
      case CODE.loadWide:
      case CODE.readOnceWide:
        return this.wides[x / 2];
      case CODE.storeWide:
      case CODE.writeOnceWide:
        this.wides[x / 2] = y;
        return undefined;
      case CODE.spinLock:
        words[x] = cpu.id + 1;
        return undefined;
      case CODE.spinUnlock:
        if (words[x] !== cpu.id + 1) {
          throw new InvariantError(
            `cpu ${cpu.id} unlocks ${this.vm.nameOf(x)} held by ${words[x]}`,
          );
        }
        words[x] = 0;
        return undefined;
      case CODE.downRead:
        words[x] = words[x] + 1;
        return undefined;
      case CODE.upRead:
        words[x] = words[x] - 1;
        return undefined;
      case CODE.downWrite:
        words[x] = WRITER;
        words[x + 1] = cpu.id + 1;
        return undefined;
      case CODE.upWrite:
        words[x] = words[x] - WRITER;
        words[x + 1] = 0;
        return undefined;
      case CODE.zeroPage:
      case CODE.zeroPageOnce:
        words.fill(0, x, x + this.pageWords);
        return undefined;
      case CODE.copyPage:
      case CODE.copyPageOnce:
        words.copyWithin(x, y, y + this.pageWords);
        return undefined;
      case CODE.tryDownRead:
        if (words[x] < 0) return false;
        words[x] = words[x] + 1;
        return true;
      case CODE.tryDownWrite:
        if (words[x] !== 0) return false;
        words[x] = WRITER;
        words[x + 1] = cpu.id + 1;
        return true;
      case CODE.lockBit:
        words[x] = words[x] | y;
        return undefined;
      case CODE.tryLockBit:
        if ((words[x] & y) !== 0) return false;
        words[x] = words[x] | y;
        return true;
      case CODE.unlockBit:
        if ((words[x] & y) === 0) {
          throw new InvariantError(
            `cpu ${cpu.id} unlocks ${this.vm.nameOf(x)}, which is not locked`,
          );
        }
        words[x] = words[x] & ~y;
        return undefined;
      case CODE.sleepOn:
        return undefined;
      case CODE.wakeUp:
        words[x] = words[x] + 1;
        return undefined;
      case CODE.readDevice:
        return this.device.read(words, x, y, cpu.z);
      case CODE.writeDevice:
        return this.device.write(words, x, y, cpu.z);
      case CODE.truncateDevice:
        this.device.truncate(x, y);
        return undefined;
      case CODE.invalidate:
        return this.flush(x, y, this.topOf(x));
      case CODE.interrupts:
      case CODE.spend:
      case CODE.spendOn:
      case CODE.spendNs:
      case CODE.note:
        return undefined;
      default:
        throw new InvariantError(`stepped: operation ${cpu.op} is none`);
    }
  }

  /**
   * Drops translations of a CPU and, where all go, has it look anew where its top-level table is: where tables do not
   * move it finds what it had.
   *
   * @returns `top`, as what `invalidate` results in: who performs it again finds what it did
   */
  flush(cpu: number, address: number, top: Pfn): Pfn {
    const target = this.cpus[cpu];
    target.tlb.drop(address);
    if (address === -1) target.pgd = top;
    return top;
  }

  /** Where the top-level table of what a CPU runs is. */
  private topOf(cpu: number): Pfn {
    const { mm } = this.cpus[cpu];
    return mm === 0 ? 0 : this.words[mm + this.vm.Mm.pgd];
  }

  /** The pending operation must be on memory, not on an address in a slot; and not sleep where that is forbidden. */
  private checkKmap(cpu: SteppedCpu): void {
    const { vm } = this;
    const name = OPERATION_NAMES[cpu.op];
    if (!wordless.has(cpu.op) && cpu.x >= vm.KMAP_BASE) {
      throw new InvariantError(
        `cpu ${cpu.id} ${name}s an address in a kmap slot, which is no word`,
      );
    }
    if (!vm.KMAP_CHECKED || this.words[vm.preemptCount(cpu.id)] === 0) return;
    if (cpu.op === CODE.interrupts || isRequest(cpu.op) || this.sleepsAt(cpu)) {
      throw vm.sleepsWithKmap(cpu.id, `sleeps (${name})`);
    }
  }

  /** The pending operation of a CPU must not touch a free frame. */
  private checkMapped(cpu: SteppedCpu): void {
    if (wordless.has(cpu.op)) return;
    this.checkWord(cpu, cpu.x, reads.has(cpu.op) ? 'reads' : 'writes');
    if (cpu.op === CODE.copyPage || cpu.op === CODE.copyPageOnce)
      this.checkWord(cpu, cpu.y, 'reads');
  }

  /**
   * The pending operation of a CPU must not touch a frame that nobody has; with DEBUG_PAGEALLOC `perform` sees to
   * that. A copy of what may have gone is made on purpose, and free frames may be zeroed beforehand.
   *
   * @throws InvariantError
   */
  checkFrames(cpu: SteppedCpu): void {
    if (wordless.has(cpu.op) || cpu.op === CODE.zeroPage) return;
    this.checkFrame(cpu, cpu.x);
    if (cpu.op === CODE.copyPage) this.checkFrame(cpu, cpu.y);
  }

  private checkFrame(cpu: SteppedCpu, word: Word): void {
    const { vm, words } = this;
    const pfn = vm.wordPfn(word);
    if (pfn < 0) return;
    const page = vm.pageOf(pfn);
    if (words[page + vm.Page.refcount] > 0) return;
    if ((words[page + vm.Page.flags] & vm.PG_tail) !== 0) return;
    const callers = cpu.thread?.callers().reverse() ?? [];
    const where = callers.length === 0 ? '' : `, in ${callers.join(' < ')}`;
    throw new InvariantError(
      `cpu ${cpu.id} ${OPERATION_NAMES[cpu.op]}s ${vm.nameOf(word)}, which is free${where}`,
      { kind: 'use after free' },
    );
  }

  private checkWord(cpu: SteppedCpu, word: Word, verb: string): void {
    const at = this.vm.unmappedWord(word);
    if (at < 0 || this.words[at] >= 0) return;
    const callers = cpu.thread?.callers().reverse() ?? [];
    throw this.vm.oops(cpu.id, verb, word, this.words[at], callers);
  }

  /** The words by which the daemon of a CPU is told to return: one is set, one raised. */
  daemonWords(cpu: number): { readonly stop: Word; readonly wakeup: Word } {
    const { CpuLine, cpuLine } = this.vm;
    const line = cpuLine(cpu);
    return { stop: line + CpuLine.stop, wakeup: line + CpuLine.wakeup };
  }

  /** Tells the daemon of a CPU to return. @returns the word that it may sleep on */
  stopDaemon(cpu: number): Word {
    const { stop, wakeup } = this.daemonWords(cpu);
    this.words[stop] = 1;
    this.words[wakeup] = this.words[wakeup] + 1;
    return wakeup;
  }

  /** Makes CPUs idle, as between two runs. @param ran - those that are not, or all */
  idle(ran: Iterable<SteppedCpu> = this.cpus): void {
    for (const cpu of ran) {
      cpu.current = 0;
      cpu.mm = 0;
      cpu.pgd = 0;
      cpu.tlb.drop(-1);
      const line = this.vm.cpuLine(cpu.id);
      this.words[line + this.vm.CpuLine.activeMm] = 0;
      this.words[line + this.vm.CpuLine.stop] = 0;
    }
  }
}

/** Name of a pending operation. */
export function operationName(cpu: SteppedCpu): string {
  return OPERATION_NAMES[cpu.op];
}

const silentCodes = codesWhere(({ silent }) => silent === true);
/** By operation: asked at every step. */
const silent = Array.from({ length: 64 }, (_, op) => silentCodes.has(op));

/** Whether no other CPU can see an operation. */
export function isSilent(op: number): boolean {
  return silent[op];
}

/** Whether an operation is a request to the device, for which a CPU sleeps. */
export function isRequest(op: number): boolean {
  return op === CODE.readDevice || op === CODE.writeDevice;
}
