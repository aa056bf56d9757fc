/**
 * Which CPU of a simulated machine runs, at what time, and how far it may go by itself: what the timed forms of the VM
 * ask before each operation. Arrays, whose elements V8 reads and writes without allocating.
 */
export class Clock {
  /** The running CPU, plus 1. */
  readonly running = new Int32Array(1);
  /** Simulated nanoseconds, by the places below. */
  readonly times = new Float64Array(2);

  get nowNs(): number {
    return this.times[NOW];
  }

  /** Whether no other CPU has anything to do before now. */
  get inTurn(): boolean {
    return this.times[NOW] <= this.times[TURN];
  }

  /** Lets a CPU run. @param turnNs - time of the next event of another CPU */
  set(cpu: number, nowNs: number, turnNs: number): void {
    this.running[0] = cpu + 1;
    this.times[NOW] = nowNs;
    this.times[TURN] = turnNs;
  }

  advance(ns: number): void {
    this.times[NOW] = this.times[NOW] + ns;
  }
}

/** Places in `times`. */
const NOW = 0;
const TURN = 1;
