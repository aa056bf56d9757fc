/**
 * The memory buses of a machine, one a node, and the links from node to node: CPUs of a node that go over whole pages
 * at the same time share them.
 *
 * A page keeps the bus busy for some time; on its own a CPU leaves the bus idle in between. With so many CPUs that
 * there is no idle time left, each takes as long as all their pages keep it busy. So with the link, for pages of other
 * nodes. What a CPU takes is told by who is there when it begins: who comes later slows itself down, and not those who
 * are there. So nothing that has been told is ever taken back.
 */
import type { MachineCosts } from './costs.js';

export class MemoryBuses {
  /** Of each CPU: until when it uses its node's bus, and until when the link. */
  private readonly busUntilNs: Float64Array;
  private readonly linkUntilNs: Float64Array;
  private readonly cpusOf: number[][] = [];

  constructor(
    cpus: number,
    nodeOf: (cpu: number) => number,
    private readonly costs: Pick<MachineCosts, 'pageBusNs' | 'pageLinkNs'>,
  ) {
    this.busUntilNs = new Float64Array(cpus);
    this.linkUntilNs = new Float64Array(cpus);
    for (let cpu = 0; cpu < cpus; cpu++) (this.cpusOf[nodeOf(cpu)] ??= []).push(cpu);
  }

  /**
   * A CPU goes over a page from now on.
   *
   * @param aloneNs - what it takes with bus and link to itself
   * @param remote - whether the page is another node's
   * @returns when it is done
   */
  use(cpu: number, node: number, nowNs: number, aloneNs: number, remote: boolean): number {
    const { busUntilNs, linkUntilNs, costs } = this;
    let users = 1;
    let remoteUsers = 1;
    for (const other of this.cpusOf[node]) {
      if (other === cpu || busUntilNs[other] <= nowNs) continue;
      users++;
      if (linkUntilNs[other] > nowNs) remoteUsers++;
    }
    let ns = Math.max(aloneNs, users * costs.pageBusNs);
    if (remote) ns = Math.max(ns, remoteUsers * costs.pageLinkNs);
    busUntilNs[cpu] = nowNs + ns;
    if (remote) linkUntilNs[cpu] = nowNs + ns;
    return nowNs + ns;
  }
}
