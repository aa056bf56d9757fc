/**
 * What an operation touches, and so which operations depend on each other.
 *
 * A place is a number: a word; the words of a frame as a whole; a page of a file on the device; a CPU that several
 * tasks share. Two operations depend on each other when they touch a place in common, unless both only read it or
 * both only add to it. A compare-exchange that fails, and an attempt at a lock that fails, only read.
 *
 * Operations on whole pages would meet each word of the frame. Instead an access to a word is known at two places of
 * its frame: who accesses a word looks for operations on the page, who works on the page looks for both.
 */
import type { Word } from '../../base/units.js';
import { OPERATION_CODE as CODE, codesWhere } from '../../hardware/operations.js';
import type { SteppedCpu, SteppedMachine } from '../stepping.js';

/** How a place is touched: one of the first three, and any of the others. */
export const READ = 0;
export const WRITE = 1;
/** An addition whose result is unused, or readers of a semaphore: two of them commute. */
export const ADD = 2;
/** Which of the three it is. */
export const MANNER = 3;
/** It must be ordered with what others do there: where it is not, that is a data race. */
export const PLAIN = 4;
/** It takes what others wait for. */
export const TAKES = 8;
/** It gives that back. */
export const GIVES = 16;
/** It waits until it can take: it races with who took before it, not with what gave back. */
export const WAITS = 32;
/** Later operations look for it here. */
export const FOUND = 64;
/** It looks here for earlier ones. */
export const LOOKS = 128;
/** It is ordered after what it finds here, and cannot come before it. */
export const FOLLOWS = 256;
/** It changes whether a frame is in use: before or after an access, but no access itself. */
export const FREES = 512;

/** It may find anything, and knows (Linux: data_race()): what it meets in no order is no data race. */
export const TOLERATES = 1024;

const plainCodes = codesWhere(({ plain }) => plain === true);
const takingCodes = codesWhere(({ lock }) => lock === 'takes');
const givingCodes = codesWhere(({ lock }) => lock === 'gives');
const blockingCodes = codesWhere(({ blocks }) => blocks === true);

/** Whether an operation waits until it can go. */
export function isBlocking(op: number): boolean {
  return blockingCodes.has(op);
}

/** Pages of a file that have a place of their own; all beyond share the last. */
const FILE_PLACES = 64;

/** Files that have places of their own; more share them. */
const MAX_FILES = 16;

/** Most places that one operation touches: all of a file, and a few. */
const MAX_TOUCHES = FILE_PLACES + 8;

/** What the flags of each operation are, but for the manner. */
const flagsOf: readonly number[] = Array.from({ length: 64 }, (_, op) => {
  let flags = FOUND | LOOKS;
  if (plainCodes.has(op)) flags |= PLAIN;
  if (takingCodes.has(op)) flags |= TAKES;
  if (givingCodes.has(op)) flags |= GIVES;
  if (blockingCodes.has(op) || op === CODE.interrupts) flags |= WAITS;
  return flags;
});

/** The places that one operation touches, and how. */
export class Touches {
  count = 0;
  readonly places = new Int32Array(MAX_TOUCHES);
  readonly how = new Int32Array(MAX_TOUCHES);

  add(place: number, how: number): void {
    this.places[this.count] = place;
    this.how[this.count++] = how;
  }

  /** All of it in one list: two that are alike have equal lists. */
  list(): number[] {
    return [...this.places.subarray(0, this.count), ...this.how.subarray(0, this.count)];
  }
}

/** Whether two ways to touch one place depend on each other. */
export function conflicts(one: number, other: number): boolean {
  const manners = (one & MANNER) | ((other & MANNER) << 2);
  return manners !== (READ | (READ << 2)) && manners !== (ADD | (ADD << 2));
}

/** Whether one of two ways to touch one place finds the other there, in whichever order, and depends on it. */
export function interferes(one: number, other: number): boolean {
  if (!conflicts(one, other)) return false;
  return (
    ((one & LOOKS) !== 0 && (other & FOUND) !== 0) || ((one & FOUND) !== 0 && (other & LOOKS) !== 0)
  );
}

/** Whether it is a data race if two ways that depend on each other have no order. */
export function isDataRace(one: number, other: number): boolean {
  return ((one | other) & (PLAIN | FREES | TOLERATES)) === PLAIN;
}

/** Whether the order of two operations can matter. */
export function depends(one: Touches, other: Touches): boolean {
  for (let i = 0; i < one.count; i++) {
    for (let k = 0; k < other.count; k++) {
      if (one.places[i] === other.places[k] && interferes(one.how[i], other.how[k])) return true;
    }
  }
  return false;
}

/** What differs in how operations are held to depend on each other. */
export interface DependenceOptions {
  /** Whether additions whose results are unused commute. */
  readonly commute: boolean;
  /** Whether there are more than two threads: then who waits for a lock may be let go by a third. */
  readonly manyThreads: boolean;
  /** Whether it matters if a frame is in use where it is accessed. */
  readonly frames: boolean;
}

/** Tells what operations touch on one machine. */
export class Places {
  /** How many places there are. */
  readonly count: number;
  private readonly words: Int32Array;
  private readonly frames: Word;
  private readonly framesEnd: Word;
  private readonly pageShift: number;
  /** The first frame's count of references; words from each to the next, and of all frames' records. */
  private readonly refcounts: Word;
  private readonly pageRecord: number;
  private readonly pageRecords: number;
  /** First place of each kind. */
  private readonly pageWorkers: number;
  private readonly wordsOfPages: number;
  private readonly files: number;
  private readonly cpus: number;
  private readonly allRequests: number;
  private readonly fileNumbers = new Map<number, number>();

  constructor(
    private readonly machine: SteppedMachine,
    private readonly options: DependenceOptions,
  ) {
    const { vm, memory } = machine;
    this.words = memory.words;
    this.frames = vm.frameOf(0);
    this.framesEnd = vm.frameOf(vm.FRAMES);
    this.pageShift = Math.log2(vm.PAGE_WORDS);
    this.refcounts = vm.pageOf(0) + vm.Page.refcount;
    this.pageRecord = vm.pageOf(1) - vm.pageOf(0);
    this.pageRecords = this.pageRecord * vm.FRAMES;
    this.pageWorkers = memory.words.length;
    this.wordsOfPages = this.pageWorkers + vm.FRAMES;
    this.files = this.wordsOfPages + vm.FRAMES;
    this.cpus = this.files + MAX_FILES * FILE_PLACES;
    this.allRequests = this.cpus + vm.CPUS;
    this.count = this.allRequests + 1;
  }

  /** Fills `into` with what a CPU's pending operation will touch in the present state. */
  of(cpu: SteppedCpu, into: Touches): void {
    this.ofOperation(cpu, into);
    if (this.options.frames) this.frameUse(cpu, into);
  }

  /**
   * The same of an operation that a task sees first if it must wait for: as an attempt at a lock, it can be before or
   * after whatever gives the lock back.
   *
   * @param mustWait - whether it must, and so takes nothing
   */
  ofAttempt(cpu: SteppedCpu, mustWait: boolean, into: Touches): void {
    const reads = mustWait || cpu.op === CODE.sleepOn;
    const takes = TAKES | (cpu.op === CODE.downRead ? ADD : WRITE);
    into.count = 0;
    this.word(into, this.wordOf(cpu), (reads ? READ : takes) | FOUND | LOOKS);
  }

  private ofOperation(cpu: SteppedCpu, into: Touches): void {
    const { op, x } = cpu;
    const { words } = this;
    const flags = flagsOf[op];
    into.count = 0;
    switch (op) {
      case CODE.load:
      case CODE.readOnce:
        this.word(into, x, READ | flags);
        return;
      case CODE.sleepOn:
        // Woken more than once, it could have gone on before it was the last time.
        this.word(into, x, READ | (words[x] - cpu.y > 1 ? flags & ~WAITS : flags));
        break;
      case CODE.cas:
        this.word(into, x, words[x] === cpu.y ? WRITE | flags : READ | flags);
        return;
      case CODE.addUnused:
        this.word(into, x, this.options.commute ? ADD | flags : WRITE | flags);
        return;
      case CODE.downRead:
      case CODE.upRead:
        this.word(into, x, ADD | flags);
        break;
      case CODE.tryDownRead:
        this.word(into, x, words[x] < 0 ? READ | (flags & ~TAKES) : ADD | flags);
        return;
      case CODE.tryDownWrite:
        this.word(into, x, words[x] !== 0 ? READ | (flags & ~TAKES) : WRITE | flags);
        return;
      case CODE.tryLockBit:
        this.word(into, x, (words[x] & cpu.y) !== 0 ? READ | (flags & ~TAKES) : WRITE | flags);
        return;
      case CODE.loadWide:
      case CODE.readOnceWide:
        this.wide(into, x, READ | flags);
        return;
      case CODE.storeWide:
      case CODE.writeOnceWide:
        this.wide(into, x, WRITE | flags);
        return;
      case CODE.zeroPage:
      case CODE.zeroPageOnce:
        this.page(into, x, WRITE | flags);
        return;
      case CODE.copyPage:
      case CODE.copyPageOnce:
        this.page(into, x, WRITE | (flags | PLAIN));
        // Programs may be storing to what is copied; and it may have gone, where the copier looks at that afterwards.
        this.page(
          into,
          cpu.y,
          READ | (flags & ~PLAIN) | (op === CODE.copyPageOnce ? TOLERATES : 0),
        );
        return;
      case CODE.readDevice:
      case CODE.writeDevice:
        this.request(cpu, into, flags);
        return;
      case CODE.truncateDevice:
        for (let page = Math.min(cpu.y, FILE_PLACES - 1); page < FILE_PLACES; page++) {
          into.add(this.pagesOf(x) + page, WRITE | FOUND | LOOKS);
        }
        return;
      case CODE.invalidate:
        into.add(this.interruptsOf(x), WRITE | flags);
        // Who waits for another CPU's answer answers meanwhile; when it goes on it does not any more.
        if (x !== cpu.id) into.add(this.interruptsOf(cpu.id), WRITE | flags);
        return;
      case CODE.interrupts:
        into.add(this.interruptsOf(cpu.id), WRITE | flags);
        return;
      default:
        this.word(into, x, WRITE | flags);
    }
    // Who waits here answers interrupts; when it goes on it does not any more.
    if (this.options.manyThreads && isBlocking(op)) {
      into.add(this.interruptsOf(cpu.id), READ | FOUND | LOOKS | FOLLOWS);
    }
  }

  /** The word that a CPU's pending operation is about. */
  wordOf({ op, x, id }: SteppedCpu): Word {
    if (op === CODE.invalidate) return this.interruptsOf(x);
    return op === CODE.interrupts ? this.interruptsOf(id) : x;
  }

  /**
   * Takes the CPU that a thread shares with others, which answered interrupts until then.
   *
   * @param changesMm - whether others, who look which CPUs have an address space, can see it
   */
  takeCpu(cpu: number, changesMm: boolean, into: Touches): void {
    into.add(this.cpus + cpu, WRITE | TAKES | WAITS | FOUND | LOOKS);
    into.add(this.interruptsOf(cpu), READ | FOUND | LOOKS);
    const { cpuLine, CpuLine } = this.machine.vm;
    if (changesMm) this.word(into, cpuLine(cpu) + CpuLine.activeMm, WRITE | FOUND | LOOKS);
  }

  /** Whether a place is a CPU. */
  isCpu(place: number): boolean {
    return place >= this.cpus && place < this.allRequests;
  }

  /** Uses the CPU that it has taken. */
  useCpu(cpu: number, into: Touches): void {
    into.add(this.cpus + cpu, WRITE | GIVES | FOUND | LOOKS | FOLLOWS);
  }

  private word(into: Touches, word: Word, how: number): void {
    into.add(word, how);
    if (word < this.frames || word >= this.framesEnd) return;
    const frame = (word - this.frames) >> this.pageShift;
    into.add(this.pageWorkers + frame, how & ~FOUND);
    into.add(this.wordsOfPages + frame, how & ~LOOKS);
  }

  /** Only entries of tables are reached by their halves too. */
  private wide(into: Touches, word: Word, how: number): void {
    this.word(into, word, how);
    if (word >= this.frames && word < this.framesEnd) this.word(into, word + 1, how);
  }

  private page(into: Touches, first: Word, how: number): void {
    const frame = (first - this.frames) >> this.pageShift;
    into.add(this.pageWorkers + frame, how);
    into.add(this.wordsOfPages + frame, how & ~FOUND);
  }

  /**
   * Who puts the first reference on a frame, or takes the last one off, does something to all of its words: they are
   * not to be accessed while nobody has the frame.
   */
  private frameUse(cpu: SteppedCpu, into: Touches): void {
    const offset = cpu.x - this.refcounts;
    if (offset < 0 || offset >= this.pageRecords || offset % this.pageRecord !== 0) return;
    const before = this.words[cpu.x];
    if (before > 0 === valueAfter(cpu, before) > 0) return;
    const { vm } = this.machine;
    this.page(into, vm.frameOf(offset / this.pageRecord), WRITE | FREES | FOUND | LOOKS);
  }

  /** A request to the device works on a page of memory and one of a file. */
  private request(cpu: SteppedCpu, into: Touches, flags: number): void {
    const reads = cpu.op === CODE.readDevice;
    this.page(into, cpu.x, (reads ? WRITE : READ) | flags);
    const page = Math.min(cpu.z, FILE_PLACES - 1);
    into.add(this.pagesOf(cpu.y) + page, (reads ? READ : WRITE) | FOUND | LOOKS);
    // Who waits for the device answers interrupts, until it goes on.
    into.add(this.interruptsOf(cpu.id), READ | TAKES | FOUND | LOOKS);
    // Which request fails may depend on which comes first.
    if (this.machine.requests.mayFail) into.add(this.allRequests, WRITE | FOUND | LOOKS);
  }

  /** Places of a file's pages: files are numbered as they turn up. */
  private pagesOf(file: number): number {
    let number = this.fileNumbers.get(file);
    if (number === undefined) {
      number = this.fileNumbers.size % MAX_FILES;
      this.fileNumbers.set(file, number);
    }
    return this.files + number * FILE_PLACES;
  }

  private interruptsOf(cpu: number): Word {
    const { vm } = this.machine;
    return vm.cpuLine(cpu) + vm.CpuLine.ipiDone;
  }
}

/** What a counter is after a CPU's pending operation on it. */
function valueAfter({ op, y, z }: SteppedCpu, before: number): number {
  switch (op) {
    case CODE.store:
    case CODE.writeOnce:
    case CODE.xchg:
      return y;
    case CODE.add:
    case CODE.addUnused:
      return before + y;
    case CODE.cas:
      return before === y ? z : before;
    default:
      return before;
  }
}
