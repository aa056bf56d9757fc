/**
 * A CPU as the VM sees it: the word operations, and what is private to it.
 *
 * Code that touches shared memory is a generator function over a parameter named `cpu`, and each
 * operation is a `yield*`. The build makes two forms of that one source (build/strip.mjs): the
 * stripped form, plain functions on a SharedArrayBuffer; and the stepped form, in which every
 * operation returns to the engine. No code runs the source as written, so this interface has no
 * implementation in that form: the engines implement what the two forms need.
 *
 * All engines are sequentially consistent. A missing barrier cannot show.
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Tlb } from './tlb.js';

/** An operation or a function made of operations, which returns a T. */
export type Op<T> = Generator<unknown, T, unknown>;

/** What a CPU does that takes time and that no other CPU sees; the simulator prices it. */
export const enum Work {
  TRAP_ENTER,
  TRAP_EXIT,
  SYSCALL,
  USER,
  /** Dropping the translation of a page of the kernel's from the CPU's own TLB (i386: invlpg). */
  FLUSH_KERNEL_PAGE,
}

/** The same of a frame's. */
export const enum FrameWork {
  /** What unmapping and freeing it takes beside the operations: its record and its pte are in no cache any more. */
  UNMAP,
  /** Reading a line of it that is in no cache. */
  READ_UNCACHED,
}

export interface Cpu {
  /** Counted from 0. */
  readonly id: number;
  readonly node: number;
  readonly tlb: Tlb;
  /** The running task's record; 0 while idle. */
  current: Word;
  /** The address space whose tables the MMU walks; 0 while idle. */
  mm: Word;
  /** The top-level table (x86: CR3). */
  pgd: Pfn;

  /** Plain load, ordered against stores to the word by a lock or by being private. */
  load(word: Word): Op<number>;
  /** Plain store, ordered as for `load`. */
  store(word: Word, value: number): Op<void>;
  /** Load that races on purpose; never torn (Linux: READ_ONCE). */
  readOnce(word: Word): Op<number>;
  /** Store that races on purpose; never torn (Linux: WRITE_ONCE). */
  writeOnce(word: Word, value: number): Op<void>;
  /** Atomic compare-exchange. @returns whether `expected` was there and `value` was stored */
  cas(word: Word, expected: number, value: number): Op<boolean>;
  /** Atomic exchange. @returns the old value */
  xchg(word: Word, value: number): Op<number>;
  /** Atomic addition. @returns the old value */
  add(word: Word, value: number): Op<number>;
  /** Atomic or. @returns the old value */
  or(word: Word, bits: number): Op<number>;
  /** Atomic and. @returns the old value */
  and(word: Word, bits: number): Op<number>;
  /** Plain load of a 64-bit value, an address, from an even word. */
  loadWide(word: Word): Op<number>;
  /** Plain store of a 64-bit value, an address, to an even word. */
  storeWide(word: Word, value: number): Op<void>;

  /** Load of a 64-bit value that races on purpose; never torn. */
  readOnceWide(word: Word): Op<number>;
  /** Store of a 64-bit value that races on purpose; never torn. */
  writeOnceWide(word: Word, value: number): Op<void>;

  spinLock(word: Word): Op<void>;
  spinUnlock(word: Word): Op<void>;
  /** Reader-writer semaphore of two words; may sleep. */
  downRead(word: Word): Op<void>;
  upRead(word: Word): Op<void>;
  downWrite(word: Word): Op<void>;
  upWrite(word: Word): Op<void>;

  /** Takes a semaphore for reading if no writer has it. @returns whether it did */
  tryDownRead(word: Word): Op<boolean>;
  /** Takes a semaphore for writing if nobody has it. @returns whether it did */
  tryDownWrite(word: Word): Op<boolean>;
  /** Sets a bit that was clear, and waits until it is (Linux: bit_spin_lock, lock_page). */
  lockBit(word: Word, bit: number): Op<void>;
  /** @returns whether the bit was clear and is set now */
  tryLockBit(word: Word, bit: number): Op<boolean>;
  unlockBit(word: Word, bit: number): Op<void>;
  /** Sleeps while a word has a value: `wakeUp` changes it. */
  sleepOn(word: Word, value: number): Op<void>;
  /** Adds one to a word, and wakes who sleeps on it. */
  wakeUp(word: Word): Op<void>;

  /** Fills a frame with zeros. @param frame - its first word */
  zeroPage(frame: Word): Op<void>;
  /** The same of a frame that others may be reading or writing. */
  zeroPageOnce(frame: Word): Op<void>;
  copyPage(to: Word, from: Word): Op<void>;
  /** The same of a page that others may be writing: what was copied may be anything (Linux: data_race()). */
  copyPageOnce(to: Word, from: Word): Op<void>;
  /**
   * Reads one page of a file, or of the swap file, from the device that holds it.
   *
   * @param index - in pages from the file's start
   * @returns whether the device could
   */
  readDevice(frame: Word, file: number, index: number): Op<boolean>;
  /** Writes one page to the device, as it is meanwhile. @returns whether the device could */
  writeDevice(frame: Word, file: number, index: number): Op<boolean>;
  /** Makes all pages of a file from `index` on zeros. */
  truncateDevice(file: number, index: number): Op<void>;

  /**
   * Drops a translation from a CPU's TLB and waits until it is gone (an inter-processor interrupt
   * where the CPU is another).
   * @param address - the page, or -1 for all
   */
  invalidate(cpu: number, address: Vaddr): Op<void>;
  /** A point at which this CPU answers inter-processor interrupts: user mode runs many of them. */
  interrupts(): Op<void>;
  /** Says what is being done, for the simulator's clock. */
  spend(work: Work): Op<void>;
  /** The same of work on a frame, which takes longer on another node. @param word - any of it */
  spendOn(work: FrameWork, word: Word): Op<void>;
  /** The same of user mode that is known to take so many nanoseconds. */
  spendNs(ns: number): Op<void>;
  /** Says that a program has come to a point: the engines that have a clock keep the time. */
  note(point: number): Op<void>;
}
