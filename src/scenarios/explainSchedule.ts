/**
 * Tells what in a failing schedule matters: which of its steps play a part, which can be folded, and why the CPUs
 * take turns where they do. Pure: text and page (cli/) show the same.
 *
 * A word matters when the failure names it, when it is the reason of a switch, or when threads hand it to each
 * other without a lock in common. All else is either a thread's own or kept in order by a lock, such as the lists
 * of free pages: any order of it would do.
 */
import type { ScheduleStep } from '../engines/explore/schedule.js';
import { ARCHES, type Arch } from '../hardware/arch/index.js';
import type { Counterexample, WaitingThread } from './counterexample.js';
import {
  LockBook,
  givesLock,
  isLockOperation,
  isShareable,
  lockedAtEnd,
  takesLock,
  type Held,
} from './locks.js';
import { isFailedCas, pendingInWords, valueInBrief, valueInWords } from './stepWords.js';
import {
  changes,
  commute,
  wordHistories,
  wordsOf,
  type Access,
  type Turn,
  type WordHistory,
} from './wordHistory.js';

/** What is shown, in order. Indices of steps count from 0; people read them from 1. */
export type Row =
  | {
      readonly kind: 'step';
      readonly index: number;
      /** Whether the reason of a switch tells of it. */
      readonly cited: boolean;
    }
  | {
      /** Steps [first, end) of one thread that play no part. */
      readonly kind: 'fold';
      readonly thread: number;
      readonly first: number;
      readonly end: number;
      /** The outermost functions that begin and end in it. */
      readonly functions: readonly string[];
    }
  | {
      /** Before step `index`. */
      readonly kind: 'switch';
      readonly index: number;
      /** What became of the thread that went before, and which goes on. */
      readonly title: string;
      readonly reasons: readonly string[];
    };

export interface Explanation {
  readonly rows: readonly Row[];
  /** Words that matter, by name. */
  readonly words: ReadonlySet<string>;
}

/** @param all - whether every step is shown */
export function explain(counterexample: Counterexample, all = false): Explanation {
  const analysis = new Analysis(counterexample);
  const switches = analysis.switches();
  const words = analysis.wordsThatMatter(switches);
  const shown = all ? counterexample.steps.map(() => true) : analysis.stepsThatMatter(words);
  return { rows: rowsOf(counterexample.steps, shown, switches), words };
}

/** Something that a switch brings about, and how much it tells. */
interface Reason {
  readonly words: readonly string[];
  /** The steps that it cites. */
  readonly accesses: readonly Access[];
  readonly text: string;
  readonly strength: number;
}

interface Switch {
  readonly index: number;
  readonly title: string;
  readonly reasons: readonly Reason[];
}

/** Most switches lose and tear no value: what a turn does otherwise is told only where it does neither. */
const STRENGTH = {
  lost: 8,
  torn: 8,
  casFails: 5,
  changedAndBack: 4,
  between: 4,
  changed: 3,
  overwritten: 2,
  found: 1,
  /** Added where the failure names the word, or the thread that was preempted is about to use it. */
  named: 3,
  about: 2,
} as const;

const REASONS_MAX = 2;

const CHANGING = /^(store|writeOnce|cas|xchg|add|or$|and$)/;

class Analysis {
  private readonly arch: Arch;
  private readonly steps: readonly ScheduleStep[];
  private readonly byWord: ReadonlyMap<string, WordHistory>;
  private readonly contended: ReadonlySet<string>;
  /** What the thread of each step holds as it goes. */
  private readonly held: (readonly Held[])[] = [];
  private readonly heldAtEnd = new LockBook();
  private readonly unordered: ReadonlySet<string>;
  private readonly namedByFailure: ReadonlySet<string>;

  constructor(private readonly counterexample: Counterexample) {
    this.arch = ARCHES[counterexample.arch];
    this.steps = counterexample.steps;
    this.byWord = wordHistories(this.steps);
    this.contended = new Set(this.steps.flatMap(({ shared, word }) => (shared ? [word] : [])));
    this.steps.forEach((step, index) => {
      this.held.push(this.heldAtEnd.heldBy(step.thread));
      this.heldAtEnd.step(step, index);
    });
    const words = [...this.byWord.keys()];
    this.unordered = new Set(words.filter((word) => this.isUnordered(word)));
    this.namedByFailure = new Set(words.filter((word) => this.isNamed(word)));
  }

  /** Whether a failure is about a word. */
  private isNamed(word: string): boolean {
    return this.counterexample.failures.some((failure) => {
      const at = failure.indexOf(word);
      return at >= 0 && !/[\w.[]/.test(failure.charAt(at + word.length));
    });
  }

  /** Whether a thread takes a word over from another with no lock that both held at it. */
  private isUnordered(word: string): boolean {
    const last = new Map<number, Access>();
    const lastChange = new Map<number, Access>();
    /** Of each pair of threads, how far the one has taken over from the other under a lock. */
    const takenOver = new Map<string, number>();
    for (const access of this.byWord.get(word)!.all) {
      for (const [thread, previous] of last) {
        const pair = `${thread} ${access.thread}`;
        if (this.shareLock(previous.index, access.index)) takenOver.set(pair, previous.index);
      }
      for (const [thread, previous] of changes(access) ? last : lastChange) {
        if (thread === access.thread || commute(previous, access)) continue;
        // Locks exclude each other by what they are.
        if (previous.kind === 'lock' && access.kind === 'lock') continue;
        const taken = takenOver.get(`${thread} ${access.thread}`) ?? -1;
        if (taken < previous.index) return true;
      }
      last.set(access.thread, access);
      if (changes(access)) lastChange.set(access.thread, access);
    }
    return false;
  }

  private shareLock(a: number, b: number): boolean {
    return this.held[a].some((mine) =>
      this.held[b].some(
        (other) =>
          mine.word === other.word &&
          !(isShareable(mine.operation) && isShareable(other.operation)),
      ),
    );
  }

  switches(): Switch[] {
    const { steps } = this;
    const turns: Turn[] = [];
    let first = 0;
    for (let end = 1; end <= steps.length; end++) {
      const { thread } = steps[first];
      if (end < steps.length && steps[end].thread === thread) continue;
      turns.push({ thread, first, end });
      first = end;
    }
    const book = new LockBook();
    const begun = new Set<number>();
    return turns.flatMap((turn) => {
      const { thread, first: index, end } = turn;
      const goes = `${this.cpuName(thread)} ${begun.has(thread) ? 'goes on' : 'begins'}`;
      begun.add(thread);
      const left = this.leftInWords(steps[index], book);
      for (let at = index; at < end; at++) book.step(steps[at], at);
      if (left === undefined) return [];
      return [{ index, title: `${left}; ${goes}`, reasons: this.reasonsOf(turn) }];
    });
  }

  private cpuName(thread: number): string {
    return `cpu ${this.counterexample.threads[thread].cpu}`;
  }

  /** What became of the thread before a switch. @param locks - that are held then */
  private leftInWords({ left }: ScheduleStep, locks: LockBook): string | undefined {
    if (left === undefined) return undefined;
    const { thread, state, pending } = left;
    const who = this.cpuName(thread);
    if (pending === undefined) return `${who} has ended`;
    const what = pendingInWords(pending, this.arch);
    if (state === 'preempted') return `${who} is preempted, about to ${what}`;
    const holders = locks.holdersOf(pending.word, thread).map((held) => this.heldInWords(held));
    return `${who} waits to ${what}${holders.length === 0 ? '' : `: ${holders.join('; ')}`}`;
  }

  private heldInWords(held: Held): string {
    return heldInWords(this.counterexample, held);
  }

  /** Why it matters that a turn begins here: what it does to others, and what others have done to it. */
  private reasonsOf(turn: Turn): Reason[] {
    const { left } = this.steps[turn.first];
    const reasons = this.locksForGood(turn);
    const touched = new Set(this.steps.slice(turn.first, turn.end).flatMap(wordsOf));
    for (const word of touched) {
      const history = this.byWord.get(word)!;
      const mine = history.within(turn);
      if (mine.length === 0) continue;
      const found = [
        this.findsChange(word, history, mine[0]),
        ...this.othersOf(turn.thread).flatMap((other) => [
          this.changesUnder(word, history, mine, other, turn),
          this.tears(word, history, mine, other, turn),
        ]),
      ];
      const named = this.namedByFailure.has(word);
      const least = named || this.unordered.has(word) ? STRENGTH.found : STRENGTH.lost;
      const [best] = found
        .filter((reason) => reason !== undefined)
        .filter(({ strength }) => strength >= least)
        .sort(byStrength);
      if (best === undefined) continue;
      const more =
        (named ? STRENGTH.named : 0) + (left?.pending?.word === word ? STRENGTH.about : 0);
      reasons.push({ ...best, strength: best.strength + more });
    }
    reasons.sort(byStrength);
    const telling = reasons.filter(({ strength }) => strength > STRENGTH.found);
    return telling.length > 0 ? telling.slice(0, REASONS_MAX) : reasons.slice(0, 1);
  }

  /** In a deadlock: the locks taken in a turn that others wait for in vain. */
  private locksForGood(turn: Turn): Reason[] {
    return this.counterexample.waiting.flatMap(({ thread, word }) =>
      this.heldAtEnd.holdersOf(word, thread).flatMap(({ since }) => {
        if (since < turn.first || since >= turn.end) return [];
        const taken = this.byWord.get(word)!.all.find(({ index }) => index === since)!;
        const takes = `${this.cpuName(taken.thread)} takes it (${number(taken)})`;
        const text = `${word}: ${takes} and keeps it; ${this.cpuName(thread)} waits for it at the end`;
        return [{ words: [word], accesses: [taken], strength: STRENGTH.lost, text }];
      }),
    );
  }

  private othersOf(thread: number): number[] {
    return [...this.counterexample.threads.keys()].filter((other) => other !== thread);
  }

  /** A word changes that another thread has used and will use again. */
  private changesUnder(
    word: string,
    history: WordHistory,
    mine: readonly Access[],
    other: number,
    turn: Turn,
  ): Reason | undefined {
    const change = mine.filter(changes).at(-1);
    const used = history.lastBefore(other, turn.first);
    const next = history.firstFrom(other, turn.end);
    if (change === undefined || used === undefined || next === undefined) return undefined;
    if (commute(change, next)) return undefined;
    const who = this.cpuName(other);
    const had = used.kind === 'read' ? 'has read' : 'has left';
    const told =
      `${word}: ${who} ${had} ${this.value(word, used.after)} (${number(used)}), ` +
      `${this.cpuName(change.thread)} makes it ${this.value(word, change.after)} (${number(change)}), and ${who}`;
    const reason = (strength: number, text: string): Reason => ({
      words: [word],
      accesses: [used, change, next],
      strength,
      text: `${told} ${text} (${number(next)})`,
    });
    if (next.kind === 'store') {
      const value = this.value(word, next.after);
      return used.kind === 'read'
        ? reason(STRENGTH.lost, `stores ${value} without having read it again`)
        : reason(STRENGTH.overwritten, `stores ${value}`);
    }
    if (next.before === used.after) {
      if (next.kind !== 'update') return undefined;
      return reason(STRENGTH.changedAndBack, 'finds it as it was');
    }
    if (isFailedCas(next.step)) return reason(STRENGTH.casFails, 'fails to exchange it');
    const finds = next.kind === 'read' ? 'reads' : 'changes';
    return reason(STRENGTH.changed, `${finds} ${this.value(word, next.before)}`);
  }

  /** A thread comes back, or comes first, to a word that another has changed. */
  private findsChange(word: string, history: WordHistory, mine: Access): Reason | undefined {
    const own = history.lastBefore(mine.thread, mine.index);
    const change = history.changeMetBy(mine);
    if (change === undefined || commute(change, mine)) return undefined;
    const who = this.cpuName(mine.thread);
    const whose = this.cpuName(change.thread);
    const reason = (strength: number, text: string): Reason => ({
      words: [word],
      accesses: [...(own === undefined ? [] : [own]), change, mine],
      strength,
      text: `${word}: ${text}`,
    });
    const made = `${whose} has made it ${this.value(word, change.after)} (${number(change)})`;
    if (mine.kind === 'store') {
      const stores = `${who} stores ${this.value(word, mine.after)} (${number(mine)})`;
      if (own?.kind !== 'read') return reason(STRENGTH.overwritten, `${stores}, ${made}`);
      const from = `the ${this.value(word, own.after)} that it has read (${number(own)})`;
      return reason(STRENGTH.lost, `${stores}, made of ${from}; since then ${made}`);
    }
    if (isFailedCas(mine.step)) {
      return reason(STRENGTH.casFails, `${who} fails to exchange it (${number(mine)}), ${made}`);
    }
    const again = this.willChangeAgain(word, change, mine);
    const does = mine.kind === 'read' ? 'reads' : 'changes';
    if (again !== undefined && this.unordered.has(word)) {
      const meets = `${who} ${does} it (${number(mine)})`;
      return reason(STRENGTH.between, `${made} and ${again}; in between ${meets}`);
    }
    const finds = `${who} ${does} ${this.value(word, mine.before)} (${number(mine)})`;
    if (own !== undefined && own.after !== mine.before) {
      const was = `it was ${this.value(word, own.after)} (${number(own)})`;
      return reason(STRENGTH.changed, `${finds}; ${was}, ${made}`);
    }
    if (!this.unordered.has(word)) return undefined;
    return reason(STRENGTH.found, `${finds}, ${made}`);
  }

  /** What a thread does next to a word that it has changed, if that changes the word again. */
  private willChangeAgain(word: string, change: Access, met: Access): string | undefined {
    const next = this.byWord.get(word)!.firstFrom(change.thread, met.index);
    if (next !== undefined) {
      if (!changes(next)) return undefined;
      return `will make it ${this.value(word, next.after)} (${number(next)})`;
    }
    const away = this.steps.findLast(
      ({ left }, index) => index <= met.index && left?.thread === change.thread,
    );
    const pending = away?.left?.pending;
    if (pending?.word !== word || !CHANGING.test(pending.operation)) return undefined;
    return `is about to ${pendingInWords(pending, this.arch)}`;
  }

  /** Another thread is between the halves of an entry. */
  private tears(
    word: string,
    history: WordHistory,
    mine: readonly Access[],
    other: number,
    turn: Turn,
  ): Reason | undefined {
    const sibling = word.endsWith('.high') ? word.slice(0, -'.high'.length) : `${word}.high`;
    const siblings = this.byWord.get(sibling);
    const first = history.lastBefore(other, turn.first);
    const second = siblings?.firstFrom(other, turn.end);
    if (first === undefined || second === undefined) return undefined;
    if (first.step.function !== second.step.function || first.step.high !== undefined)
      return undefined;
    const both = [...mine, ...(siblings?.within(turn) ?? [])];
    const meets = changes(first) || changes(second) ? both : both.filter(changes);
    if (meets.length === 0) return undefined;
    const who = this.cpuName(other);
    const between = meets.at(-1)!;
    const does = changes(between) ? 'changes' : 'reads';
    const then = isFailedCas(second.step)
      ? 'fails to exchange'
      : changes(second)
        ? 'changes'
        : 'reads';
    const text =
      `${who} has ${changes(first) ? 'changed' : 'read'} ${word} (${number(first)}), ` +
      `${this.cpuName(between.thread)} ${does} the entry between its halves (${number(between)}), ` +
      `and ${who} ${then} ${sibling} (${number(second)})`;
    const accesses = [first, between, second];
    return { words: [word, sibling], accesses, strength: STRENGTH.torn, text };
  }

  private value(word: string, value: number): string {
    return valueInBrief(word, value, this.arch);
  }

  wordsThatMatter(switches: readonly Switch[]): Set<string> {
    const waitedFor = this.steps.flatMap(({ left }) =>
      left?.state === 'waiting' ? [left.pending!.word] : [],
    );
    return new Set([
      ...this.unordered,
      ...this.namedByFailure,
      ...switches.flatMap(({ reasons }) => reasons.flatMap(({ words }) => words)),
      ...waitedFor,
      ...this.counterexample.waiting.flatMap(({ word, holds }) => [
        word,
        ...holds.map((held) => held.word),
      ]),
    ]);
  }

  /** Steps on words that matter, the locks around them, and where each thread begins and ends. */
  stepsThatMatter(words: ReadonlySet<string>): boolean[] {
    const { steps } = this;
    const shown = steps.map(
      (step, index) =>
        wordsOf(step).some((word) => words.has(word)) && !this.isIdleInterrupt(index),
    );
    for (const thread of this.counterexample.threads.keys()) {
      for (const index of [
        steps.findIndex((step) => step.thread === thread),
        steps.findLastIndex((step) => step.thread === thread),
      ]) {
        if (index >= 0) shown[index] = true;
      }
    }
    this.showLocksAround(shown);
    return shown;
  }

  /** Shows those locks for which threads compete and under which a step is shown. */
  private showLocksAround(shown: boolean[]): void {
    const open: { readonly taken: number; shows: boolean }[] = [];
    this.steps.forEach((step, index) => {
      const { thread, word } = step;
      const isOwn = (taken: number): boolean => this.steps[taken].thread === thread;
      if (takesLock(step) && this.contended.has(word)) open.push({ taken: index, shows: false });
      if (shown[index] && !isLockOperation(step.operation)) {
        for (const section of open) section.shows ||= isOwn(section.taken);
      }
      if (!givesLock(step)) return;
      const place = open.findLastIndex(
        ({ taken }) => isOwn(taken) && this.steps[taken].word === word,
      );
      if (place < 0) return;
      const [{ taken, shows }] = open.splice(place, 1);
      shown[taken] ||= shows;
      shown[index] ||= shows;
    });
    for (const { taken, shows } of open) shown[taken] ||= shows;
  }

  /** Most points where a CPU would answer interrupts come to nothing: only those next to a flush matter. */
  private isIdleInterrupt(index: number): boolean {
    const step = this.steps[index];
    if (step.operation !== 'interrupts') return false;
    return !this.byWord
      .get(step.word)!
      .neighbours(index)
      .some((access) => access?.step.operation === 'invalidate');
  }
}

function byStrength(a: Reason, b: Reason): number {
  return b.strength - a.strength;
}

function number({ index }: Access): string {
  return `step ${index + 1}`;
}

function rowsOf(
  steps: readonly ScheduleStep[],
  shown: readonly boolean[],
  switches: readonly Switch[],
): Row[] {
  const rows: Row[] = [];
  const bySwitch = new Map(switches.map((it) => [it.index, it]));
  const cited = new Set(
    switches.flatMap(({ reasons }) =>
      reasons.flatMap(({ accesses }) => accesses.map(({ index }) => index)),
    ),
  );
  for (let index = 0; index < steps.length;) {
    const turn = bySwitch.get(index);
    if (turn !== undefined) {
      const reasons = turn.reasons.map(({ text }) => text);
      rows.push({ kind: 'switch', index, title: turn.title, reasons });
    }
    if (shown[index]) {
      rows.push({ kind: 'step', index, cited: cited.has(index) });
      index++;
      continue;
    }
    let end = index + 1;
    while (end < steps.length && !shown[end] && !bySwitch.has(end)) end++;
    const functions = outermostFunctions(steps, index, end);
    rows.push({ kind: 'fold', thread: steps[index].thread, first: index, end, functions });
    index = end;
  }
  return rows;
}

/** The functions that steps [first, end) enter from those that run before or after them as well. */
function outermostFunctions(steps: readonly ScheduleStep[], first: number, end: number): string[] {
  const { thread, callers } = steps[first];
  const folded = steps.slice(first, end);
  const before = nearest(steps, thread, first - 1, -1);
  const after = nearest(steps, thread, end, 1);
  const neighbours = [before, after].map((step) =>
    step === undefined ? 0 : commonLength(callers, step.callers),
  );
  let depth = Math.max(...neighbours);
  for (const step of folded) depth = Math.min(depth, commonLength(callers, step.callers));
  return [...new Set(folded.map((step) => step.callers[Math.min(depth, step.callers.length - 1)]))];
}

/** The step of a thread that is nearest in one direction. */
function nearest(
  steps: readonly ScheduleStep[],
  thread: number,
  from: number,
  by: 1 | -1,
): ScheduleStep | undefined {
  let at = from;
  while (at >= 0 && at < steps.length && steps[at].thread !== thread) at += by;
  return steps[at];
}

function commonLength(a: readonly string[], b: readonly string[]): number {
  const differs = a.findIndex((name, at) => b[at] !== name);
  return differs < 0 ? a.length : differs;
}

function heldInWords({ threads }: Counterexample, { thread, since, ...held }: Held): string {
  const { cpu } = threads[thread];
  return `cpu ${cpu} has held it since step ${since + 1}, in ${held.function}`;
}

/** A thread that waits at the end of a deadlock. */
export interface WaitInWords {
  readonly cpu: number;
  readonly waits: string;
  /** Functions, outermost first. */
  readonly callers: readonly string[];
  readonly holds: readonly string[];
}

/** Who waits for what, who holds it since when, and what each holds meanwhile. */
export function deadlockInWords(counterexample: Counterexample): WaitInWords[] {
  const locks = lockedAtEnd(counterexample.steps);
  const arch = ARCHES[counterexample.arch];
  return counterexample.waiting.map((waiting: WaitingThread) => {
    const { thread, cpu, word, value, callers, holds } = waiting;
    const holders = locks.holdersOf(word, thread).map((held) => heldInWords(counterexample, held));
    const why =
      holders.length === 0 ? `it is ${valueInWords(word, value, arch)}` : holders.join('; ');
    return {
      cpu,
      waits: `waits to ${pendingInWords(waiting, arch)}: ${why}`,
      callers,
      holds: holds.map(
        (held) => `holds ${held.word} since step ${held.since + 1}, in ${held.function}`,
      ),
    };
  });
}
