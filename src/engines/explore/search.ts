/**
 * Searches over interleavings.
 *
 * `searchBounded` tries every schedule with at most so many preemptions: a quick look, which finds
 * a bug with the fewest switches. `searchAll` tries one schedule of every class that differs in the
 * order of dependent operations, by dynamic partial-order reduction with source sets and sleep sets
 * (Abdulla, Aronis, Jonsson, Sagonas: Optimal Dynamic Partial Order Reduction, POPL 2014,
 * algorithm 1). It is stateless: each execution starts anew.
 */
import { Execution, acquires } from './execution.js';
import { isRequest } from '../stepping.js';
import { Touch, depends, emptyFootprint, footprintOf, type Footprint } from './footprint.js';

/** What a search was allowed. */
export interface Bounds {
  readonly executions: number;
}

export interface SearchResult {
  /** `failed`: a schedule breaks something; `bounded`: the bound was hit before the end. */
  readonly outcome: 'exhausted' | 'bounded' | 'failed';
  /** Executions that ran to their end. */
  readonly executions: number;
  /** Executions given up because another covers them. */
  readonly blocked: number;
  readonly steps: number;
  readonly failures: readonly string[];
  /** The thread that went at each step, of the failing execution. */
  readonly schedule: readonly number[];
}

/** Called now and then with executions so far. */
export type Progress = (executions: number) => void;

const PROGRESS_EVERY = 1000;

/**
 * Tries every schedule with at most `preemptions` switches away from a thread that could have gone
 * on, without reduction.
 */
export function searchBounded(
  execution: Execution,
  preemptions: number,
  bounds: Bounds,
): SearchResult {
  let executions = 0;
  let steps = 0;
  /** Choices still to be tried at each step, the present one first. */
  const choices: number[][] = [];
  for (;;) {
    execution.restart();
    let depth = 0;
    let last = -1;
    let used = 0;
    const schedule: number[] = [];
    while (execution.failure === undefined) {
      const enabled = execution.enabledMask();
      if (enabled === 0) break;
      const mayGoOn = last >= 0 && (enabled & (1 << last)) !== 0;
      if (depth === choices.length) {
        choices.push(choicesAt(enabled, mayGoOn ? last : -1, used < preemptions));
      }
      const next = choices[depth][0];
      if (mayGoOn && next !== last) used++;
      execution.step(next);
      schedule.push(next);
      last = next;
      depth++;
      steps++;
    }
    executions++;
    const failures = execution.endFailures();
    const found = { executions, blocked: 0, steps, failures, schedule };
    if (failures.length > 0) return { ...found, outcome: 'failed' };
    while (choices.length > 0 && choices.at(-1)!.length === 1) choices.pop();
    if (choices.length === 0) return { ...found, outcome: 'exhausted', schedule: [] };
    if (executions >= bounds.executions) return { ...found, outcome: 'bounded', schedule: [] };
    choices.at(-1)!.shift();
  }
}

/** Threads to try in turn: the running one first, others if a preemption is left or it cannot go. */
function choicesAt(enabled: number, running: number, mayPreempt: boolean): number[] {
  if (running >= 0 && !mayPreempt) return [running];
  const all: number[] = [];
  for (let index = 0; enabled >> index !== 0; index++) {
    if ((enabled & (1 << index)) !== 0) all.push(index);
  }
  return running < 0 ? all : [running, ...all.filter((index) => index !== running)];
}

/** Tries one schedule of every class of schedules that differ only in independent operations. */
export function searchAll(execution: Execution, bounds: Bounds, progress?: Progress): SearchResult {
  return new SourceSetSearch(execution).run(bounds, progress);
}

/** One step of the present execution. */
interface Event {
  readonly thread: number;
  /** How manieth step of its thread it is, from 1. */
  readonly ordinal: number;
  readonly footprint: Footprint;
  readonly acquires: boolean;
  /** Last step of each thread that happens before this one, itself included. */
  readonly clock: Int32Array;
}

/** The state before a step: what could go, what is still to be tried, what need not be. */
interface Node {
  readonly enabled: number;
  backtrack: number;
  /** Threads whose next step here is covered already. Grows as choices are done. */
  sleep: number;
  readonly sleepAtEntry: number;
}

class SourceSetSearch {
  private readonly threads: number;
  private readonly events: Event[] = [];
  private readonly nodes: Node[] = [];
  /** Of each thread: its steps so far, and what happens before its next. */
  private readonly ordinals: number[];
  private readonly clocks: Int32Array[];
  private readonly pending: Footprint[];
  /** Threads whose next step after the last event is covered already. */
  private sleepAfterLast = 0;
  private executions = 0;
  private blocked = 0;
  private steps = 0;

  constructor(private readonly execution: Execution) {
    this.threads = execution.running.length;
    this.ordinals = new Array<number>(this.threads).fill(0);
    this.clocks = Array.from({ length: this.threads }, () => new Int32Array(this.threads));
    this.pending = Array.from({ length: this.threads }, emptyFootprint);
  }

  run(bounds: Bounds, progress?: Progress): SearchResult {
    /** Where the next execution leaves the last one, and with which thread. */
    let choice = -1;
    for (;;) {
      this.replayPrefix(choice);
      const complete = this.runToEnd();
      if (complete) {
        this.executions++;
        const failures = this.execution.endFailures();
        if (failures.length > 0) return this.result('failed', failures);
      } else {
        this.blocked++;
      }
      if ((this.executions + this.blocked) % PROGRESS_EVERY === 0) progress?.(this.executions);
      choice = this.backtrack();
      if (choice < 0) return this.result('exhausted', []);
      if (this.executions >= bounds.executions) return this.result('bounded', []);
    }
  }

  private result(outcome: SearchResult['outcome'], failures: readonly string[]): SearchResult {
    const { executions, blocked, steps } = this;
    const schedule = outcome === 'failed' ? this.events.map(({ thread }) => thread) : [];
    return { outcome, executions, blocked, steps, failures, schedule };
  }

  /** Starts over, repeats the steps that stay, and takes the new choice after them. */
  private replayPrefix(choice: number): void {
    this.execution.restart();
    this.sleepAfterLast = 0;
    this.ordinals.fill(0);
    for (const clock of this.clocks) clock.fill(0);
    for (const { thread, clock } of this.events) {
      this.execution.step(thread);
      this.ordinals[thread]++;
      this.clocks[thread].set(clock);
      this.steps++;
    }
    if (choice >= 0) this.take(choice);
  }

  /** @returns false when everything that could go is covered by other executions */
  private runToEnd(): boolean {
    for (;;) {
      if (this.execution.failure !== undefined) return true;
      const enabled = this.execution.enabledMask();
      if (enabled === 0) return true;
      const sleep = this.sleepAfterLast;
      const awake = enabled & ~sleep;
      if (awake === 0) return false;
      const last = this.events.length === 0 ? -1 : this.events[this.events.length - 1].thread;
      const next = last >= 0 && (awake & (1 << last)) !== 0 ? last : lowest(awake);
      this.nodes.push({ enabled, backtrack: 1 << next, sleep, sleepAtEntry: sleep });
      this.take(next);
    }
  }

  /** Takes a step of a thread from the last node. */
  private take(thread: number): void {
    const { execution } = this;
    const node = this.nodes[this.nodes.length - 1];
    const footprint = emptyFootprint();
    footprintOf(execution.machine, execution.cpuOf(thread), footprint);
    const acquiring = acquires(execution.cpuOf(thread).op);

    // Who sleeps goes on sleeping unless this step could change what its own would do.
    let sleep = 0;
    for (let other = 0; other < this.threads; other++) {
      if (other === thread || (node.sleep & (1 << other)) === 0) continue;
      footprintOf(execution.machine, execution.cpuOf(other), this.pending[other]);
      if (!depends(this.pending[other], footprint)) sleep |= 1 << other;
    }
    this.sleepAfterLast = sleep;

    const clock = this.raceAndMerge(thread, footprint, acquiring);
    const ordinal = ++this.ordinals[thread];
    clock[thread] = ordinal;
    this.clocks[thread].set(clock);
    // A request gives nothing to wait for, but takes a point where its CPU can be interrupted.
    const takes = acquiring || isRequest(execution.cpuOf(thread).op);
    this.events.push({ thread, ordinal, footprint, acquires: takes, clock });
    this.steps++;
    execution.step(thread);
  }

  /**
   * Finds earlier steps that this one races with, asks for the other order of each, and returns
   * what happens before this step.
   *
   * An acquisition races with the newest acquisition before it, not with the release that it waited for.
   */
  private raceAndMerge(thread: number, footprint: Footprint, acquiring: boolean): Int32Array {
    const own = this.clocks[thread];
    const merged = own.slice();
    let acquisitionFound = false;
    for (let index = this.events.length - 1; index >= 0; index--) {
      const event = this.events[index];
      if (event.thread === thread) continue;
      if (!depends(event.footprint, footprint)) continue;
      if (acquiring) {
        const candidate = event.acquires && !acquisitionFound;
        if (candidate && own[event.thread] < event.ordinal) this.reverse(index, thread, own);
        if (event.acquires && event.footprint.touch === Touch.WRITE) acquisitionFound = true;
      } else if (merged[event.thread] < event.ordinal) {
        this.reverse(index, thread, merged);
      }
      for (let i = 0; i < merged.length; i++) merged[i] = Math.max(merged[i], event.clock[i]);
    }
    return merged;
  }

  /**
   * Makes sure that the order in which `thread`'s next step comes before event `index` is tried:
   * one of the threads that can begin such an order must be in the node's backtrack set.
   *
   * @param before - what happens before that next step, event `index` apart
   */
  private reverse(index: number, thread: number, before: Int32Array): void {
    const raced = this.events[index];
    const node = this.nodes[index];
    const first = new Int32Array(this.threads);
    let initials = 0;
    for (let later = index + 1; later < this.events.length; later++) {
      const event = this.events[later];
      if (event.clock[raced.thread] >= raced.ordinal) continue;
      if (first[event.thread] !== 0) continue;
      first[event.thread] = event.ordinal;
      if (begins(event.thread, event.clock, first)) initials |= 1 << event.thread;
    }
    if (first[thread] === 0 && begins(thread, before, first)) initials |= 1 << thread;
    if ((initials & (node.backtrack | node.sleepAtEntry)) !== 0) return;
    const possible = initials & node.enabled;
    node.backtrack |= possible === 0 ? node.enabled : 1 << lowest(possible);
  }

  /** Cuts the execution back to the last node with something to try. @returns it, or -1 */
  private backtrack(): number {
    while (this.nodes.length > 0) {
      const node = this.nodes[this.nodes.length - 1];
      const done = this.events.pop()!;
      node.sleep |= 1 << done.thread;
      const left = node.backtrack & ~node.sleep;
      if (left !== 0) return lowest(left);
      this.nodes.pop();
    }
    return -1;
  }
}

/** Whether no first step of another thread happens before a step with this clock. */
function begins(thread: number, clock: Int32Array, first: Int32Array): boolean {
  for (let other = 0; other < first.length; other++) {
    if (other === thread || first[other] === 0) continue;
    if (clock[other] >= first[other]) return false;
  }
  return true;
}

function lowest(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}
