/** A CPU of the simulate engine, and a thread on it: what the two timed forms of the VM run on. */
import type { Program } from '../../workloads/programs.js';
import type { SteppedVm } from '../instance.js';
import { SteppedCpu, SteppedThread, type Frame } from '../stepping.js';

export class TimedCpu extends SteppedCpu {
  /** Generators that were being run by their callers when an operation was yielded, innermost first. */
  readonly calls: Frame[] = [];

  constructor(
    vm: SteppedVm,
    id: number,
    private readonly engine: () => Stepper,
  ) {
    super(vm, id);
  }

  /** Whether the pending operation can be performed now, before any other CPU's. */
  mayStep(): boolean {
    return this.engine().mayStep(this);
  }

  /** Performs the pending operation. @returns its result */
  step(): unknown {
    return this.engine().step(this);
  }

  /** The same where no other CPU runs: if it cannot be performed now, it never can. */
  stepAlone(): unknown {
    return this.engine().stepAlone(this);
  }
}

/** What performs operations: the engine. */
export interface Stepper {
  mayStep(cpu: TimedCpu): boolean;
  step(cpu: TimedCpu): unknown;
  stepAlone(cpu: TimedCpu): unknown;
}

/**
 * A thread that is stepped. In the timed stepped form a caller runs the generator that it has made, and most come to
 * their end at once; one that does not is left to the engine, with all its callers.
 */
export class TimedThread extends SteppedThread {
  constructor(
    override readonly cpu: TimedCpu,
    private readonly program: Program,
    private readonly args: readonly number[],
  ) {
    super(cpu);
  }

  /** @returns whether an operation is pending */
  begin(): boolean {
    return this.start(this.program, this.args);
  }

  override resume(value: unknown): boolean {
    if (!super.resume(value)) return false;
    const { calls } = this.cpu;
    while (calls.length > 0) this.stack.push(calls.pop()!);
    return true;
  }
}
