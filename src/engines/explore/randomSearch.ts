/**
 * Random schedules of a seed, for what is too big to be searched: half of them plain, a thread chosen at every step
 * that matters; half with priorities, which find a bug of a given depth with a known probability (Burckhardt,
 * Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, ASPLOS
 * 2010). Each finds what the other misses.
 */
import { Prng } from '../../base/prng.js';
import type { SharedPlaces } from './bounded.js';
import type { Execution } from './execution.js';
import {
  PROGRESS_EVERY,
  lowest,
  randomMember,
  type Bounds,
  type Progress,
  type SearchResult,
} from './search.js';
import { Walk } from './walk.js';

/** Changes of priority: from one less than the first to one less than the last depth of a bug. */
const LEAST_CHANGES = 1;
const CHANGE_CHOICES = 3;

export interface RandomSearchBounds extends Bounds {
  readonly seed: number;
}

/** @param shared - places where a switch matters; it learns of more */
export function searchRandom(
  execution: Execution,
  { seed, executions, deadline, steps: maxSteps }: RandomSearchBounds,
  shared: SharedPlaces,
  progress?: Progress,
): SearchResult {
  const random = new Prng(seed);
  const walk = new Walk(execution, { watchesRaces: true, maxSteps });
  let steps = 0;
  /** Points of the longest execution so far at which a switch matters. */
  let points = 1;
  for (let run = 0; ; run++) {
    const late = deadline !== undefined && run % PROGRESS_EVERY === 0 && Date.now() > deadline;
    if (run >= executions || late) {
      return { outcome: 'bounded', executions: run, blocked: 0, steps, failures: [], schedule: [] };
    }
    if (run % PROGRESS_EVERY === 0) progress?.(run);
    walk.startAt(0);
    const choose = run % 2 === 0 ? plain(random) : byPriority(random, execution, points);
    let passed = 0;
    for (let goesOn = true; goesOn && !walk.hasFailed;) {
      const enabled = execution.enabledMask();
      if (enabled === 0) break;
      const { last } = execution;
      const canGo = last >= 0 && (enabled & (1 << last)) !== 0;
      goesOn = walk.step(canGo && !shared.meet(last) ? last : choose(enabled, passed++));
    }
    points = Math.max(points, passed);
    steps += execution.depth;
    const failures = walk.failures();
    if (failures.length === 0) continue;
    const found = { failures, kind: execution.failureKind, schedule: execution.path() };
    return { outcome: 'failed', executions: run + 1, blocked: 0, steps, ...found };
  }
}

/** @returns a thread of those that can go; `point` counts the times that it was asked */
type Choose = (enabled: number, point: number) => number;

function plain(random: Prng): Choose {
  return (enabled) => randomMember(random, enabled);
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
