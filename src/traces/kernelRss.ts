/**
 * The kernel's own rss, from kmem:rss_stat events: each tells the new value of one counter of one
 * address space, named by a hash that only events on the running task tie to a process.
 */

/** Resident pages by kind, in bytes, and the most there ever were. */
export class KernelRss {
  private readonly bytes = new Map<string, number>();
  private sumBytes = 0;
  peakBytes = 0;

  set(member: string, bytes: number): void {
    if (member === 'MM_SWAPENTS') return;
    this.sumBytes += bytes - (this.bytes.get(member) ?? 0);
    this.bytes.set(member, bytes);
    this.peakBytes = Math.max(this.peakBytes, this.sumBytes);
  }
}
