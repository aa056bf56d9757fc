/** Events in order of time: a binary heap of (time, what) pairs; equal times keep no order. */
export class EventQueue {
  private readonly times: number[] = [];
  private readonly items: number[] = [];

  get size(): number {
    return this.times.length;
  }

  /** Time of the next event, or Infinity. */
  get nextTime(): number {
    return this.times.length === 0 ? Infinity : this.times[0];
  }

  push(time: number, item: number): void {
    const { times, items } = this;
    let child = times.length;
    times.push(time);
    items.push(item);
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (times[parent] <= time) break;
      times[child] = times[parent]!;
      items[child] = items[parent]!;
      child = parent;
    }
    times[child] = time;
    items[child] = item;
  }

  /** Removes the next event. @returns what it is */
  pop(): number {
    const { times, items } = this;
    const first = items[0];
    const time = times.pop()!;
    const item = items.pop()!;
    const size = times.length;
    if (size === 0) return first;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= size) break;
      if (child + 1 < size && times[child + 1] < times[child]) child++;
      if (times[child] >= time) break;
      times[parent] = times[child]!;
      items[parent] = items[child]!;
      parent = child;
    }
    times[parent] = time;
    items[parent] = item;
    return first;
  }
}
