/**
 * Who holds which cache line, and what it costs to get it: a simple directory protocol. A line is
 * held by one CPU that may write it, or by any number that may read it. It moves to one CPU at a
 * time: requests queue.
 */
import type { Word } from '../../base/units.js';
import type { MachineCosts } from './costs.js';
import type { LineWatch } from './lineWatch.js';
import { hops, type Topology } from './machine.js';

/** Bytes of a word. */
const WORD_BYTES = 4;

/** Transfers and waiting on one line, by the name of a word on it. */
export interface LineTraffic {
  readonly word: Word;
  readonly transfers: number;
  /** Time that CPUs waited for it. */
  readonly waitNs: number;
}

export class CacheLines {
  /** Accounts for transfers, where asked to. */
  watch: LineWatch | undefined;
  /** log2 of the words of a line. */
  private readonly shift: number;
  private readonly costs: MachineCosts;
  /** Record of each line plus 1; 0 = never touched. */
  private readonly recordOf: Int32Array;
  private readonly bitWords: number;
  private lines: Int32Array = new Int32Array(1024);
  private owners = new Int32Array(1024);
  private freeAtNs = new Float64Array(1024);
  private transfers = new Float64Array(1024);
  private waits = new Float64Array(1024);
  /** One bit per CPU that may read the line. */
  private sharers: Int32Array;
  private count = 0;

  constructor(
    totalWords: number,
    cpus: number,
    private readonly nodeOf: (cpu: number) => number,
    private readonly machine: Topology & { readonly costs: MachineCosts },
  ) {
    this.costs = machine.costs;
    this.shift = Math.log2(machine.lineBytes / WORD_BYTES);
    this.recordOf = new Int32Array((totalWords >> this.shift) + 1);
    this.bitWords = (cpus + 31) >> 5;
    this.sharers = new Int32Array(1024 * this.bitWords);
  }

  /** @returns when a read that starts at `nowNs` is done */
  read(word: Word, cpu: number, nowNs: number): number {
    const line = this.lineOf(word, cpu);
    if (this.holds(line, cpu)) return nowNs + this.costs.hitNs;
    const done = this.transfer(line, cpu, nowNs, 0);
    this.addSharer(line, cpu);
    return done;
  }

  /**
   * @param extraNs - added to a transfer, for those who spin on the line
   * @returns when a write or an atomic operation that starts at `nowNs` is done
   */
  write(word: Word, cpu: number, nowNs: number, atomic: boolean, extraNs = 0): number {
    const line = this.lineOf(word, cpu);
    const own = atomic ? this.costs.atomicNs : 0;
    if (this.owners[line] === cpu && this.holdsAlone(line, cpu))
      return nowNs + this.costs.hitNs + own;
    const done = this.transfer(line, cpu, nowNs, extraNs) + own;
    this.sharers.fill(0, line * this.bitWords, (line + 1) * this.bitWords);
    this.addSharer(line, cpu);
    this.owners[line] = cpu;
    return done;
  }

  /** The lines that moved most, first. */
  hottest(limit: number): LineTraffic[] {
    const records = Array.from({ length: this.count }, (_, line) => line);
    records.sort((a, b) => this.waits[b] - this.waits[a]);
    return records.slice(0, limit).map((line) => ({
      word: this.lines[line] << this.shift,
      transfers: this.transfers[line],
      waitNs: this.waits[line],
    }));
  }

  private transfer(line: number, cpu: number, nowNs: number, extraNs: number): number {
    const start = Math.max(nowNs, this.freeAtNs[line]);
    const done = start + this.latency(this.owners[line], cpu) + extraNs;
    this.freeAtNs[line] = done;
    this.transfers[line] = this.transfers[line] + 1;
    this.waits[line] = this.waits[line] + done - nowNs;
    this.watch?.transferred(cpu, done - nowNs);
    return done;
  }

  private latency(from: number, to: number): number {
    const distance = hops(this.machine, this.nodeOf(from), this.nodeOf(to));
    if (distance === 0) return this.costs.sameNodeNs;
    return this.costs.firstHopNs + (distance - 1) * this.costs.hopNs;
  }

  /** A line that nobody has touched is taken to lie with the first CPU that does. */
  private lineOf(word: Word, cpu: number): number {
    const number = word >> this.shift;
    const known = this.recordOf[number];
    if (known !== 0) return known - 1;
    const line = this.count++;
    if (line === this.owners.length) this.grow();
    this.recordOf[number] = line + 1;
    this.lines[line] = number;
    this.owners[line] = cpu;
    this.addSharer(line, cpu);
    return line;
  }

  private holds(line: number, cpu: number): boolean {
    return (this.sharers[line * this.bitWords + (cpu >> 5)] & (1 << (cpu & 31))) !== 0;
  }

  private holdsAlone(line: number, cpu: number): boolean {
    const base = line * this.bitWords;
    for (let i = 0; i < this.bitWords; i++) {
      const mine = i === cpu >> 5 ? 1 << (cpu & 31) : 0;
      if (this.sharers[base + i] !== mine) return false;
    }
    return true;
  }

  private addSharer(line: number, cpu: number): void {
    const index = line * this.bitWords + (cpu >> 5);
    this.sharers[index] = this.sharers[index] | (1 << (cpu & 31));
  }

  private grow(): void {
    const size = this.owners.length * 2;
    this.lines = grown(this.lines, new Int32Array(size));
    this.owners = grown(this.owners, new Int32Array(size));
    this.freeAtNs = grown(this.freeAtNs, new Float64Array(size));
    this.transfers = grown(this.transfers, new Float64Array(size));
    this.waits = grown(this.waits, new Float64Array(size));
    this.sharers = grown(this.sharers, new Int32Array(size * this.bitWords));
  }
}

function grown<T extends Int32Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
