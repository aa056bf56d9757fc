/**
 * A quick look: every schedule with at most so many preemptions, which are switches away from a thread that could
 * have gone on. What it finds comes with the fewest switches.
 *
 * It preempts only where that can matter: before an operation on a word that another thread touches too, and that
 * one of them changes. A preemption anywhere else gives the same as one before the next such operation. Which words
 * are shared shows as executions go by; while more turn up, the search is made again. (Iterative context bounding:
 * Musuvathi, Qadeer, PLDI 2007.)
 */
import type { Execution } from './execution.js';
import type { Bounds, SearchResult } from './search.js';
import { MANNER, READ, Touches, type Places } from './touches.js';
import { Walk } from './walk.js';

export function searchBounded(
  execution: Execution,
  preemptions: number,
  bounds: Bounds,
  shared: SharedPlaces = new SharedPlaces(execution),
  watchesRaces = false,
): SearchResult {
  const walk = new Walk(execution, { watchesRaces, maxSteps: bounds.steps });
  const spent = { executions: 0, steps: 0 };
  for (;;) {
    const known = shared.count;
    const result = new BoundedSearch(execution, preemptions, bounds, shared, spent, walk).run();
    if (result.outcome !== 'exhausted' || shared.count === known) return result;
  }
}

/** Whoever touched a place, above the bit that says that somebody changed it. */
const CHANGED = 1;

/** The places that more than one thread has touched in the executions so far, and one has changed. */
export class SharedPlaces {
  /** How many there are. */
  count = 0;
  private readonly places: Places;
  private readonly touchedBy: Int32Array;
  private readonly touches = new Touches();

  constructor(private readonly execution: Execution) {
    this.places = execution.places();
    this.touchedBy = new Int32Array(this.places.count);
  }

  /**
   * A thread is about to take its next step.
   *
   * @returns whether another might come before it in a way that matters
   */
  meet(thread: number): boolean {
    const { touches, touchedBy } = this;
    this.places.of(this.execution.cpuOf(thread), touches);
    let matters = false;
    for (let index = 0; index < touches.count; index++) {
      const place = touches.places[index];
      const before = touchedBy[place];
      const change = (touches.how[index] & MANNER) === READ ? 0 : CHANGED;
      const now = before | (2 << thread) | change;
      if (now !== before) {
        touchedBy[place] = now;
        if (isShared(now) && !isShared(before)) this.count++;
      }
      if (isShared(now)) matters = true;
    }
    return matters || this.execution.sharesCpu(thread);
  }
}

function isShared(touchedBy: number): boolean {
  const threads = touchedBy >> 1;
  return (touchedBy & CHANGED) !== 0 && (threads & (threads - 1)) !== 0;
}

/** A state in which more than one thread is to be tried. */
interface Choice {
  readonly step: number;
  /** The present one first. */
  readonly left: number[];
  /** The thread that went before and could go on; -1 if it cannot. */
  readonly running: number;
  /** Preemptions up to there. */
  readonly used: number;
}

class BoundedSearch {
  private readonly choices: Choice[] = [];
  /** Whether an execution was given up because it took too many steps. */
  private cut = false;

  constructor(
    private readonly execution: Execution,
    private readonly preemptions: number,
    private readonly bounds: Bounds,
    private readonly shared: SharedPlaces,
    private readonly spent: { executions: number; steps: number },
    private readonly walk: Walk,
  ) {}

  run(): SearchResult {
    const { choices, bounds, spent, walk } = this;
    walk.startAt(0);
    for (;;) {
      this.toEnd();
      const failures = walk.failures();
      spent.executions++;
      if (failures.length > 0) return this.result('failed', failures);
      while (choices.length > 0 && choices.at(-1)!.left.length === 1) choices.pop();
      if (choices.length === 0) return this.result(this.cut ? 'bounded' : 'exhausted', []);
      const late = bounds.deadline !== undefined && Date.now() > bounds.deadline;
      if (late || spent.executions >= bounds.executions) return this.result('bounded', []);
      const { step, left } = choices.at(-1)!;
      walk.startAt(step);
      spent.steps += step;
      left.shift();
    }
  }

  private result(outcome: SearchResult['outcome'], failures: readonly string[]): SearchResult {
    const { execution, spent } = this;
    const result = { outcome, ...spent, blocked: 0, failures };
    if (outcome !== 'failed') return { ...result, schedule: [] };
    return { ...result, kind: execution.failureKind, schedule: execution.path() };
  }

  /** Goes on from the last choice, or from the beginning. */
  private toEnd(): void {
    const { execution, choices, spent, walk } = this;
    let used = 0;
    let choice = choices.at(-1);
    while (!walk.hasFailed) {
      const { depth } = execution;
      if (choice?.step !== depth) choice = this.choiceAt(depth, used);
      if (choice === undefined) return;
      const next = choice.left[0];
      used = choice.used + (choice.running >= 0 && choice.running !== next ? 1 : 0);
      this.shared.meet(next);
      if (!walk.step(next)) {
        this.cut = true;
        return;
      }
      spent.steps++;
    }
  }

  /** What can be tried before a step; it is kept where there is more than one thing. */
  private choiceAt(step: number, used: number): Choice | undefined {
    const { execution } = this;
    const enabled = execution.enabledMask();
    if (enabled === 0) return undefined;
    const { last } = execution;
    const running = last >= 0 && (enabled & (1 << last)) !== 0 ? last : -1;
    const free = running < 0 || (used < this.preemptions && this.shared.meet(running));
    const choice = { step, left: free ? choicesOf(enabled, running) : [running], running, used };
    if (choice.left.length > 1) this.choices.push(choice);
    return choice;
  }
}

/** Threads to try in turn, the running one first. */
function choicesOf(enabled: number, running: number): number[] {
  const all: number[] = [];
  for (let index = 0; enabled >> index !== 0; index++) {
    if (((enabled >> index) & 1) !== 0 && index !== running) all.push(index);
  }
  return running < 0 ? all : [running, ...all];
}
