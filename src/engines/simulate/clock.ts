/**
 * Which CPU of a simulated machine runs, at what time, and how far it may go by itself: what the timed forms of the VM
 * ask before each operation. Arrays, whose elements V8 reads and writes without allocating.
 */
export class Clock {
  /** The running CPU, plus 1. */
  readonly running = new Int32Array(1);
  /** Simulated nanoseconds, by the places below. */
  readonly times = new Float64Array(3);

  get nowNs(): number {
    return this.times[NOW];
  }

  /** Whether no other CPU has anything to do before now. */
  get inTurn(): boolean {
    return this.times[NOW] <= this.times[IN_TURN];
  }

  /** Whether the CPU may do now what no other CPU sees. */
  get mayRunAhead(): boolean {
    return this.times[NOW] <= this.times[AHEAD];
  }

  /**
   * Lets a CPU run.
   *
   * @param turnNs - time of the next event of another CPU
   * @param aheadNs - how far the CPU may run ahead of that
   */
  set(cpu: number, nowNs: number, turnNs: number, aheadNs: number): void {
    this.running[0] = cpu + 1;
    this.times[NOW] = nowNs;
    this.times[IN_TURN] = turnNs;
    this.times[AHEAD] = turnNs + aheadNs;
  }

  advance(ns: number): void {
    this.times[NOW] = this.times[NOW] + ns;
  }
}

/** Places in `times`: the running CPU's time, and until when it is in turn and may run ahead. */
const NOW = 0;
const IN_TURN = 1;
const AHEAD = 2;
