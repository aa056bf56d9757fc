/**
 * The random schedule engine: a machine whose CPUs take turns as a seed says. It finds what takes more steps
 * or CPUs than a search can bear, and finds it again: the same seed, machine and threads give the same run.
 */
import { InvariantError } from '../../base/errors.js';
import { Prng } from '../../base/prng.js';
import type { Memory } from '../../hardware/memory.js';
import type { VmConfig } from '../configuration.js';
import type { DeviceRequests } from '../deviceRequests.js';
import type { Engine, Thread } from '../engine.js';
import type { SteppedVm } from '../instance.js';
import { SteppedMachine } from '../stepping.js';
import { Execution } from './execution.js';
import { randomMember } from './search.js';

export interface RandomOptions {
  readonly seed: number;
  /** Of one run: one that takes more does not end, and fails. */
  readonly maxSteps?: number;
}

const MAX_STEPS = 200_000_000;
/** A CPU goes on for 1 to 2^k - 1 steps, with k below this. */
const RUN_BITS = 12;
/** Of how many turns one begins a time in which the CPUs switch at every step, and how long that is. */
const RESTLESS_EVERY = 64;
const RESTLESS_STEPS = 500;
/** A request to the device is answered within so many steps of the others; half of them at once. */
const REQUEST_STEPS = 2000;

/** Odd, so that no two runs have the same schedule. */
const RUN_STEP = 0x9e3779b1;

export class RandomEngine implements Engine {
  /** Runs so far: each has a schedule of its own. */
  private runs = 0;

  private constructor(
    readonly vm: SteppedVm,
    private readonly machine: SteppedMachine,
    private readonly options: RandomOptions,
  ) {}

  get memory(): Memory {
    return this.machine.memory;
  }

  get requests(): DeviceRequests {
    return this.machine.requests;
  }

  static async create(config: VmConfig, options: RandomOptions): Promise<RandomEngine> {
    const machine = await SteppedMachine.create(config);
    const engine = new RandomEngine(machine.vm, machine, options);
    await engine.run([{ cpu: 0, program: 'boot', args: [] }]);
    return engine;
  }

  /**
   * @throws InvariantError with the seed and the step, when a thread fails, when none can go on, or when there
   * is no end
   */
  run(threads: readonly Thread[]): Promise<number[]> {
    const { seed, maxSteps = MAX_STEPS } = this.options;
    const execution = new Execution(this.machine, threads, { goesBack: false, check: () => [] });
    const schedule = new RandomSchedule(new Prng(seed ^ Math.imul(this.runs, RUN_STEP)), execution);
    const fail = (what: string): never => {
      const where = `schedule seed ${seed}, run ${this.runs}, step ${schedule.step}`;
      throw new InvariantError(`${what} (${where})`);
    };
    while (execution.failure === undefined) {
      const next = schedule.next();
      if (next < 0) break;
      if (schedule.step > maxSteps) fail(`no end within ${maxSteps} steps`);
      execution.step(next);
    }
    const failures = execution.endFailures();
    if (failures.length > 0) fail(failures.join('; '));
    this.machine.idle();
    this.runs++;
    return Promise.resolve(execution.running.map(({ result }) => result));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Who goes next. */
class RandomSchedule {
  /** Steps so far. */
  step = 0;
  private thread = -1;
  /** Steps that the thread still goes on for. */
  private left = 0;
  private restlessUntil = 0;
  /** Of each thread that waits for the device: the step from which on it may be answered; else 0. */
  private readonly answered: number[];

  constructor(
    private readonly random: Prng,
    private readonly execution: Execution,
  ) {
    this.answered = execution.running.map(() => 0);
  }

  /** @returns the thread that takes the next step, or -1 when none can */
  next(): number {
    const enabled = this.execution.enabledMask();
    if (enabled === 0) return -1;
    this.step++;
    const ready = this.withoutUnanswered(enabled) || enabled;
    if (this.left > 0 && (ready & (1 << this.thread)) !== 0) {
      this.left--;
    } else {
      this.thread = randomMember(this.random, ready);
      this.left = this.turn() - 1;
    }
    this.answered[this.thread] = 0;
    return this.thread;
  }

  private withoutUnanswered(enabled: number): number {
    const { execution, answered, random } = this;
    let ready = enabled;
    for (let thread = 0; thread < answered.length; thread++) {
      if ((enabled & (1 << thread)) === 0 || !execution.isRequesting(thread)) continue;
      if (answered[thread] === 0) {
        const delay = random.below(2) * random.below(REQUEST_STEPS);
        answered[thread] = this.step + delay;
      }
      if (answered[thread] > this.step) ready &= ~(1 << thread);
    }
    return ready;
  }

  /** How many steps the thread that comes now goes on for. */
  private turn(): number {
    const { random } = this;
    if (this.step < this.restlessUntil) return 1;
    if (random.below(RESTLESS_EVERY) === 0) this.restlessUntil = this.step + RESTLESS_STEPS;
    return 1 + random.below(2 ** random.below(RUN_BITS));
  }
}
