/**
 * The full search: one schedule of every class of schedules that differ only in the order of independent operations,
 * by dynamic partial-order reduction with source sets and sleep sets (Abdulla, Aronis, Jonsson, Sagonas: Optimal
 * Dynamic Partial Order Reduction, POPL 2014, algorithm 1). It keeps no states: each execution goes back to where it
 * leaves the last one.
 *
 * Two operations that depend on each other and could be next to each other are a race, and both orders are tried.
 * Where one of them is a plain access that race is a data race, and a failure.
 */
import { OPERATION_CODE as CODE } from '../../hardware/operations.js';
import type { Execution } from './execution.js';
import { findLivelock } from './livelock.js';
import { describeRace } from './raceWatch.js';
import {
  MAX_STEPS,
  PROGRESS_EVERY,
  lowest,
  type Bounds,
  type FailureKind,
  type Progress,
  type SearchResult,
} from './search.js';
import {
  FOLLOWS,
  FOUND,
  GIVES,
  LOOKS,
  MANNER,
  TAKES,
  Touches,
  WAITS,
  WRITE,
  conflicts,
  depends,
  isDataRace,
  type Places,
} from './touches.js';
import { enlarged } from './trail.js';

export interface FullSearchOptions {
  /** Whether additions whose results are unused commute; they do, unless for comparison. */
  readonly commute?: boolean;
  /** Whether to go on after a failure, and tell all that differ; it does not, unless asked to. */
  readonly goOn?: boolean;
}

export function searchAll(
  execution: Execution,
  bounds: Bounds,
  progress?: Progress,
  options: FullSearchOptions = {},
): SearchResult {
  return new SourceSetSearch(execution, options).run(bounds, progress);
}

/** Where a part of a search begins. */
export interface Part {
  /** Threads that go first. */
  readonly path: readonly number[];
  /** The thread whose step after that is to be tried; none for the whole search. */
  readonly choice?: number;
  /** Threads whose steps there others try. */
  readonly sleep: number;
}

/** A state that several searches have in common: whoever finds more to try there asks for it. */
export interface SharedNode {
  readonly enabled: number;
  /** Threads that are tried there. */
  readonly tried: number;
  readonly sleepAtEntry: number;
}

/** What a search that is part of another asks and gives. */
export interface Sharing {
  /** The other order of something needs one of the threads `initials` tried where a path leads. */
  reverse(path: readonly number[], initials: number): void;
  /** Whether somebody has nothing to do. */
  isWanted(): boolean;
  /** Whether all together have done as much as they may. */
  isOver(): boolean;
  /**
   * Gives away what is left to try in the last of these states, which the path leads to.
   *
   * @param first - the depth of the first of them
   * @param choices - threads to try
   * @param sleep - threads whose steps there are tried already
   */
  give(
    path: readonly number[],
    first: number,
    nodes: readonly SharedNode[],
    choices: number,
    sleep: number,
  ): void;
}

/** Steps, and touches of steps, that there is room for at first. */
const CAPACITY = 1024;
const NONE = -1;

/** A few steps, in a list that is filled anew for each step. */
class Steps {
  count = 0;
  list = new Int32Array(64);

  add(step: number): void {
    if (this.count === this.list.length) this.list = enlarged(this.list);
    this.list[this.count++] = step;
  }

  /** The oldest first. */
  sort(): void {
    this.list.subarray(0, this.count).sort();
  }
}

export class SourceSetSearch {
  private readonly threads: number;
  private readonly places: Places;
  /** Of each step: which step of its thread it is, from 1; its operation; its touches, from here on. */
  private ordinal = new Int32Array(CAPACITY);
  private op = new Int32Array(CAPACITY);
  private touched = new Int32Array(CAPACITY + 1);
  /** Of each step: the last step of each thread that happens before it, itself included. */
  private clocks: Int32Array;
  /** Of the state before each step: who could go, who is to be tried, who need not be, and who need not be at first. */
  private enabled = new Int32Array(CAPACITY);
  private backtrack = new Int32Array(CAPACITY);
  private sleep = new Int32Array(CAPACITY);
  private sleepAtEntry = new Int32Array(CAPACITY);
  /** Of each touch that can be found: its step, its place, how, and the newest one before it at that place. */
  private touchStep = new Int32Array(CAPACITY);
  private touchPlace = new Int32Array(CAPACITY);
  private touchHow = new Int32Array(CAPACITY);
  private touchBefore = new Int32Array(CAPACITY);
  private touches = 0;
  /** The newest touch at each place. */
  private readonly newest: Int32Array;
  /** Of each thread: steps so far, and what happens before its next. */
  private readonly steps: Int32Array;
  private readonly before: Int32Array;
  private readonly pending = new Touches();
  private readonly sleeping = new Touches();
  /** Earlier steps that the present one depends on, and is not known yet to come after. */
  private readonly met = new Steps();
  /** Of these, whose other order is possible if nothing comes between: twice the step, and 1 if one is plain. */
  private readonly raced = new Steps();
  /** Earlier acquisitions of what the present step waits for. */
  private readonly acquired = new Steps();
  private readonly own: Int32Array;
  private readonly merged: Int32Array;
  private readonly first: Int32Array;
  private executions = 0;
  private blocked = 0;
  private allSteps = 0;
  /** Executions that were cut off since they had no end. */
  private cut = 0;
  /** What is wrong with the present execution that it does not know itself. */
  private found: { readonly kind: FailureKind; readonly failure: string } | undefined;
  /** Of the first failure. */
  private kind: FailureKind | undefined;
  private readonly goOn: boolean;
  private readonly failures = new Set<string>();

  /** Steps that others decide about. */
  private base = 0;
  /** Whether races need not be reversed: somebody else has seen to it. */
  private repeats = false;

  constructor(
    private readonly execution: Execution,
    { commute = true, goOn = false }: FullSearchOptions,
    private readonly sharing?: Sharing,
  ) {
    this.goOn = goOn;
    this.threads = execution.running.length;
    this.places = execution.places(commute);
    this.clocks = new Int32Array(CAPACITY * this.threads);
    this.newest = new Int32Array(this.places.count).fill(NONE);
    this.steps = new Int32Array(this.threads);
    this.before = new Int32Array(this.threads * this.threads);
    this.own = new Int32Array(this.threads);
    this.merged = new Int32Array(this.threads);
    this.first = new Int32Array(this.threads);
  }

  run(bounds: Bounds, progress?: Progress, part: Part = { path: [], sleep: 0 }): SearchResult {
    const maxSteps = bounds.steps ?? MAX_STEPS;
    let sleepers = this.begin(part);
    for (;;) {
      const complete = this.runToEnd(sleepers, maxSteps);
      if (complete) {
        this.executions++;
        const failures = this.failuresOfOne();
        if (failures.length > 0 && !this.goOn) return this.result('failed', failures);
        for (const failure of failures) this.failures.add(failure);
      } else {
        this.blocked++;
      }
      const runs = this.executions + this.blocked;
      if (runs % PROGRESS_EVERY === 0) {
        progress?.(this.executions);
        const late = bounds.deadline !== undefined && Date.now() > bounds.deadline;
        if (late || this.sharing?.isOver() === true) return this.result('bounded', []);
      }
      if (this.sharing?.isWanted() === true) this.share(this.sharing);
      const choice = this.goBack();
      if (choice < 0) return this.result(this.outcome(), [...this.failures]);
      if (this.executions >= bounds.executions) return this.result('bounded', []);
      sleepers = this.take(choice);
    }
  }

  /** Goes where a part begins. @returns threads whose next step is covered already */
  private begin({ path, choice, sleep }: Part): number {
    const { execution } = this;
    execution.restart();
    this.forget(0);
    this.executions = 0;
    this.blocked = 0;
    this.allSteps = 0;
    this.base = choice === undefined ? 0 : path.length + 1;
    if (choice === undefined) return sleep;
    this.repeats = true;
    for (const thread of path) {
      this.enter(execution.enabledMask(), thread, 0);
      this.take(thread);
    }
    this.repeats = false;
    this.enter(execution.enabledMask(), choice, sleep);
    return this.take(choice);
  }

  /** Gives away what is left to try in the first state that has something. */
  private share(sharing: Sharing): void {
    const { execution, base } = this;
    const { schedule, depth } = execution;
    for (let step = base; step < depth; step++) {
      const running = 1 << schedule[step];
      const choices = this.backtrack[step] & ~this.sleep[step] & ~running;
      if (choices === 0) continue;
      const nodes: SharedNode[] = [];
      for (let at = base; at <= step; at++) {
        const tried = this.backtrack[at];
        nodes.push({ enabled: this.enabled[at], tried, sleepAtEntry: this.sleepAtEntry[at] });
      }
      sharing.give(execution.path(step), base, nodes, choices, this.sleep[step] | running);
      this.base = step + 1;
      return;
    }
  }

  /** Of an execution that has come to its end. */
  private failuresOfOne(): readonly string[] {
    const { execution, found } = this;
    const failures = found === undefined ? execution.endFailures() : [found.failure];
    if (failures.length > 0) this.kind ??= found?.kind ?? execution.failureKind;
    return failures;
  }

  /** Of a search that has come to its end. */
  private outcome(): SearchResult['outcome'] {
    if (this.failures.size > 0) return 'failed';
    return this.cut > 0 ? 'bounded' : 'exhausted';
  }

  private result(outcome: SearchResult['outcome'], failures: readonly string[]): SearchResult {
    const { execution, executions, blocked, allSteps } = this;
    const result = { outcome, executions, blocked, steps: allSteps, failures };
    if (outcome !== 'failed') return { ...result, schedule: [] };
    return { ...result, kind: this.kind ?? execution.failureKind, schedule: execution.path() };
  }

  /**
   * @param sleepers - threads whose next step is covered already
   * @returns false when everything that could go is covered by other executions
   */
  private runToEnd(sleepers: number, maxSteps: number): boolean {
    const { execution } = this;
    for (let sleep = sleepers; ;) {
      if (execution.failure !== undefined || this.found !== undefined) return true;
      const enabled = execution.enabledMask();
      if (enabled === 0) {
        this.raceWaiting();
        return true;
      }
      const awake = enabled & ~sleep;
      if (awake === 0) return false;
      const { depth } = execution;
      if (depth === maxSteps) {
        const failure = findLivelock(execution, maxSteps);
        if (failure === undefined) this.cut++;
        else this.found = { kind: 'livelock', failure };
        return failure !== undefined;
      }
      const { last } = execution;
      const next = last >= 0 && (awake & (1 << last)) !== 0 ? last : lowest(awake);
      this.enter(enabled, next, sleep);
      sleep = this.take(next);
    }
  }

  /** A state from which a thread is tried first. */
  private enter(enabled: number, thread: number, sleep: number): void {
    const { depth } = this.execution;
    if (depth + 1 >= this.ordinal.length) this.makeRoom();
    this.enabled[depth] = enabled;
    this.backtrack[depth] = 1 << thread;
    this.sleep[depth] = sleep;
    this.sleepAtEntry[depth] = sleep;
  }

  /**
   * In a deadlock threads wait for what an earlier step has taken. Their own steps never come, so that the other orders
   * are asked for here.
   */
  private raceWaiting(): void {
    const { execution, pending } = this;
    for (let thread = 0; thread < this.threads; thread++) {
      if (execution.ended[thread]) continue;
      this.touchesOf(thread, pending);
      this.raceAndMerge(thread, execution.depth);
    }
    // What never comes is no data race.
    this.found = undefined;
  }

  private makeRoom(): void {
    this.ordinal = enlarged(this.ordinal);
    this.op = enlarged(this.op);
    this.touched = enlarged(this.touched);
    this.clocks = enlarged(this.clocks);
    this.enabled = enlarged(this.enabled);
    this.backtrack = enlarged(this.backtrack);
    this.sleep = enlarged(this.sleep);
    this.sleepAtEntry = enlarged(this.sleepAtEntry);
  }

  /** Takes a step of a thread. @returns those whose next step after it is covered already */
  private take(thread: number): number {
    const { execution, pending, threads } = this;
    const { depth } = execution;
    this.touchesOf(thread, pending);
    const sleep = this.stillAsleep(thread, this.sleep[depth]);
    this.raceAndMerge(thread, depth);
    const { op } = execution.cpuOf(thread);
    this.op[depth] = op;
    const ordinal = ++this.steps[thread];
    this.ordinal[depth] = ordinal;
    const base = thread * threads;
    this.before[base + thread] = ordinal;
    for (let other = 0; other < threads; other++) {
      this.clocks[depth * threads + other] = this.before[base + other];
    }
    if (op === CODE.invalidate && !execution.mustWait(thread)) this.answer(thread);
    this.touched[depth] = this.touches;
    this.link(depth);
    this.allSteps++;
    execution.step(thread);
    return sleep;
  }

  private touchesOf(thread: number, into: Touches): void {
    const { execution, places } = this;
    const cpu = execution.cpuOf(thread);
    if (execution.attempts(thread)) places.ofAttempt(cpu, execution.mustWait(thread), into);
    else places.of(cpu, into);
    if (!execution.sharesCpu(thread)) return;
    if (!execution.takesCpu(thread)) places.useCpu(cpu.id, into);
    else places.takeCpu(cpu.id, execution.changesMm(thread), into);
  }

  /** Who sleeps goes on sleeping unless this step could change what its own would do. */
  private stillAsleep(thread: number, sleepers: number): number {
    let sleep = sleepers & ~(1 << thread);
    for (let left = sleep; left !== 0; left &= left - 1) {
      const other = lowest(left);
      this.touchesOf(other, this.sleeping);
      if (depends(this.sleeping, this.pending)) sleep &= ~(1 << other);
    }
    return sleep;
  }

  /** All that a CPU has done happens before the interrupt that it answers. */
  private answer(thread: number): void {
    const { execution, threads, before } = this;
    const target = execution.cpuOf(thread).x;
    for (let other = 0; other < threads; other++) {
      if (other === thread || execution.cpuOf(other).id !== target) continue;
      for (let index = 0; index < threads; index++) {
        const at = thread * threads + index;
        before[at] = Math.max(before[at], before[other * threads + index]);
        this.clocks[execution.depth * threads + index] = before[at];
      }
    }
  }

  /** Lets later steps find what the step touches. */
  private link(step: number): void {
    const { pending, newest } = this;
    for (let index = 0; index < pending.count; index++) {
      const how = pending.how[index];
      if ((how & FOUND) === 0) continue;
      if (this.touches === this.touchStep.length) {
        this.touchStep = enlarged(this.touchStep);
        this.touchPlace = enlarged(this.touchPlace);
        this.touchHow = enlarged(this.touchHow);
        this.touchBefore = enlarged(this.touchBefore);
      }
      const place = pending.places[index];
      this.touchStep[this.touches] = step;
      this.touchPlace[this.touches] = place;
      this.touchHow[this.touches] = how;
      this.touchBefore[this.touches] = newest[place];
      newest[place] = this.touches++;
    }
  }

  /**
   * Finds earlier steps that the thread's next step races with, asks for the other order of each, and lets what
   * happens before them happen before it.
   */
  private raceAndMerge(thread: number, step: number): void {
    const { pending, met, raced, acquired, before, own, merged, threads } = this;
    const base = thread * threads;
    met.count = 0;
    raced.count = 0;
    acquired.count = 0;
    for (let other = 0; other < threads; other++) {
      own[other] = merged[other] = before[base + other];
    }
    for (let index = 0; index < pending.count; index++) {
      if ((pending.how[index] & LOOKS) !== 0) {
        this.look(thread, pending.places[index], pending.how[index]);
      }
    }
    if (!this.repeats) this.reverseAll(thread, step);
    for (let other = 0; other < threads; other++) before[base + other] = merged[other];
  }

  /** Asks for the other order of all that the present step races with. */
  private reverseAll(thread: number, step: number): void {
    const { raced, acquired, own, merged } = this;
    if (raced.count > 1) raced.sort();
    for (let index = raced.count - 1; index >= 0; index--) {
      const entry = raced.list[index];
      const earlier = entry >> 1;
      if (!this.isNext(earlier)) continue;
      if ((entry & 1) !== 0) this.noteRace(earlier, thread);
      this.reverse(earlier, step, thread, merged);
    }
    for (let index = 0; index < acquired.count; index++) {
      this.reverse(acquired.list[index], step, thread, own);
    }
  }

  /** Looks for races at one place, from the newest touch back, and merges the clocks of what it depends on. */
  private look(thread: number, place: number, how: number): void {
    const { execution, threads, before, merged, clocks } = this;
    const { schedule } = execution;
    const base = thread * threads;
    const waits = (how & WAITS) !== 0;
    const { id } = execution.cpuOf(thread);
    const isCpu = this.places.isCpu(place);
    let acquisitionFound = false;
    for (let at = this.newest[place]; at !== NONE; at = this.touchBefore[at]) {
      const earlierHow = this.touchHow[at];
      if (!conflicts(earlierHow, how)) continue;
      const earlier = this.touchStep[at];
      const other = schedule[earlier];
      const isWrite = (earlierHow & MANNER) === WRITE;
      if (other !== thread && before[base + other] < this.ordinal[earlier]) {
        this.met.add(earlier);
        // Tasks that share a CPU are never both about to go: they race for nothing but the CPU.
        if (isCpu || execution.cpuOf(other).id !== id) {
          this.meet(earlier, earlierHow, how, !acquisitionFound);
        }
      }
      for (let index = 0; index < threads; index++) {
        const clock = clocks[earlier * threads + index];
        if (clock > merged[index]) merged[index] = clock;
      }
      if (!isWrite) continue;
      if (waits && (earlierHow & TAKES) !== 0) acquisitionFound = true;
      // All before it that could matter happens before it.
      if (!waits || acquisitionFound) return;
    }
  }

  /**
   * The thread's next step depends on an earlier one that is not known to come before it.
   *
   * @param isNewest - whether nobody has taken the place since
   */
  private meet(earlier: number, earlierHow: number, how: number, isNewest: boolean): void {
    const waits = (how & WAITS) !== 0;
    if (waits && (earlierHow & TAKES) !== 0) {
      if (isNewest) this.acquired.add(earlier);
    } else if ((how & FOLLOWS) === 0 && !(waits && (earlierHow & GIVES) !== 0)) {
      this.raced.add(2 * earlier + (isDataRace(how, earlierHow) ? 1 : 0));
    }
  }

  private noteRace(earlier: number, thread: number): void {
    const { execution, op } = this;
    const failure = describeRace(execution, thread, op[earlier], execution.schedule[earlier]);
    this.found ??= { kind: 'data race', failure };
  }

  /** Whether nothing comes between an earlier step and the present one, which depends on it. */
  private isNext(earlier: number): boolean {
    const { threads, clocks, met } = this;
    const thread = this.execution.schedule[earlier];
    const ordinal = this.ordinal[earlier];
    for (let index = 0; index < met.count; index++) {
      const other = met.list[index];
      if (other !== earlier && clocks[other * threads + thread] >= ordinal) return false;
    }
    return true;
  }

  /**
   * Makes sure that the order in which `thread`'s next step comes before step `raced` is tried: one of the threads
   * that can begin such an order must be in the backtrack set there.
   *
   * @param before - what happens before that next step, step `raced` apart
   */
  private reverse(raced: number, step: number, thread: number, before: Int32Array): void {
    const { threads, clocks, first, ordinal } = this;
    const { schedule } = this.execution;
    const racer = schedule[raced];
    const racedOrdinal = ordinal[raced];
    first.fill(0);
    let initials = 0;
    for (let later = raced + 1; later < step; later++) {
      if (clocks[later * threads + racer] >= racedOrdinal) continue;
      const other = schedule[later];
      if (first[other] !== 0) continue;
      first[other] = ordinal[later];
      if (this.begins(other, clocks, later * threads)) initials |= 1 << other;
    }
    if (first[thread] === 0 && this.begins(thread, before, 0)) initials |= 1 << thread;
    if ((initials & (this.backtrack[raced] | this.sleepAtEntry[raced])) !== 0) return;
    if (raced < this.base) this.sharing?.reverse(this.execution.path(raced), initials);
    const possible = initials & this.enabled[raced];
    this.backtrack[raced] |= possible === 0 ? this.enabled[raced] : 1 << lowest(possible);
  }

  /** Whether no first step of another thread happens before a step with this clock, which begins at `from`. */
  private begins(thread: number, clock: Int32Array, from: number): boolean {
    const { first, threads } = this;
    for (let other = 0; other < threads; other++) {
      if (other === thread || first[other] === 0) continue;
      if (clock[from + other] >= first[other]) return false;
    }
    return true;
  }

  /** Goes back to the last state from which there is something to try. @returns the thread to try, or -1 */
  private goBack(): number {
    const { execution } = this;
    const { schedule } = execution;
    for (let step = execution.depth - 1; step >= this.base; step--) {
      this.sleep[step] |= 1 << schedule[step];
      const left = this.backtrack[step] & ~this.sleep[step];
      if (left === 0) continue;
      this.forget(step);
      execution.goBack(step);
      this.allSteps += step;
      return lowest(left);
    }
    return NONE;
  }

  /** Forgets a step and all after it. */
  private forget(step: number): void {
    const { threads, newest, before, clocks } = this;
    this.found = undefined;
    for (let at = this.touches - 1; at >= this.touched[step]; at--) {
      newest[this.touchPlace[at]] = this.touchBefore[at];
    }
    this.touches = this.touched[step];
    before.fill(0);
    this.steps.fill(0);
    let unknown = (1 << threads) - 1;
    for (let at = step - 1; at >= 0 && unknown !== 0; at--) {
      const thread = this.execution.schedule[at];
      if ((unknown & (1 << thread)) === 0) continue;
      unknown &= ~(1 << thread);
      this.steps[thread] = this.ordinal[at];
      for (let other = 0; other < threads; other++) {
        before[thread * threads + other] = clocks[at * threads + other];
      }
    }
  }
}
