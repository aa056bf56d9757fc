/** Which locks each thread of a schedule holds, and since when. */
import type { ScheduleStep } from '../engines/explore/schedule.js';

/** A lock that a thread holds. */
export interface Held {
  readonly thread: number;
  readonly word: string;
  /** The operation that took it. */
  readonly operation: string;
  /** Index of the step that took it. */
  readonly since: number;
  /** The function that took it. */
  readonly function: string;
}

/** By what each operation gives back, what can have taken it. */
const TAKEN_BY: Readonly<Record<string, readonly string[]>> = {
  spinUnlock: ['spinLock'],
  upRead: ['downRead', 'tryDownRead'],
  upWrite: ['downWrite', 'tryDownWrite'],
  unlockBit: ['lockBit', 'tryLockBit'],
};

const TAKING = new Set(Object.values(TAKEN_BY).flat());

/** Whether a step takes a lock. One that only tries, and fails, leaves its word as it is. */
export function takesLock({ operation, before, after }: ScheduleStep): boolean {
  return TAKING.has(operation) && before !== after;
}

export function givesLock({ operation }: ScheduleStep): boolean {
  return TAKEN_BY[operation] !== undefined;
}

/** Whether an operation is one on a lock, whatever comes of it. */
export function isLockOperation(operation: string): boolean {
  return TAKING.has(operation) || TAKEN_BY[operation] !== undefined;
}

/** Whether several may hold a lock at once that was taken so. */
export function isShareable(operation: string): boolean {
  return operation === 'downRead' || operation === 'tryDownRead';
}

/** The locks that are held, as a schedule goes on. */
export class LockBook {
  private held: (Held & { readonly bits: number })[] = [];

  heldBy(thread: number): readonly Held[] {
    return this.held.filter((lock) => lock.thread === thread);
  }

  /** Who else holds what an operation on a word would take. */
  holdersOf(word: string, butFor: number): readonly Held[] {
    return this.held.filter((lock) => lock.word === word && lock.thread !== butFor);
  }

  step(step: ScheduleStep, index: number): void {
    if (takesLock(step)) {
      const { thread, word, operation, operands } = step;
      const bits = TAKEN_BY.unlockBit.includes(operation) ? operands[0] : 0;
      this.held.push({ thread, word, operation, since: index, function: step.function, bits });
    } else {
      this.release(step);
    }
  }

  /** A lock that is a bit may be given back by whoever stores a value without it. */
  private release({ thread, word, operation, after }: ScheduleStep): void {
    const takers = TAKEN_BY[operation] ?? [];
    const gone = (lock: Held & { readonly bits: number }): boolean => {
      if (lock.word !== word) return false;
      if (lock.bits !== 0) return (after & lock.bits) === 0;
      return lock.thread === thread && takers.includes(lock.operation);
    };
    // A reader may hold a semaphore more than once: the last one goes.
    const found = this.held.findLastIndex(gone);
    if (found >= 0) this.held.splice(found, 1);
  }
}

/** The locks that are held when a schedule has ended. */
export function lockedAtEnd(steps: readonly ScheduleStep[]): LockBook {
  const book = new LockBook();
  steps.forEach((step, index) => book.step(step, index));
  return book;
}
