/**
 * Seeded random numbers, so that each run can be replayed.
 * Algorithm: mulberry32, 32 bits of state; quality is ample for choosing schedules and addresses.
 */
export class Prng {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** @returns an integer in [0, 2^32) */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** @returns an integer in [0, bound), for a bound of at most 2^32 */
  below(bound: number): number {
    return Math.floor((this.next() / 2 ** 32) * bound);
  }

  /** @returns the same items in random order */
  shuffled<T>(items: readonly T[]): T[] {
    const order = [...items];
    for (let last = order.length - 1; last > 0; last--) {
      const other = this.below(last + 1);
      const item = order[last];
      order[last] = order[other];
      order[other] = item;
    }
    return order;
  }

  /** @returns a double in [0, 1) */
  fraction(): number {
    return this.next() / 2 ** 32;
  }
}
