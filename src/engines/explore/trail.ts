/**
 * What an execution has changed in memory, in order, so that it can be taken back; and a hash of the state, kept as
 * it changes.
 */
import type { Word } from '../../base/units.js';

/** Changed words, and steps, that there is room for at first. */
const CAPACITY = 4096;

/** @returns an array twice as long that begins with the same */
export function enlarged(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}

export class Trail {
  /** Changes so far. */
  private length = 0;
  /** Sums over all words of a hash of the word and its value, less those of the first state: two, mod 2^32. */
  private low = 0;
  private high = 0;
  private at = new Int32Array(CAPACITY);
  private old = new Int32Array(CAPACITY);
  /** `length`, `low` and `high` before each step. */
  private marks = new Int32Array(3 * CAPACITY);
  private readonly page: Int32Array;

  constructor(
    private readonly words: Int32Array,
    pageWords: number,
  ) {
    this.page = new Int32Array(pageWords);
  }

  /** A number that tells states apart: two that differ have the same one with a probability of 2^-53. */
  get hash(): number {
    return (this.high >>> 0) * 2 ** 21 + (this.low >>> 11);
  }

  /** A word has changed. @param old - what it was */
  note(word: Word, old: number): void {
    if (this.length === this.at.length) {
      this.at = enlarged(this.at);
      this.old = enlarged(this.old);
    }
    this.at[this.length] = word;
    this.old[this.length++] = old;
    this.count(word, this.words[word], 1);
    this.count(word, old, -1);
  }

  /** Does something that may change a page of words, and notes what it has changed. */
  notePage<T>(first: Word, change: () => T): T {
    const { page, words } = this;
    page.set(words.subarray(first, first + page.length));
    const result = change();
    for (let offset = 0; offset < page.length; offset++) {
      if (words[first + offset] !== page[offset]) this.note(first + offset, page[offset]);
    }
    return result;
  }

  /** A step begins. */
  mark(step: number): void {
    if (3 * step + 2 >= this.marks.length) this.marks = enlarged(this.marks);
    this.marks[3 * step] = this.length;
    this.marks[3 * step + 1] = this.low;
    this.marks[3 * step + 2] = this.high;
  }

  /** Takes back what a step that was marked has changed, and all after it. */
  rollBack(step: number): void {
    const { words, at, old, marks } = this;
    const length = marks[3 * step];
    for (let index = this.length - 1; index >= length; index--) words[at[index]] = old[index];
    this.length = length;
    this.low = marks[3 * step + 1];
    this.high = marks[3 * step + 2];
  }

  private count(word: Word, value: number, sign: 1 | -1): void {
    let mixed = Math.imul(word + 1, 0x9e3779b1) ^ Math.imul(value + 0x7f4a7c15, 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
    mixed ^= mixed >>> 12;
    this.low = (this.low + sign * mixed) | 0;
    mixed = Math.imul(mixed ^ word, 0x297a2d39);
    mixed ^= mixed >>> 15;
    this.high = (this.high + sign * mixed) | 0;
  }
}
