/** Events in order of time, at most one a CPU: a binary heap of (time, CPU) pairs; equal times keep no order. */
export class EventQueue {
  private readonly times: Float64Array;
  private readonly cpus: Int32Array;
  private count = 0;

  /** @param capacity - CPUs that may have an event */
  constructor(capacity: number) {
    this.times = new Float64Array(capacity);
    this.cpus = new Int32Array(capacity);
  }

  get size(): number {
    return this.count;
  }

  /** Time of the next event, or Infinity. */
  get nextTime(): number {
    return this.count === 0 ? Infinity : this.times[0];
  }

  push(time: number, cpu: number): void {
    const { times, cpus } = this;
    let child = this.count++;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (times[parent] <= time) break;
      times[child] = times[parent];
      cpus[child] = cpus[parent];
      child = parent;
    }
    times[child] = time;
    cpus[child] = cpu;
  }

  /** Removes the next event. @returns its CPU */
  pop(): number {
    const { times, cpus } = this;
    const first = cpus[0];
    const size = --this.count;
    const time = times[size];
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= size) break;
      if (child + 1 < size && times[child + 1] < times[child]) child++;
      if (times[child] >= time) break;
      times[parent] = times[child];
      cpus[parent] = cpus[child];
      parent = child;
    }
    times[parent] = time;
    cpus[parent] = cpus[size];
    return first;
  }
}
