/**
 * Accounts for what CPUs wait for, by cache line: for the line to come to them, and for a lock or a value in it that
 * another CPU holds back; on which words of it, and in which functions. What `perf c2c` shows, for any machine.
 *
 * It only looks on. But the engine then performs all operations itself, in order of time: where CPUs would run ahead
 * on lines of their own, times differ by a little.
 */
import type { Word } from '../../base/units.js';
import type { SteppedCpu } from '../stepping.js';

/** Who waited for a line. */
export interface LineWaiter {
  /** The functions of the VM that ran, outermost first; no more than CALLERS of them. */
  readonly callers: readonly string[];
  readonly waitNs: number;
}

/** What was waited for on one line. */
export interface WatchedLine {
  /** Those that were waited for, longest first. */
  readonly words: readonly Word[];
  readonly transfers: number;
  /** Time that CPUs waited for the line itself. */
  readonly transferNs: number;
  /** Time that CPUs waited until a word of it was as they need it: free, for a lock. */
  readonly heldNs: number;
  /** Longest first. */
  readonly waiters: readonly LineWaiter[];
}

/** Functions by which a waiter is told apart: the one that waits, and its caller. */
const CALLERS = 2;

interface LineRecord {
  transfers: number;
  transferNs: number;
  heldNs: number;
  readonly nsOfWord: Map<Word, number>;
  /** By the functions' names, with spaces. */
  readonly nsOfCallers: Map<string, number>;
}

export class LineWatch {
  private readonly records = new Map<number, LineRecord>();
  /** Of each CPU that waits for a word: since when. */
  private readonly sinceNs: Float64Array;

  /** @param lineOf - the number of a word's line */
  constructor(
    private readonly cpus: readonly SteppedCpu[],
    private readonly lineOf: (word: Word) => number,
  ) {
    this.sinceNs = new Float64Array(cpus.length);
  }

  /** A CPU gets the line of the word that its pending operation is on. */
  transferred(cpu: number, ns: number): void {
    const record = this.waited(this.cpus[cpu], ns);
    record.transfers++;
    record.transferNs += ns;
  }

  /** A CPU's pending operation cannot go on. */
  waits(cpu: number, nowNs: number): void {
    this.sinceNs[cpu] = nowNs;
  }

  /** It tries again. */
  woken(cpu: number, nowNs: number): void {
    const ns = nowNs - this.sinceNs[cpu];
    this.waited(this.cpus[cpu], ns).heldNs += ns;
  }

  /** The lines that were waited for longest, first. */
  hottest(limit = Infinity): WatchedLine[] {
    return [...this.records.values()]
      .sort((a, b) => b.transferNs + b.heldNs - a.transferNs - a.heldNs)
      .slice(0, limit)
      .map(({ transfers, transferNs, heldNs, nsOfWord, nsOfCallers }) => ({
        words: longestFirst(nsOfWord).map(([word]) => word),
        transfers,
        transferNs,
        heldNs,
        waiters: longestFirst(nsOfCallers).map(([callers, waitNs]) => {
          return { callers: callers.split(' '), waitNs };
        }),
      }));
  }

  private waited({ x: word, thread }: SteppedCpu, ns: number): LineRecord {
    const line = this.lineOf(word);
    let record = this.records.get(line);
    if (record === undefined) {
      record = {
        transfers: 0,
        transferNs: 0,
        heldNs: 0,
        nsOfWord: new Map(),
        nsOfCallers: new Map(),
      };
      this.records.set(line, record);
    }
    const callers = thread!.callers().slice(-CALLERS).join(' ');
    record.nsOfWord.set(word, (record.nsOfWord.get(word) ?? 0) + ns);
    record.nsOfCallers.set(callers, (record.nsOfCallers.get(callers) ?? 0) + ns);
    return record;
  }
}

function longestFirst<K>(nsOf: ReadonlyMap<K, number>): [K, number][] {
  return [...nsOf].sort(([, a], [, b]) => b - a);
}
