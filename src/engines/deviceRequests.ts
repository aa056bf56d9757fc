/**
 * Requests to a device: how many there were, and which are to fail. A few words, so that all threads of a
 * machine can share them.
 */
import { InputError } from '../base/errors.js';
import { Prng } from '../base/prng.js';
import type { Word } from '../base/units.js';
import type { Device } from './device.js';

/** Which requests are to fail. */
export interface DeviceFaults {
  /** One request, counted from the next one, which is 1; without, none. */
  readonly nth?: number;
  /** Of each request, from 0 to 1. */
  readonly probability?: number;
  /** Chooses which, where there is a probability. */
  readonly seed?: number;
}

/** Requests since the machine was made. */
export interface DeviceCounts {
  readonly reads: number;
  readonly writes: number;
  readonly failedReads: number;
  readonly failedWrites: number;
}

const REQUESTS = 0;
const WRITES = 1;
const FAILED_READS = 2;
const FAILED_WRITES = 3;
/** Number of the request that is to fail; 0 = none. */
const FAIL_AT = 4;
/** In units of 1 / CERTAIN. */
const PROBABILITY = 5;
const SEED = 6;
const WORDS = 7;

const CERTAIN = 2 ** 30;
/** Odd, so that no two requests have the same choice. */
const SEED_STEP = 0x9e3779b1;

export class DeviceRequests {
  /** @param words - of the same machine in another thread */
  constructor(readonly words: Int32Array = new Int32Array(new SharedArrayBuffer(WORDS * 4))) {}

  /**
   * From now on these requests fail, and no others.
   *
   * @throws InputError when there are no such requests
   */
  fail({ nth, probability = 0, seed = 0 }: DeviceFaults): void {
    if (!(nth === undefined || nth >= 1)) {
      throw new InputError('DEVICE_FAULTS', `request to fail: got ${nth}, expected 1 or more`);
    }
    if (!(probability >= 0 && probability <= 1)) {
      throw new InputError('DEVICE_FAULTS', `probability: got ${probability}, expected 0 to 1`);
    }
    const { words } = this;
    Atomics.store(words, FAIL_AT, nth === undefined ? 0 : Atomics.load(words, REQUESTS) + nth);
    Atomics.store(words, SEED, seed);
    Atomics.store(words, PROBABILITY, Math.round(probability * CERTAIN));
  }

  /** Whether any request may be told to fail. */
  get mayFail(): boolean {
    const { words } = this;
    return Atomics.load(words, PROBABILITY) !== 0 || Atomics.load(words, FAIL_AT) !== 0;
  }

  counts(): DeviceCounts {
    const { words } = this;
    const writes = Atomics.load(words, WRITES);
    return {
      reads: Atomics.load(words, REQUESTS) - writes,
      writes,
      failedReads: Atomics.load(words, FAILED_READS),
      failedWrites: Atomics.load(words, FAILED_WRITES),
    };
  }

  /** Counts a request. @returns whether it is to fail */
  begin(isWrite: boolean): boolean {
    const { words } = this;
    const number = Atomics.add(words, REQUESTS, 1) + 1;
    if (isWrite) Atomics.add(words, WRITES, 1);
    if (number === Atomics.load(words, FAIL_AT)) return true;
    const probability = Atomics.load(words, PROBABILITY);
    if (probability === 0) return false;
    const choice = new Prng(Atomics.load(words, SEED) + Math.imul(number, SEED_STEP));
    return choice.below(CERTAIN) < probability;
  }

  countFailure(isWrite: boolean): void {
    Atomics.add(this.words, isWrite ? FAILED_WRITES : FAILED_READS, 1);
  }
}

/** A device whose requests are counted, and fail where they are to. */
export class CountedDevice implements Device {
  constructor(
    private readonly device: Device,
    private readonly requests: DeviceRequests,
  ) {}

  read(words: Int32Array, frame: Word, file: number, index: number): boolean {
    const could = !this.requests.begin(false) && this.device.read(words, frame, file, index);
    if (!could) this.requests.countFailure(false);
    return could;
  }

  write(words: Int32Array, frame: Word, file: number, index: number): boolean {
    const could = !this.requests.begin(true) && this.device.write(words, frame, file, index);
    if (!could) this.requests.countFailure(true);
    return could;
  }

  truncate(file: number, index: number): void {
    this.device.truncate(file, index);
  }
}
