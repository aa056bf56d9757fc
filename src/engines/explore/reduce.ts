/**
 * Makes a failing schedule as simple as it can be: as few preemptions as will do. First the turns of the threads are
 * moved together, two at a time, as long as it still fails in the same way; then the search with fewer preemptions is
 * asked whether there is any such schedule at all.
 */
import { SharedPlaces, searchBounded } from './bounded.js';
import type { Execution } from './execution.js';
import { MAX_STEPS, type FailureKind } from './search.js';
import { Walk } from './walk.js';

export interface Failing {
  readonly schedule: readonly number[];
  readonly failures: readonly string[];
  readonly kind: FailureKind;
}

export interface Reduced extends Failing {
  readonly preemptions: number;
  /** Whether it is known that none with fewer preemptions fails. */
  readonly fewest: boolean;
}

/** A thread that goes for a number of steps. */
interface Turn {
  readonly thread: number;
  readonly steps: number;
}

/** Share of the time for moving turns; the rest is for the search. */
const MOVING_SHARE = 0.4;

/** @param ms - how long it may take */
export function reduceSchedule(execution: Execution, found: Failing, ms: number): Reduced {
  const start = Date.now();
  const steps = stepsOf(found);
  let best = follow(execution, turnsOf(found.schedule), found.kind, steps) ?? {
    ...found,
    preemptions: Infinity,
  };
  const movingEnds = start + ms * MOVING_SHARE;
  for (let better: typeof best | undefined = best; better !== undefined;) {
    better = betterByMoving(execution, best, movingEnds);
    best = better ?? best;
  }
  const shared = new SharedPlaces(execution);
  const watchesRaces = found.kind === 'data race';
  for (let preemptions = 0; preemptions < best.preemptions; preemptions++) {
    const bounds = { executions: Infinity, deadline: start + ms, steps };
    const fewer = searchBounded(execution, preemptions, bounds, shared, watchesRaces);
    if (fewer.outcome === 'bounded') return { ...best, fewest: false };
    if (fewer.outcome === 'failed') {
      return {
        schedule: fewer.schedule,
        failures: fewer.failures,
        kind: fewer.kind ?? found.kind,
        preemptions,
        fewest: true,
      };
    }
  }
  return { ...best, fewest: Number.isFinite(best.preemptions) };
}

/** Steps of an execution: one without an end was found by taking so many. */
function stepsOf({ kind, schedule }: Failing): number {
  return kind === 'livelock' ? schedule.length : MAX_STEPS;
}

type Followed = Failing & { readonly preemptions: number };

/** Tries to move turns together. @returns a schedule with fewer preemptions, if one still fails */
function betterByMoving(
  execution: Execution,
  best: Followed,
  deadline: number,
): Followed | undefined {
  const turns = turnsOf(best.schedule);
  for (let at = 0; at + 1 < turns.length; at++) {
    for (const variant of [without(turns, at), movedOn(turns, at)]) {
      if (Date.now() > deadline) return undefined;
      const followed = follow(execution, variant, best.kind, stepsOf(best));
      if (followed !== undefined && followed.preemptions < best.preemptions) return followed;
    }
  }
  return undefined;
}

/** The turns but one: the others go on without it. */
function without(turns: readonly Turn[], at: number): Turn[] {
  return turns.filter((_, index) => index !== at);
}

/** The turns with one moved behind the next. */
function movedOn(turns: readonly Turn[], at: number): Turn[] {
  return [...turns.slice(0, at), turns[at + 1], turns[at], ...turns.slice(at + 2)];
}

function turnsOf(schedule: readonly number[]): Turn[] {
  const turns: { thread: number; steps: number }[] = [];
  for (const thread of schedule) {
    const last = turns.at(-1);
    if (last?.thread === thread) last.steps++;
    else turns.push({ thread, steps: 1 });
  }
  return turns;
}

/** Lets threads go by turns as far as they can, and then on to their ends. @returns it if it fails in that way */
function follow(
  execution: Execution,
  turns: readonly Turn[],
  kind: FailureKind,
  maxSteps: number,
): Followed | undefined {
  const walk = new Walk(execution, { watchesRaces: kind === 'data race', maxSteps });
  walk.startAt(0);
  let preemptions = 0;
  const step = (thread: number): boolean => {
    const { last } = execution;
    const preempts = last >= 0 && last !== thread && execution.isEnabled(last);
    if (!walk.step(thread)) return false;
    if (preempts) preemptions++;
    return true;
  };
  for (const { thread, steps } of turns) {
    for (let taken = 0; taken < steps; taken++) if (!step(thread)) break;
  }
  const threads = [...execution.running.keys()];
  while ((execution.last >= 0 && step(execution.last)) || threads.some(step));
  const failures = walk.failures();
  if (failures.length === 0 || execution.failureKind !== kind) return undefined;
  return { schedule: execution.path(), failures, kind, preemptions };
}
