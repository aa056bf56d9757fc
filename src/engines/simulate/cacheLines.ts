/**
 * Who holds which cache line, and what it costs to get it: a simple directory protocol. A line is
 * held by one CPU that may write it, or by any number that may read it. It moves to one CPU at a
 * time: requests queue.
 *
 * Most lines are touched by one CPU only; who has them stands in one array. A line that has ever moved has a record.
 */
import type { Word } from '../../base/units.js';
import type { Clock } from './clock.js';
import type { MachineCosts } from './costs.js';
import type { LineWatch } from './lineWatch.js';
import { hops, type Topology } from './machine.js';

/** Bytes of a word. */
const WORD_BYTES = 4;

/** Instead of a holder: nobody has touched the line, or several CPUs have it to read. */
const UNTOUCHED = 0;
const SHARED = -1;

/**
 * Accesses of the running CPU to lines that it holds, which the timed forms of the VM ask for before each operation.
 *
 * @returns whether the access is a hit and the CPU may go on by itself; then its clock has moved
 */
export interface Hits {
  readonly reads: (word: Word) => boolean;
  readonly writes: (word: Word) => boolean;
  /** An atomic operation. */
  readonly updates: (word: Word) => boolean;
}

export class CacheLines {
  /** Accounts for transfers, where asked to. */
  watch: LineWatch | undefined;
  /** Words of a line, and log2 of that. */
  readonly lineWords: number;
  private readonly shift: number;
  private readonly costs: MachineCosts;
  /** For each line, the CPU that alone has it, plus 1, or what stands instead. */
  private readonly holders: Int16Array;
  /** The same, two lines to an element. */
  private readonly pairs: Int32Array;
  /** Record of each line plus 1; 0 = it has never moved. */
  private readonly recordOf: Int32Array;
  private readonly bitWords: number;
  private owners = new Int32Array(1024);
  private freeAtNs = new Float64Array(1024);
  /** One bit per CPU that may read the line. */
  private sharers: Int32Array;
  private count = 0;
  /** The lines of words that do not lie where the layout has them. */
  private readonly moved: ReadonlyMap<Word, number> | undefined;

  /** @param ownLines - words that lie on a line of their own together, in place of where the layout has them */
  constructor(
    totalWords: number,
    cpus: number,
    private readonly nodeOf: (cpu: number) => number,
    private readonly machine: Topology & { readonly costs: MachineCosts },
    ownLines: readonly (readonly Word[])[] = [],
  ) {
    this.costs = machine.costs;
    this.lineWords = machine.lineBytes / WORD_BYTES;
    this.shift = Math.log2(this.lineWords);
    const laidOut = (totalWords >> this.shift) + 1;
    if (ownLines.length > 0) {
      const lineOf = (words: readonly Word[], line: number): [Word, number][] =>
        words.map((word) => [word, laidOut + line]);
      this.moved = new Map(ownLines.flatMap(lineOf));
    }
    const lines = 2 * ((laidOut + ownLines.length + 1) >> 1);
    this.holders = new Int16Array(lines);
    this.pairs = new Int32Array(this.holders.buffer);
    this.recordOf = new Int32Array(lines);
    this.bitWords = (cpus + 31) >> 5;
    this.sharers = new Int32Array(1024 * this.bitWords);
  }

  /** The line of a word, by number. */
  lineOf(word: Word): number {
    return this.moved?.get(word) ?? word >> this.shift;
  }

  /** @returns when a read that starts at `nowNs` is done */
  read(word: Word, cpu: number, nowNs: number): number {
    const line = this.lineOf(word);
    if (this.mayRead(line, cpu)) return nowNs + this.costs.hitNs;
    const record = this.record(line);
    const done = this.transfer(record, cpu, nowNs, 0);
    this.addSharer(record, cpu);
    this.holders[line] = SHARED;
    return done;
  }

  /**
   * @param extraNs - added to a transfer, for those who spin on the line
   * @returns when a write or an atomic operation that starts at `nowNs` is done
   */
  write(word: Word, cpu: number, nowNs: number, atomic: boolean, extraNs = 0): number {
    const line = this.lineOf(word);
    const own = atomic ? this.costs.atomicNs : 0;
    if (this.mayWrite(line, cpu)) return nowNs + this.costs.hitNs + own;
    const record = this.record(line);
    const done = this.transfer(record, cpu, nowNs, extraNs) + own;
    for (let index = record * this.bitWords; index < (record + 1) * this.bitWords; index++) {
      this.sharers[index] = 0;
    }
    this.addSharer(record, cpu);
    this.owners[record] = cpu;
    this.holders[line] = cpu + 1;
    return done;
  }

  /** The same for the CPU that a clock shows, without the engine: priced as `read` and `write` price a hit. */
  hits(clock: Clock): Hits {
    const { running } = clock;
    const { holders, recordOf, shift, moved } = this;
    const { hitNs, atomicNs } = this.costs;
    // Ahead of the others only where none has ever been: else races would go unseen.
    const mayGo = (line: number): boolean => clock.inTurn || recordOf[line] === 0;
    return {
      reads: (word) => {
        const line = moved === undefined ? word >> shift : this.lineOf(word);
        const cpu = running[0];
        const holds =
          holders[line] === cpu || (holders[line] === SHARED && this.shares(line, cpu - 1));
        if (!holds || !mayGo(line)) return false;
        clock.advance(hitNs);
        return true;
      },
      writes: (word) => {
        const line = moved === undefined ? word >> shift : this.lineOf(word);
        if (holders[line] !== running[0] || !mayGo(line)) return false;
        clock.advance(hitNs);
        return true;
      },
      updates: (word) => {
        const line = moved === undefined ? word >> shift : this.lineOf(word);
        if (holders[line] !== running[0] || !mayGo(line)) return false;
        clock.advance(hitNs);
        clock.advance(atomicNs);
        return true;
      },
    };
  }

  /**
   * @param word - the first of a line
   * @param end - the same, behind the last
   * @returns the first word of the next line from `word` on that some CPU has touched, or `end`
   */
  nextTouched(word: Word, end: Word): Word {
    const { holders, pairs, shift } = this;
    const endLine = end >> shift;
    for (let line = word >> shift; line < endLine; line++) {
      while ((line & 1) === 0 && line < endLine && pairs[line >> 1] === 0) line += 2;
      if (line < endLine && holders[line] !== UNTOUCHED) return line << shift;
    }
    return end;
  }

  private transfer(record: number, cpu: number, nowNs: number, extraNs: number): number {
    const start = Math.max(nowNs, this.freeAtNs[record]);
    const done = start + this.latency(this.owners[record], cpu) + extraNs;
    this.freeAtNs[record] = done;
    this.watch?.transferred(cpu, done - nowNs);
    return done;
  }

  private latency(from: number, to: number): number {
    const distance = hops(this.machine, this.nodeOf(from), this.nodeOf(to));
    if (distance === 0) return this.costs.sameNodeNs;
    return this.costs.firstHopNs + (distance - 1) * this.costs.hopNs;
  }

  /** A line that nobody has touched is taken to lie with the first CPU that does. */
  private mayWrite(line: number, cpu: number): boolean {
    if (this.holders[line] === UNTOUCHED) this.holders[line] = cpu + 1;
    return this.holders[line] === cpu + 1;
  }

  private mayRead(line: number, cpu: number): boolean {
    return this.mayWrite(line, cpu) || (this.holders[line] === SHARED && this.shares(line, cpu));
  }

  /** Whether a CPU is among those that have a shared line. */
  private shares(line: number, cpu: number): boolean {
    const record = this.recordOf[line] - 1;
    return (this.sharers[record * this.bitWords + (cpu >> 5)] & (1 << (cpu & 31))) !== 0;
  }

  /** The record of a line that is about to move. */
  private record(line: number): number {
    const known = this.recordOf[line];
    if (known !== 0) return known - 1;
    const record = this.count++;
    if (record === this.owners.length) this.grow();
    this.recordOf[line] = record + 1;
    this.owners[record] = this.holders[line] - 1;
    this.addSharer(record, this.owners[record]);
    return record;
  }

  private addSharer(record: number, cpu: number): void {
    const index = record * this.bitWords + (cpu >> 5);
    this.sharers[index] = this.sharers[index] | (1 << (cpu & 31));
  }

  private grow(): void {
    const size = this.owners.length * 2;
    this.owners = grown(this.owners, new Int32Array(size));
    this.freeAtNs = grown(this.freeAtNs, new Float64Array(size));
    this.sharers = grown(this.sharers, new Int32Array(size * this.bitWords));
  }
}

function grown<T extends Int32Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
