/**
 * The smallest programs that go wrong in one way each, or nearly do: what the checker makes of them is known beforehand
 * (engines/explore/verdicts.test.ts and sharedCpu.test.ts).
 *
 * Words, all 0 at first, in a frame that an otherwise idle machine does not use: a few spinlocks, a few semaphores, a
 * few words with a bit that is a lock, a counter, and a slot a CPU.
 */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { FRAMES } from '../hardware/machine.js';
import { allocPage } from '../mm/allocpages.js';
import { Page, pageOf } from '../mm/layout/page.js';
import { freeNewPage, freePage } from '../mm/pagealloc.js';
import { contentsError } from './report.js';

/** Of each kind of lock. */
const LOCKS = 4;
const SPINLOCKS: Word = frameOf(FRAMES - 2);
/** Two words each. */
const SEMAPHORES: Word = SPINLOCKS + LOCKS;
const BITS: Word = SEMAPHORES + 2 * LOCKS;
const COUNTER: Word = BITS + LOCKS;
const SLOTS: Word = COUNTER + 1;
const LOCKED = 1;

/** Takes one spinlock inside another. */
export function* takeNested(cpu: Cpu, outer: number, inner: number): Op<number> {
  yield* cpu.spinLock(SPINLOCKS + outer);
  yield* cpu.spinLock(SPINLOCKS + inner);
  yield* cpu.spinUnlock(SPINLOCKS + inner);
  yield* cpu.spinUnlock(SPINLOCKS + outer);
  return 0;
}

/** Takes a spinlock while it holds a semaphore. */
export function* semaphoreThenSpin(cpu: Cpu): Op<number> {
  yield* cpu.downRead(SEMAPHORES);
  yield* cpu.spinLock(SPINLOCKS);
  yield* cpu.spinUnlock(SPINLOCKS);
  yield* cpu.upRead(SEMAPHORES);
  return 0;
}

/** Takes a semaphore while it holds a spinlock, which nobody must who may have to sleep. */
export function* spinThenSemaphore(cpu: Cpu): Op<number> {
  yield* cpu.spinLock(SPINLOCKS);
  yield* cpu.downWrite(SEMAPHORES);
  yield* cpu.upWrite(SEMAPHORES);
  yield* cpu.spinUnlock(SPINLOCKS);
  return 0;
}

/** Takes a semaphore and gives it back. */
export function* holdSemaphore(cpu: Cpu): Op<number> {
  yield* cpu.downRead(SEMAPHORES);
  yield* cpu.upRead(SEMAPHORES);
  return 0;
}

/** Gives back a spinlock that it has not taken. */
export function* giveBackUnheld(cpu: Cpu): Op<number> {
  yield* cpu.spinUnlock(SPINLOCKS);
  return 0;
}

/**
 * Takes two locks without ever waiting for the second: it gives the first back, and tries again.
 *
 * @param semaphores - 1 if they are semaphores, 0 if bits
 */
export function* backOff(cpu: Cpu, first: number, second: number, semaphores: number): Op<number> {
  for (;;) {
    if (!(yield* tryTake(cpu, first, semaphores))) continue;
    if (yield* tryTake(cpu, second, semaphores)) break;
    yield* giveBack(cpu, first, semaphores);
  }
  yield* giveBack(cpu, second, semaphores);
  yield* giveBack(cpu, first, semaphores);
  return 0;
}

function* tryTake(cpu: Cpu, lock: number, semaphores: number): Op<boolean> {
  if (semaphores === 1) return yield* cpu.tryDownWrite(SEMAPHORES + 2 * lock);
  return yield* cpu.tryLockBit(BITS + lock, LOCKED);
}

function* giveBack(cpu: Cpu, lock: number, semaphores: number): Op<void> {
  if (semaphores === 1) yield* cpu.upWrite(SEMAPHORES + 2 * lock);
  else yield* cpu.unlockBit(BITS + lock, LOCKED);
}

/** Tries to take a lock until it has it: it waits for who holds it, who goes on meanwhile. */
export function* tryUntilTaken(cpu: Cpu): Op<number> {
  while (!(yield* cpu.tryLockBit(BITS, LOCKED)));
  yield* cpu.unlockBit(BITS, LOCKED);
  return 0;
}

/** Adds one to a counter by a plain load and a plain store. @param locked - 1 if under a spinlock, 0 if not */
export function* countPlain(cpu: Cpu, locked: number): Op<number> {
  if (locked === 1) yield* cpu.spinLock(SPINLOCKS);
  const count = yield* cpu.load(COUNTER);
  yield* cpu.store(COUNTER, count + 1);
  if (locked === 1) yield* cpu.spinUnlock(SPINLOCKS);
  return 0;
}

/** @returns a frame with so many references, one for each of the programs that are given it */
export function* frameSetup(cpu: Cpu, references: number): Op<Pfn> {
  const pfn = yield* allocPage(cpu);
  yield* cpu.writeOnce(pageOf(pfn) + Page.refcount, references);
  return pfn;
}

export function* storeToFrame(cpu: Cpu, pfn: Pfn): Op<number> {
  yield* cpu.store(frameOf(pfn), 1);
  return 0;
}

/** Stores to a word of its own in a frame, and drops its reference. */
export function* storeAndPut(cpu: Cpu, pfn: Pfn): Op<number> {
  yield* cpu.store(frameOf(pfn) + cpu.id, 1);
  if ((yield* cpu.add(pageOf(pfn) + Page.refcount, -1)) === 1) yield* freePage(cpu, pfn);
  return 0;
}

/** Frees a frame, whoever may have it. */
export function* freeFrame(cpu: Cpu, pfn: Pfn): Op<number> {
  yield* freeNewPage(cpu, pfn);
  return 0;
}

/** What `holdAcross` does while it has its slot. */
export const Meanwhile = {
  NOTHING: 0,
  INTERRUPTS: 1,
  /** A semaphore that all take. */
  SEMAPHORE: 2,
  /** A semaphore that no other takes: it is there to be had at once. */
  OWN_SEMAPHORE: 3,
  /** The spinlock that all take. */
  SPINLOCK: 4,
} as const;

/**
 * Puts its number into a slot that the CPU has one of, as kmap_atomic does, and finds it there later.
 *
 * @param number - from 1; no other task has the same
 * @param meanwhile - one of `Meanwhile`
 * @throws InvariantError when another task has had the slot in between
 */
export function* holdAcross(cpu: Cpu, number: number, meanwhile: number): Op<number> {
  yield* cpu.store(SLOTS + cpu.id, number);
  yield* passTime(cpu, number, meanwhile);
  const found = yield* cpu.load(SLOTS + cpu.id);
  if (found !== number) {
    throw contentsError(`the slot of cpu ${cpu.id} holds ${found}, should be ${number}`);
  }
  return 0;
}

function* passTime(cpu: Cpu, number: number, meanwhile: number): Op<void> {
  switch (meanwhile) {
    case Meanwhile.INTERRUPTS:
      yield* cpu.interrupts();
      return;
    case Meanwhile.SEMAPHORE:
    case Meanwhile.OWN_SEMAPHORE: {
      const semaphore = SEMAPHORES + 2 * (meanwhile === Meanwhile.SEMAPHORE ? 0 : number);
      yield* cpu.downWrite(semaphore);
      yield* cpu.upWrite(semaphore);
      return;
    }
    case Meanwhile.SPINLOCK:
      yield* cpu.spinLock(SPINLOCKS);
      yield* cpu.spinUnlock(SPINLOCKS);
      return;
    default:
  }
}
