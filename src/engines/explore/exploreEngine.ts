/**
 * The explore engine: a machine whose programs are run in every order that matters.
 *
 * As an engine it runs threads one after the other, which is one of those orders; `explore` tries
 * them all.
 */
import { InvariantError } from '../../base/errors.js';
import type { Memory } from '../../hardware/memory.js';
import type { VmConfig } from '../configuration.js';
import type { DeviceRequests } from '../deviceRequests.js';
import type { Engine, Thread } from '../engine.js';
import type { SteppedVm } from '../instance.js';
import { SteppedMachine } from '../stepping.js';
import type { EndCheck } from '../../workloads/endChecks.js';
import { Execution } from './execution.js';

export class ExploreEngine implements Engine {
  private constructor(
    readonly vm: SteppedVm,
    readonly machine: SteppedMachine,
  ) {}

  get memory(): Memory {
    return this.machine.memory;
  }

  get requests(): DeviceRequests {
    return this.machine.requests;
  }

  static async create(config: VmConfig): Promise<ExploreEngine> {
    const machine = await SteppedMachine.create(config);
    const engine = new ExploreEngine(machine.vm, machine);
    await engine.run([{ cpu: 0, program: 'boot', args: [] }]);
    return engine;
  }

  /**
   * The threads from here, to be run in any order: see sourceSets.ts.
   *
   * @param check - what must hold at the end
   */
  execution(threads: readonly Thread[], check: EndCheck = this.vm.audit): Execution {
    const { none, reference } = this.vm.END_CHECKS;
    const bare = check === none || check === reference;
    return new Execution(this.machine, threads, { check, checksFrames: !bare });
  }

  /** Lets the first thread that can go, go. */
  run(threads: readonly Thread[]): Promise<number[]> {
    const execution = new Execution(this.machine, threads, { goesBack: false, check: () => [] });
    for (;;) {
      const next = threads.findIndex((_, index) => execution.isEnabled(index));
      if (next < 0) break;
      execution.step(next);
    }
    if (execution.failure !== undefined) throw new InvariantError(execution.failure);
    if (execution.ended.includes(false)) {
      throw new InvariantError(`explore: ${execution.endFailures().join('; ')}`);
    }
    this.machine.idle();
    return Promise.resolve(execution.running.map(({ result }) => result));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
