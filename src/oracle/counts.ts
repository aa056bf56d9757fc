/** Reads counts from a machine at a quiet point, without the word operations. */
import type { Word } from '../base/units.js';
import { CPUS, FRAMES } from '../hardware/machine.js';
import type { Memory } from '../hardware/memory.js';
import { Mm, Task } from '../mm/layout/mm.js';
import {
  PAGE_MAPPING_ANON,
  PG_cache,
  PG_reserved,
  PG_swapcache,
  PG_table,
  PG_tail,
  Page,
  pageOf,
} from '../mm/layout/page.js';
import { SWAP, Swap } from '../mm/layout/swap.js';
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

/** Slots of the swap file that nothing refers to. */
export function freeSwapSlots(memory: Memory): number {
  return memory.words[SWAP + Swap.freeSlots];
}

/** What frames are used for, in pages. */
export interface FrameUses {
  /** Also what the swap cache holds, and all of a huge page. */
  anonymous: number;
  /** Pages of files and of shared memory. */
  files: number;
  pageTables: number;
  /** Such as the nodes of the page cache's trees. */
  others: number;
}

export function frameUses(memory: Memory): FrameUses {
  const { words } = memory;
  const uses: FrameUses = { anonymous: 0, files: 0, pageTables: 0, others: 0 };
  for (let pfn = 0; pfn < FRAMES; pfn++) {
    const use = frameUse(words, pageOf(pfn));
    if (use !== undefined) uses[use]++;
  }
  return uses;
}

/** @returns undefined for a free frame */
function frameUse(words: Int32Array, page: Word): keyof FrameUses | undefined {
  const flags = words[page + Page.flags];
  if ((flags & PG_table) !== 0) return 'pageTables';
  if ((flags & PG_tail) !== 0) return 'anonymous';
  if (words[page + Page.refcount] === 0) return undefined;
  const mapping = words[page + Page.mapping];
  if ((mapping & PAGE_MAPPING_ANON) !== 0 || (flags & PG_swapcache) !== 0) return 'anonymous';
  return (flags & PG_cache) !== 0 && mapping !== 0 ? 'files' : 'others';
}
