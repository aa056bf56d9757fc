/** The cache lines that CPUs waited for, by the names of the words on them: what `perf c2c` shows of a machine one has. */
import type { WatchedLine } from '../engines/simulate/lineWatch.js';
import type { SimulateEngine } from '../engines/simulate/simulateEngine.js';

/** Functions that wait for a line. */
export interface HotWaiter {
  /** The one that waits, and who called it. */
  readonly functions: string;
  /** Of the time that is waited for the line. */
  readonly share: number;
}

/** A cache line that CPUs wait for; or lines that are alike, such as those of all processes. */
export interface HotLine {
  /** Words that are waited for, longest first. Where lines are alike a star stands for what differs. */
  readonly words: readonly string[];
  readonly lines: number;
  /** Of all CPUs' time, that they wait for it. */
  readonly share: number;
  /** Of that, for the line to come to them; the rest is for others to let go of what it holds. */
  readonly transferShare: number;
  readonly transfers: number;
  readonly waiters: readonly HotWaiter[];
}

/** Words and waiters that are told of a line. */
const TOLD_WORDS = 4;
const TOLD_WAITERS = 3;

/**
 * Lines by name, those that are alike as one; the hottest first.
 *
 * @param totalNs - of all CPUs
 */
export function hotLines(
  { vm, memory }: SimulateEngine,
  watched: readonly WatchedLine[],
  totalNs: number,
): HotLine[] {
  const tables = vm.tableNames(memory);
  /** Entries of page tables are named by their table, and the lock of a table as such. */
  const nameOf = (word: number): string => {
    const table = tables.get(vm.wordPfn(word));
    if (table !== undefined) return `${table.name}[${table.pfn}]`;
    const name = vm.nameOf(word);
    const lockOf = /^page\[(\d+)\]\.mapping$/.exec(name);
    return lockOf !== null && tables.has(Number(lockOf[1])) ? `page[${lockOf[1]}].ptl` : name;
  };
  const alike = new Map<string, WatchedLine[]>();
  for (const line of watched) {
    const kind = starred(nameOf(line.words[0]));
    const group = alike.get(kind);
    if (group === undefined) alike.set(kind, [line]);
    else group.push(line);
  }
  return [...alike.values()]
    .map((group) =>
      hotLine(group, group.length === 1 ? nameOf : (word) => starred(nameOf(word)), totalNs),
    )
    .sort((a, b) => b.share - a.share);
}

function starred(name: string): string {
  return name.replaceAll(/\d+(?=\])/g, '*');
}

function hotLine(
  group: readonly WatchedLine[],
  nameOf: (word: number) => string,
  totalNs: number,
): HotLine {
  const transferNs = sum(group.map((line) => line.transferNs));
  const waitNs = transferNs + sum(group.map((line) => line.heldNs));
  const words = new Set(group.flatMap((line) => line.words.slice(0, TOLD_WORDS).map(nameOf)));
  const nsOf = new Map<string, number>();
  for (const waiter of group.flatMap((line) => line.waiters)) {
    const functions = waiter.callers.join(' > ');
    nsOf.set(functions, (nsOf.get(functions) ?? 0) + waiter.waitNs);
  }
  const waiters = [...nsOf].sort(([, a], [, b]) => b - a).slice(0, TOLD_WAITERS);
  return {
    words: [...words].slice(0, TOLD_WORDS),
    lines: group.length,
    share: waitNs / totalNs,
    transferShare: transferNs / waitNs,
    transfers: sum(group.map((line) => line.transfers)),
    waiters: waiters.map(([functions, ns]) => ({ functions, share: ns / waitNs })),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
