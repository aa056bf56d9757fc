/**
 * The memory buses of a machine, one a node: CPUs of a node that go over whole pages at the same time share it.
 *
 * A page keeps the bus busy for some time; on its own a CPU leaves the bus idle in between. With so many CPUs that
 * there is no idle time left, each takes as long as all their pages keep it busy. What a CPU takes is told by who uses
 * the bus when it begins: who comes later slows itself down, and not those who are there. So nothing that has been
 * told is ever taken back.
 */
export class MemoryBuses {
  /** Of each CPU: until when it uses its node's bus. */
  private readonly untilNs: Float64Array;
  private readonly cpusOf: number[][] = [];

  constructor(
    cpus: number,
    nodeOf: (cpu: number) => number,
    private readonly pageBusNs: number,
  ) {
    this.untilNs = new Float64Array(cpus);
    for (let cpu = 0; cpu < cpus; cpu++) (this.cpusOf[nodeOf(cpu)] ??= []).push(cpu);
  }

  /**
   * A CPU goes over a page from now on.
   *
   * @param aloneNs - what it takes with the bus to itself
   * @returns when it is done
   */
  use(cpu: number, node: number, nowNs: number, aloneNs: number): number {
    let users = 1;
    for (const other of this.cpusOf[node]) {
      if (other !== cpu && this.untilNs[other] > nowNs) users++;
    }
    const done = nowNs + Math.max(aloneNs, users * this.pageBusNs);
    this.untilNs[cpu] = done;
    return done;
  }
}
