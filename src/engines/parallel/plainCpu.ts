/**
 * A CPU of the parallel engine: a thread of this process, on a SharedArrayBuffer.
 *
 * The plain form of the VM has most word operations inlined (build/strip.mjs); those that loop or
 * wait are methods here. All waiting answers inter-processor interrupts: a CPU that waits for a
 * lock must not keep another from flushing its TLB.
 */
import { performance } from 'node:perf_hooks';
import { InvariantError } from '../../base/errors.js';
import type { Pfn, Vaddr, Word } from '../../base/units.js';
import type { Memory } from '../../hardware/memory.js';
import type { Tlb } from '../../hardware/tlb.js';
import { MemoryDevice, type Device } from '../device.js';
import type { Thread } from '../engine.js';
import type { PlainVm } from '../instance.js';
import type { PageCode } from './pageCode.js';

/** Added to a semaphore's count by a writer; more readers than this there cannot be. */
const WRITER = -(1 << 24);
/** Tries for a lock before the thread lets others run. */
const SPINS = 200;
/** How long it then sleeps at most, in milliseconds. */
const NAP_MS = 0.05;
/** How long a sleeper waits before it looks again by itself, in milliseconds. */
const SLEEP_MS = 5;

export interface PlainCpuOptions {
  /** false clears only the start of a page, to measure the rest: programs may write nowhere else. */
  readonly zeroing?: boolean;
  /**
   * false keeps no contents of pages: frames are neither zeroed, filled nor copied. For a replay, which
   * knows no contents: the host hands out its memory at first touch, at up to 2 µs a page, more than
   * all else that a fault costs. Frames hold page tables, which are all zeros when they are freed, and
   * otherwise nothing but the zeros of fresh memory: whoever uses this may store no other values.
   */
  readonly contents?: boolean;
  /** What the files and the swap file are kept on; without, memory of this CPU's own. */
  readonly device?: Device | undefined;
  /** Zeroes and copies pages, where the memory allows it; without, JavaScript does. */
  readonly pageCode?: PageCode | undefined;
}

/** When a program came to a point that it noted, on a clock that all threads share. */
export interface Note {
  readonly point: number;
  readonly ms: number;
}

export class PlainCpu {
  readonly words: Int32Array;
  readonly wides: Float64Array;
  readonly tlb: Tlb;
  readonly node: number;
  current: Word = 0;
  mm: Word = 0;
  pgd: Pfn = 0;
  /** What the last program noted. */
  notes: Note[] = [];

  private readonly pageWords: number;
  private readonly cpuLine: (cpu: number) => Word;
  private readonly layout: PlainVm['CpuLine'];
  private readonly activeMm: Word;
  private readonly ipiRequested: Word;
  private readonly ipiDone: Word;
  /** Where an mm has its top-level table. */
  private readonly topWord: number;
  private interruptsDone: number;
  private readonly nap = new Int32Array(new SharedArrayBuffer(4));

  private readonly zeroing: boolean;
  private readonly contents: boolean;
  private readonly pageCode: PageCode | undefined;
  private readonly device: Device;
  /** Set where the design has DEBUG_PAGEALLOC: knows which frames are free. */
  private readonly debugged: PlainVm | undefined;
  /** Set where the design says when a task must not sleep. */
  private readonly watched: PlainVm | undefined;

  constructor(
    vm: PlainVm,
    memory: Memory,
    readonly id: number,
    options: PlainCpuOptions = {},
  ) {
    this.zeroing = options.zeroing ?? true;
    this.contents = options.contents ?? true;
    this.pageCode = options.pageCode;
    this.words = memory.words;
    this.wides = memory.wides;
    this.tlb = new vm.Tlb();
    this.node = vm.cpuNode(id);
    this.pageWords = vm.PAGE_WORDS;
    this.device = options.device ?? new MemoryDevice(vm.PAGE_WORDS);
    this.debugged = vm.DEBUG_PAGEALLOC ? vm : undefined;
    this.watched = vm.KMAP_CHECKED ? vm : undefined;
    this.cpuLine = vm.cpuLine;
    this.layout = vm.CpuLine;
    this.topWord = vm.Mm.pgd;
    const line = vm.cpuLine(id);
    this.activeMm = line + vm.CpuLine.activeMm;
    this.ipiRequested = line + vm.CpuLine.ipiRequested;
    this.ipiDone = line + vm.CpuLine.ipiDone;
    this.interruptsDone = Atomics.load(this.words, this.ipiDone);
  }

  /** Leaves whatever address space it ran. */
  idle(): void {
    this.current = 0;
    this.mm = 0;
    this.pgd = 0;
    this.tlb.drop(-1);
    Atomics.store(this.words, this.activeMm, 0);
  }

  spinLock(lock: Word): void {
    if (Atomics.compareExchange(this.words, lock, 0, this.id + 1) !== 0) this.spin(lock);
  }

  private spin(lock: Word): void {
    for (let tries = 1; ; tries++) {
      if (Atomics.load(this.words, lock) === 0) {
        if (Atomics.compareExchange(this.words, lock, 0, this.id + 1) === 0) return;
      }
      this.interrupts();
      // The holder may need this very core.
      if (tries % SPINS === 0) Atomics.wait(this.nap, 0, 0, NAP_MS);
    }
  }

  spinUnlock(lock: Word): void {
    if (this.words[lock] !== this.id + 1) {
      throw new InvariantError(`cpu ${this.id} unlocks word ${lock} held by ${this.words[lock]}`);
    }
    Atomics.store(this.words, lock, 0);
  }

  /** The task may not sleep while it has a slot of the CPU. */
  private maySleep(vm: PlainVm, operation: string): void {
    if (this.words[vm.preemptCount(this.id)] === 0) return;
    throw vm.sleepsWithKmap(this.id, `sleeps (${operation})`);
  }

  downRead(sem: Word): void {
    if (this.watched !== undefined) this.maySleep(this.watched, 'downRead');
    if (Atomics.add(this.words, sem, 1) < 0) this.sleepForRead(sem);
  }

  private sleepForRead(sem: Word): void {
    this.whileAsleep(() => {
      do {
        // Not yet: undo, which may let the writer in, and wait for the writer to go.
        if (Atomics.sub(this.words, sem, 1) - 1 === WRITER) Atomics.notify(this.words, sem);
        for (;;) {
          const count = Atomics.load(this.words, sem);
          if (count >= 0) break;
          Atomics.wait(this.words, sem, count, SLEEP_MS);
        }
      } while (Atomics.add(this.words, sem, 1) < 0);
    });
  }

  upRead(sem: Word): void {
    if (Atomics.sub(this.words, sem, 1) < 0) Atomics.notify(this.words, sem);
  }

  /** One writer at a time announces itself, which stops new readers, and waits for the old ones. */
  downWrite(sem: Word): void {
    if (this.watched !== undefined) this.maySleep(this.watched, 'downWrite');
    const writer = sem + 1;
    const atOnce =
      Atomics.compareExchange(this.words, writer, 0, this.id + 1) === 0 &&
      Atomics.add(this.words, sem, WRITER) === 0;
    if (atOnce) return;
    const announced = this.words[writer] === this.id + 1;
    this.whileAsleep(() => {
      if (!announced) {
        for (;;) {
          const holder = Atomics.compareExchange(this.words, writer, 0, this.id + 1);
          if (holder === 0) break;
          Atomics.wait(this.words, writer, holder, SLEEP_MS);
        }
        Atomics.add(this.words, sem, WRITER);
      }
      for (;;) {
        const count = Atomics.load(this.words, sem);
        if (count === WRITER) return;
        Atomics.wait(this.words, sem, count, SLEEP_MS);
      }
    });
  }

  upWrite(sem: Word): void {
    Atomics.sub(this.words, sem, WRITER);
    Atomics.notify(this.words, sem);
    Atomics.store(this.words, sem + 1, 0);
    Atomics.notify(this.words, sem + 1);
  }

  /** A sleeper uses no translation: others need not interrupt it (Linux: lazy TLB). */
  private whileAsleep(wait: () => void): void {
    const mm = Atomics.exchange(this.words, this.activeMm, 0);
    wait();
    this.tlb.drop(-1);
    Atomics.store(this.words, this.activeMm, mm);
    this.reloadTop();
  }

  /** Looks anew where the top-level table is: after `activeMm` is set, so that who moves it finds this CPU. */
  private reloadTop(): void {
    if (this.mm !== 0) this.pgd = Atomics.load(this.words, this.mm + this.topWord);
  }

  /** A free frame is touched by nobody. */
  private checkFrame(vm: PlainVm, frame: Word, verb: string): void {
    const mapping = this.words[vm.unmappedWord(frame)];
    if (mapping < 0) throw vm.oops(this.id, verb, frame, mapping, callersOf(new Error()));
  }

  zeroPage(frame: Word): void {
    if (this.debugged !== undefined) this.checkFrame(this.debugged, frame, 'writes');
    if (!this.contents) return;
    if (this.pageCode !== undefined && this.zeroing) {
      this.pageCode.zero(frame * 4, this.pageWords * 4);
      return;
    }
    this.zeroInJavaScript(frame);
  }

  /**
   * Unrolled stores of doubles: 349 ns for 4 KiB, where TypedArray.fill on shared memory takes 669
   * (doubles) to 2559 (bytes).
   */
  private zeroInJavaScript(frame: Word): void {
    const wides = this.wides;
    const end = (frame + (this.zeroing ? this.pageWords : 32)) / 2;
    for (let i = frame / 2; i < end; i += 16) {
      wides[i] = 0;
      wides[i + 1] = 0;
      wides[i + 2] = 0;
      wides[i + 3] = 0;
      wides[i + 4] = 0;
      wides[i + 5] = 0;
      wides[i + 6] = 0;
      wides[i + 7] = 0;
      wides[i + 8] = 0;
      wides[i + 9] = 0;
      wides[i + 10] = 0;
      wides[i + 11] = 0;
      wides[i + 12] = 0;
      wides[i + 13] = 0;
      wides[i + 14] = 0;
      wides[i + 15] = 0;
    }
  }

  copyPage(to: Word, from: Word): void {
    if (this.debugged !== undefined) {
      this.checkFrame(this.debugged, to, 'writes');
      this.checkFrame(this.debugged, from, 'reads');
    }
    if (!this.contents) return;
    if (this.pageCode !== undefined) this.pageCode.copy(to * 4, from * 4, this.pageWords * 4);
    else this.words.copyWithin(to, from, from + this.pageWords);
  }

  zeroPageOnce(frame: Word): void {
    this.zeroPage(frame);
  }

  copyPageOnce(to: Word, from: Word): void {
    this.copyPage(to, from);
  }

  tryDownRead(sem: Word): boolean {
    for (;;) {
      const count = Atomics.load(this.words, sem);
      if (count < 0) return false;
      if (Atomics.compareExchange(this.words, sem, count, count + 1) === count) return true;
    }
  }

  tryDownWrite(sem: Word): boolean {
    const writer = sem + 1;
    if (Atomics.compareExchange(this.words, writer, 0, this.id + 1) !== 0) return false;
    if (Atomics.compareExchange(this.words, sem, 0, WRITER) === 0) return true;
    Atomics.store(this.words, writer, 0);
    Atomics.notify(this.words, writer);
    return false;
  }

  lockBit(word: Word, bit: number): void {
    // The bit of a pte is spun on.
    if (this.watched !== undefined && this.watched.wordPfn(word) < 0) {
      this.maySleep(this.watched, 'lockBit');
    }
    if ((Atomics.or(this.words, word, bit) & bit) === 0) return;
    for (let tries = 1; ; tries++) {
      this.interrupts();
      if (tries % SPINS === 0) Atomics.wait(this.nap, 0, 0, NAP_MS);
      if ((Atomics.load(this.words, word) & bit) !== 0) continue;
      if ((Atomics.or(this.words, word, bit) & bit) === 0) return;
    }
  }

  tryLockBit(word: Word, bit: number): boolean {
    return (Atomics.or(this.words, word, bit) & bit) === 0;
  }

  unlockBit(word: Word, bit: number): void {
    if ((Atomics.and(this.words, word, ~bit) & bit) !== 0) return;
    throw new InvariantError(`cpu ${this.id} unlocks bit ${bit} of word ${word}, which is clear`);
  }

  sleepOn(word: Word, value: number): void {
    if (this.watched !== undefined) this.maySleep(this.watched, 'sleepOn');
    if (Atomics.load(this.words, word) !== value) return;
    this.whileAsleep(() => {
      while (Atomics.load(this.words, word) === value) {
        Atomics.wait(this.words, word, value, SLEEP_MS);
      }
    });
  }

  wakeUp(word: Word): void {
    Atomics.add(this.words, word, 1);
    Atomics.notify(this.words, word);
  }

  readDevice(frame: Word, file: number, index: number): boolean {
    if (this.watched !== undefined) this.maySleep(this.watched, 'readDevice');
    if (this.debugged !== undefined) this.checkFrame(this.debugged, frame, 'writes');
    return !this.contents || this.device.read(this.words, frame, file, index);
  }

  writeDevice(frame: Word, file: number, index: number): boolean {
    if (this.watched !== undefined) this.maySleep(this.watched, 'writeDevice');
    if (this.debugged !== undefined) this.checkFrame(this.debugged, frame, 'reads');
    return !this.contents || this.device.write(this.words, frame, file, index);
  }

  truncateDevice(file: number, index: number): void {
    this.device.truncate(file, index);
  }

  invalidate(cpu: number, address: Vaddr): void {
    if (cpu === this.id) {
      this.tlb.drop(address);
      this.reloadTop();
      return;
    }
    const line = this.cpuLine(cpu);
    const activeMm = line + this.layout.activeMm;
    const done = line + this.layout.ipiDone;
    const mm = Atomics.load(this.words, activeMm);
    // It has gone to sleep since the caller looked: it holds no translation, and would not answer.
    if (mm === 0) return;
    const request = Atomics.add(this.words, line + this.layout.ipiRequested, 1) + 1;
    for (let tries = 1; ; tries++) {
      if (Atomics.load(this.words, activeMm) !== mm) return;
      if (((Atomics.load(this.words, done) - request) | 0) >= 0) return;
      this.interrupts();
      if (tries % SPINS === 0) Atomics.wait(this.nap, 0, 0, NAP_MS);
    }
  }

  interrupts(): void {
    if (this.words[this.ipiRequested] === this.interruptsDone) return;
    this.interruptsDone = Atomics.load(this.words, this.ipiRequested);
    this.tlb.drop(-1);
    this.reloadTop();
    Atomics.store(this.words, this.ipiDone, this.interruptsDone);
  }

  note(point: number): void {
    this.notes.push({ point, ms: performance.timeOrigin + performance.now() });
  }
}

/** Most callers that a report names. */
const CALLERS = 6;

/** The functions that were running where an error was made, innermost first. */
function callersOf(error: Error): string[] {
  const names = (error.stack ?? '').matchAll(/^ +at (?:\w+\.)?(\w+) \(/gm);
  return [...names]
    .map(([, name]) => name)
    .filter((name) => name !== 'checkFrame')
    .slice(0, CALLERS);
}

/** Runs one program on an idle CPU of this thread. */
export function runProgram(
  vm: PlainVm,
  cpu: PlainCpu,
  program: Thread['program'],
  args: readonly number[],
): number {
  // Programs take numbers, how many is each one's own business.
  const run: (cpu: PlainCpu, ...args: readonly number[]) => number = vm.PROGRAMS[program];
  cpu.notes = [];
  const result = run(cpu, ...args);
  cpu.idle();
  return result;
}
