/**
 * An execution taken where somebody chooses, rather than everywhere: by a bound, by chance, by a schedule that is
 * known. It tells what goes wrong on the way and at the end.
 */
import type { Execution } from './execution.js';
import { findLivelock } from './livelock.js';
import { RaceWatch } from './raceWatch.js';
import { MAX_STEPS } from './search.js';

export interface WalkOptions {
  /** Whether it ends where a data race is in sight. */
  readonly watchesRaces: boolean;
  /** After which it is asked whether it has an end at all. */
  readonly maxSteps?: number | undefined;
}

export class Walk {
  readonly maxSteps: number;
  private readonly watch: RaceWatch | undefined;
  private race: string | undefined;

  constructor(
    private readonly execution: Execution,
    { watchesRaces, maxSteps = MAX_STEPS }: WalkOptions,
  ) {
    this.maxSteps = maxSteps;
    this.watch = watchesRaces ? new RaceWatch(execution) : undefined;
  }

  /** Goes back to the state before a step, and on from there. */
  startAt(step: number): void {
    this.execution.goBack(step);
    this.race = undefined;
  }

  /** Whether something has gone wrong that ends it. */
  get hasFailed(): boolean {
    return this.race !== undefined || this.execution.failure !== undefined;
  }

  /** Lets a thread take its next step, if it can go. @returns whether it did */
  step(thread: number): boolean {
    const { execution } = this;
    if (this.hasFailed || execution.depth >= this.maxSteps) return false;
    if (!execution.isEnabled(thread)) return false;
    execution.step(thread);
    this.race = this.watch?.look();
    return true;
  }

  /** @returns what is wrong, where it has come to its end; the execution knows of what kind */
  failures(): readonly string[] {
    const { execution, race } = this;
    if (race !== undefined) {
      execution.failureKind = 'data race';
      return [race];
    }
    if (execution.failure !== undefined || execution.enabledMask() === 0) {
      return execution.endFailures();
    }
    const livelock = findLivelock(execution, this.maxSteps);
    if (livelock === undefined) return [];
    execution.failureKind = 'livelock';
    return [livelock];
  }
}
