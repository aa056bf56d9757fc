/** What a schedule does to one word, to be asked who used it before and after some step. */
import type { ScheduleStep } from '../engines/explore/schedule.js';
import { isLockOperation } from './locks.js';
import { isOnPage, onlyReads } from './stepWords.js';

/** A step as it is on one of its words. */
export interface Access {
  readonly index: number;
  readonly thread: number;
  readonly step: ScheduleStep;
  readonly kind: 'read' | 'store' | 'update' | 'lock';
  readonly before: number;
  readonly after: number;
}

/** Steps [first, end) of one thread. */
export interface Turn {
  readonly thread: number;
  readonly first: number;
  readonly end: number;
}

export class WordHistory {
  /** In order. */
  readonly all: Access[] = [];
  /** The same without operations on locks, which say nothing of a value; and by thread. */
  private readonly plain: Access[] = [];
  private readonly byThread = new Map<number, Access[]>();

  add(access: Access): void {
    this.all.push(access);
    if (access.kind === 'lock') return;
    this.plain.push(access);
    const own = this.byThread.get(access.thread);
    if (own === undefined) this.byThread.set(access.thread, [access]);
    else own.push(access);
  }

  /** The last that a thread does to the word before a step. */
  lastBefore(thread: number, index: number): Access | undefined {
    const own = this.byThread.get(thread) ?? [];
    return own[placeOf(own, index) - 1];
  }

  /** The first that a thread does to it from a step on. */
  firstFrom(thread: number, index: number): Access | undefined {
    const own = this.byThread.get(thread) ?? [];
    return own[placeOf(own, index)];
  }

  within({ thread, first, end }: Turn): Access[] {
    const own = this.byThread.get(thread) ?? [];
    return own.slice(placeOf(own, first), placeOf(own, end));
  }

  /** The last change before an access by another thread, since its own thread last used the word. */
  changeMetBy({ thread, index }: Access): Access | undefined {
    for (let place = placeOf(this.plain, index) - 1; place >= 0; place--) {
      const access = this.plain[place];
      if (access.thread === thread) return undefined;
      if (changes(access)) return access;
    }
    return undefined;
  }

  /** What is done to the word right before and right after a step on it. */
  neighbours(index: number): (Access | undefined)[] {
    const place = placeOf(this.all, index);
    return [this.all[place - 1], this.all[place + 1]];
  }
}

/** Place of the first access at step `index` or later. */
function placeOf(accesses: readonly Access[], index: number): number {
  let low = 0;
  let high = accesses.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (accesses[middle].index < index) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The history of every word of a schedule, by name. */
export function wordHistories(steps: readonly ScheduleStep[]): Map<string, WordHistory> {
  const histories = new Map<string, WordHistory>();
  steps.forEach((step, index) => {
    for (const [word, access] of accessesOf(step, index)) {
      const known = histories.get(word);
      const history = known ?? new WordHistory();
      if (known === undefined) histories.set(word, history);
      history.add(access);
    }
  });
  return histories;
}

/** The names of what a step is on: its word, the other half of an entry, and what it copies. */
export function wordsOf({ word, high, source }: ScheduleStep): string[] {
  return [
    word,
    ...(high === undefined ? [] : [`${word}.high`]),
    ...(source === undefined ? [] : [source]),
  ];
}

function accessesOf(step: ScheduleStep, index: number): [string, Access][] {
  const { thread, before, after, word, high, source } = step;
  const own = { index, thread, step, kind: kindOf(step) };
  const accesses: [string, Access][] = [[word, { ...own, before, after }]];
  if (high !== undefined) accesses.push([`${word}.high`, { ...own, ...high }]);
  // What the page holds that is copied is not written down: that it is read is enough.
  if (source !== undefined) accesses.push([source, { ...own, kind: 'read', before: 0, after: 0 }]);
  return accesses;
}

function kindOf(step: ScheduleStep): Access['kind'] {
  const { operation } = step;
  if (isLockOperation(operation)) return 'lock';
  if (onlyReads(step)) return 'read';
  return /^(store|writeOnce)/.test(operation) || isOnPage(operation) ? 'store' : 'update';
}

/** A page counts as changed, whatever its first word is: the others are not known. */
export function changes({ kind, before, after, step }: Access): boolean {
  if (kind === 'read') return false;
  return before !== after || isOnPage(step.operation) || step.operation === 'invalidate';
}

const COMMUTING = new Set(['addUnused', 'downRead', 'upRead']);

/** Counts that both only add to do not matter, nor readers of a semaphore to each other. */
export function commute(a: Access, b: Access): boolean {
  return COMMUTING.has(a.step.operation) && COMMUTING.has(b.step.operation);
}
