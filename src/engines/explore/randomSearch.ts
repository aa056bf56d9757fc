/**
 * Random schedules of a seed, for what is too big to be searched: half of them plain, a thread chosen at every step
 * that matters; half with priorities, which find a bug of a given depth with a known probability (Burckhardt,
 * Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, ASPLOS
 * 2010). Each finds what the other misses.
 */
import { Prng } from '../../base/prng.js';
import type { SharedPlaces } from './bounded.js';
import type { Execution } from './execution.js';
import { findLivelock } from './livelock.js';
import { RaceWatch } from './raceWatch.js';
import {
  MAX_STEPS,
  PROGRESS_EVERY,
  lowest,
  type Bounds,
  type Progress,
  type SearchResult,
} from './search.js';

/** Changes of priority: from one less than the first to one less than the last depth of a bug. */
const LEAST_CHANGES = 1;
const CHANGE_CHOICES = 3;

export interface RandomSearchBounds extends Bounds {
  readonly seed: number;
}

/** @param shared - places where a switch matters; it learns of more */
export function searchRandom(
  execution: Execution,
  { seed, executions, deadline, steps: maxSteps = MAX_STEPS }: RandomSearchBounds,
  shared: SharedPlaces,
  progress?: Progress,
): SearchResult {
  const random = new Prng(seed);
  const watch = new RaceWatch(execution);
  let steps = 0;
  /** Points of the longest execution so far at which a switch matters. */
  let points = 1;
  for (let run = 0; ; run++) {
    const late = deadline !== undefined && run % PROGRESS_EVERY === 0 && Date.now() > deadline;
    if (run >= executions || late) {
      return { outcome: 'bounded', executions: run, blocked: 0, steps, failures: [], schedule: [] };
    }
    if (run % PROGRESS_EVERY === 0) progress?.(run);
    execution.restart();
    const choose = run % 2 === 0 ? plain(random) : byPriority(random, execution, points);
    let passed = 0;
    let race: string | undefined;
    for (let last = -1; race === undefined && execution.depth < maxSteps;) {
      const enabled = execution.failure === undefined ? execution.enabledMask() : 0;
      if (enabled === 0) break;
      const goesOn = last >= 0 && (enabled & (1 << last)) !== 0;
      if (!goesOn || shared.meet(last)) last = choose(enabled, passed++);
      execution.step(last);
      race = watch.look();
    }
    points = Math.max(points, passed);
    steps += execution.depth;
    const schedule = [...execution.schedule.subarray(0, execution.depth)];
    const failures = race === undefined ? failuresOf(execution, maxSteps) : [race];
    if (failures.length === 0) continue;
    const kind = race === undefined ? execution.failureKind : 'data race';
    return { outcome: 'failed', executions: run + 1, blocked: 0, steps, failures, kind, schedule };
  }
}

/** Of an execution that has come to its end, or takes too many steps. */
function failuresOf(execution: Execution, maxSteps: number): readonly string[] {
  if (execution.depth < maxSteps) return execution.endFailures();
  const livelock = findLivelock(execution, maxSteps);
  if (livelock === undefined) return [];
  execution.failureKind = 'livelock';
  return [livelock];
}

/** @returns a thread of those that can go; `point` counts the times that it was asked */
type Choose = (enabled: number, point: number) => number;

function plain(random: Prng): Choose {
  return (enabled) => {
    let left = enabled;
    for (let skip = random.below(bitCount(enabled)); skip > 0; skip--) left &= left - 1;
    return lowest(left);
  };
}

/** The thread of the highest priority goes; at a few random points it falls behind all others. */
function byPriority(random: Prng, execution: Execution, points: number): Choose {
  const changes = LEAST_CHANGES + random.below(CHANGE_CHOICES);
  const at = new Set(Array.from({ length: changes }, () => random.below(points)));
  const priorities = execution.running.map(() => random.below(2 ** 30));
  let lowestPriority = 0;
  const highest = (enabled: number): number => {
    let best = -1;
    for (let left = enabled; left !== 0; left &= left - 1) {
      const thread = lowest(left);
      if (best < 0 || priorities[thread] > priorities[best]) best = thread;
    }
    return best;
  };
  return (enabled, point) => {
    if (at.has(point)) priorities[highest(enabled)] = --lowestPriority;
    return highest(enabled);
  };
}

function bitCount(mask: number): number {
  let count = 0;
  for (let left = mask; left !== 0; left &= left - 1) count++;
  return count;
}
