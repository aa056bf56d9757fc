/** Both sides together: runs a sequence on each and compares. */
import { InputError } from '../src/base/errors.js';
import { planSteps, type CallName, type ProcessCall, type Step } from './calls.js';
import { firstDifference, type Difference } from './compare.js';
import { EXEMPTIONS } from './exemptions.js';
import { LinuxSide, type Surroundings, whyOtherwise } from './linux.js';
import { OurSide } from './ours.js';
import type { Reports } from './report.js';

/** How often a kind of call was compared, and how often it succeeded on Linux. */
export interface Tally {
  compared: number;
  succeeded: number;
}

/** A sequence that ended differently, and where. */
export interface Disagreement {
  readonly steps: readonly Step[];
  readonly difference: Difference;
}

export class Conformance {
  readonly tallies = new Map<CallName, Tally>();
  /** Differences that were gone when the sequence ran again: the machine's doing, such as writeback. */
  unrepeated = 0;
  /** How often each exemption ended the comparison of a sequence. */
  readonly exempted = new Map<string, number>();
  private ours: OurSide | undefined;

  private constructor(
    private readonly linux: LinuxSide,
    private readonly surroundings: Surroundings,
  ) {}

  /** @throws InputError where the kernel's side cannot run */
  static async start(): Promise<Conformance> {
    const { linux, surroundings } = await LinuxSide.start();
    return new Conformance(linux, surroundings);
  }

  /** @returns the two sides, or why there is nothing to compare with: for tests to skip */
  static async startOrReason(): Promise<Conformance | string> {
    try {
      const conformance = await Conformance.start();
      const otherwise = whyOtherwise();
      if (otherwise === undefined) return conformance;
      conformance.stop();
      return `${otherwise}; npm run conformance compares all the same`;
    } catch (error) {
      if (error instanceof InputError) return error.message;
      throw error;
    }
  }

  stop(): void {
    this.linux.stop();
  }

  /**
   * Runs a sequence on both sides.
   *
   * @returns where they disagree, twice in a row; undefined where they do not, or where an exemption applies
   * @throws whatever our VM throws, such as InvariantError
   */
  async disagreement(calls: readonly ProcessCall[]): Promise<Disagreement | undefined> {
    const steps = planSteps(calls);
    const first = await this.compareOnce(steps);
    if (first === undefined) return undefined;
    const exemption = EXEMPTIONS.find(({ covers }) => covers(first));
    if (exemption !== undefined) {
      this.exempted.set(exemption.name, (this.exempted.get(exemption.name) ?? 0) + 1);
      return undefined;
    }
    const second = await this.compareOnce(steps);
    if (second === undefined) {
      this.unrepeated++;
      return undefined;
    }
    return { steps, difference: second };
  }

  private async compareOnce(steps: readonly Step[]): Promise<Difference | undefined> {
    // Linux works on it while we do.
    const pending = this.linux.run(steps);
    pending.catch(() => undefined);
    let ours: Reports;
    try {
      this.ours ??= await OurSide.create(this.surroundings);
      ours = this.ours.run(steps);
    } catch (error) {
      // What is left of the machine is no place for another sequence.
      this.ours = undefined;
      await pending;
      throw error;
    }
    const linux = await pending;
    const difference = firstDifference(steps, linux, ours);
    this.count(steps.slice(0, difference?.index), linux);
    return difference;
  }

  private count(steps: readonly Step[], linux: Reports): void {
    steps.forEach(({ action }, i) => {
      const report = linux[i];
      if (report === undefined || action.call === 'look' || action.call === 'contents') return;
      const tally = this.tallies.get(action.call) ?? { compared: 0, succeeded: 0 };
      tally.compared++;
      if (!/^(-|SIG)/.test(report.outcome)) tally.succeeded++;
      this.tallies.set(action.call, tally);
    });
  }
}
