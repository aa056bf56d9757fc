/** Reads counts from a machine at a quiet point, without the word operations. */
import type { Word } from '../base/units.js';
import { CPUS, FRAMES } from '../hardware/machine.js';
import type { Memory } from '../hardware/memory.js';
import { Mm, Task } from '../mm/layout/mm.js';
import { PG_reserved, PG_tail, Page, pageOf } from '../mm/layout/page.js';
import { Zone, zoneOf } from '../mm/layout/zone.js';
import { PageState, Percpu, percpuOf, type PageStateName } from '../mm/layout/percpu.js';

/** The event counts, summed over all CPUs (Linux: get_full_page_state). */
export function pageStates(memory: Memory): Record<PageStateName, number> {
  const counts = Object.entries(PageState).map(([name, event]) => {
    let sum = 0;
    for (let cpu = 0; cpu < CPUS; cpu++) {
      sum += memory.words[percpuOf(cpu) + Percpu.pageState + event];
    }
    return [name, sum];
  });
  return Object.fromEntries(counts) as Record<PageStateName, number>;
}

/** Sizes of an address space, in pages. */
export interface MmCounts {
  readonly rss: number;
  readonly anonRss: number;
  /** Most rss ever, the present included. */
  readonly hiwaterRss: number;
  /** Page-table pages of all levels. */
  readonly tables: number;
  readonly totalVm: number;
  readonly mapCount: number;
}

export function readMm(memory: Memory, mm: Word): MmCounts {
  const { words } = memory;
  let rss = words[mm + Mm.rss];
  let anonRss = words[mm + Mm.anonRss];
  for (let task = words[mm + Mm.taskList]; task !== 0; task = words[task + Task.nextOfMm]!) {
    rss += words[task + Task.rss];
    anonRss += words[task + Task.anonRss];
  }
  return {
    rss,
    anonRss,
    hiwaterRss: Math.max(rss, words[mm + Mm.hiwaterRss]),
    tables: words[mm + Mm.nrTables],
    totalVm: words[mm + Mm.totalVm],
    mapCount: words[mm + Mm.mapCount],
  };
}

/** Frames that somebody holds, but for reserved ones. */
export function framesInUse({ words }: Memory): number {
  let used = 0;
  for (let pfn = 0; pfn < FRAMES; pfn++) {
    const page = pageOf(pfn);
    const flags = words[page + Page.flags];
    if ((flags & PG_reserved) !== 0) continue;
    if (words[page + Page.refcount] !== 0 || (flags & PG_tail) !== 0) used++;
  }
  return used;
}

/** Free frames and the lengths of the lists of a zone, in pages. */
export function readZone(
  memory: Memory,
  node: number,
): { freePages: number; active: number; inactive: number } {
  const zone = zoneOf(node);
  return {
    freePages: memory.words[zone + Zone.freePages],
    active: memory.words[zone + Zone.nrActive],
    inactive: memory.words[zone + Zone.nrInactive],
  };
}
