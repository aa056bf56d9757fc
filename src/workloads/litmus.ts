/**
 * Small random programs on a few words, to check the checker: what a search with reduction finds of them is compared
 * with what a search without finds (engines/explore/litmus.test.ts).
 *
 * Words, all 0 at first, in a frame that an otherwise idle machine does not use: a few that are shared, a spinlock
 * each of two, a semaphore, a word of lock bits, and one word a program for what it has seen.
 */
import { Prng } from '../base/prng.js';
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { CPUS, FRAMES } from '../hardware/machine.js';

const SHARED_WORDS = 2;
const SHARED: Word = frameOf(FRAMES - 2);
const LOCKS: Word = SHARED + SHARED_WORDS;
const SEMAPHORE: Word = LOCKS + 2;
const BITS: Word = SEMAPHORE + 2;
const SEEN: Word = BITS + 1;

/** What a random program is made of; those with locks may deadlock. */
const ACTIONS = 17;
/** An address whose translation CPUs put into their TLBs and take from each other's. */
const ADDRESS = 0x4000_0000;

/**
 * Does a few random things, as a seed says.
 *
 * @param actions - how many
 * @param number - of the program: no other that runs beside it has the same
 * @returns 0
 */
export function* litmus(cpu: Cpu, seed: number, actions: number, number: number): Op<number> {
  const random = new Prng(seed);
  let seen = 0;
  for (let action = 0; action < actions; action++) {
    const word = SHARED + random.below(SHARED_WORDS);
    const value = 1 + random.below(3);
    seen = Math.imul(seen, 31) + (yield* act(cpu, random.below(ACTIONS), word, value));
  }
  yield* cpu.writeOnce(SEEN + number, seen);
  return 0;
}

/** @returns what it saw */
function* act(cpu: Cpu, action: number, word: Word, value: number): Op<number> {
  switch (action) {
    case 0:
    case 1:
      return yield* cpu.readOnce(word);
    case 2:
      yield* cpu.writeOnce(word, value);
      return 0;
    case 3:
      return (yield* cpu.cas(word, value - 1, value)) ? 1 : 2;
    case 4:
      return yield* cpu.add(word, value);
    case 5:
    case 6:
      yield* cpu.add(word, value);
      return 0;
    case 7:
      return yield* cpu.xchg(word, value);
    case 8:
      return yield* locked(cpu, LOCKS, word, value);
    case 9:
      return yield* nested(cpu, value, word);
    case 10:
      yield* cpu.downRead(SEMAPHORE);
      return yield* readAndUp(cpu, word);
    case 11:
      if (!(yield* cpu.tryDownRead(SEMAPHORE))) return 5;
      return yield* readAndUp(cpu, word);
    case 12:
      yield* cpu.downWrite(SEMAPHORE);
      yield* cpu.writeOnce(word, value);
      yield* cpu.upWrite(SEMAPHORE);
      return 0;
    case 13:
      return yield* bits(cpu, word, value);
    case 14:
      yield* cpu.interrupts();
      cpu.tlb.fill(ADDRESS, value, false);
      return yield* cpu.readOnce(word);
    case 15:
      yield* cpu.interrupts();
      return cpu.tlb.lookup(ADDRESS);
    default:
      yield* cpu.writeOnce(word, value);
      yield* cpu.invalidate((cpu.id + 1) % CPUS, ADDRESS);
      return 0;
  }
}

function* locked(cpu: Cpu, lock: Word, word: Word, value: number): Op<number> {
  yield* cpu.spinLock(lock);
  const old = yield* cpu.readOnce(word);
  yield* cpu.writeOnce(word, old + value);
  yield* cpu.spinUnlock(lock);
  return old;
}

/** Takes both locks, in an order that depends on `value`: two such CPUs may wait for each other. */
function* nested(cpu: Cpu, value: number, word: Word): Op<number> {
  const outer = LOCKS + (value & 1);
  yield* cpu.spinLock(outer);
  const old = yield* locked(cpu, LOCKS + 1 - (value & 1), word, value);
  yield* cpu.spinUnlock(outer);
  return old;
}

function* readAndUp(cpu: Cpu, word: Word): Op<number> {
  const seen = yield* cpu.readOnce(word);
  yield* cpu.upRead(SEMAPHORE);
  return seen;
}

/** Takes a lock that is a bit of a word whose other bits change at any time. */
function* bits(cpu: Cpu, word: Word, value: number): Op<number> {
  if (value === 1) return (yield* cpu.or(BITS, 4)) & 1;
  if (value === 2) {
    if (!(yield* cpu.tryLockBit(BITS, 1))) return 7;
  } else {
    yield* cpu.lockBit(BITS, 1);
  }
  const old = yield* cpu.readOnce(word);
  yield* cpu.unlockBit(BITS, 1);
  return old;
}
