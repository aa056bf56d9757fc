/**
 * Names of words, for people: `mm[0].rss`, `page[17].mapcount`, `pte[5][3]`.
 *
 * Every word of the machine has one. Schedules, race reports and tables of hot cache lines print
 * them.
 */
import type { Word } from '../../base/units.js';
import { frameOf, wordPfn } from '../../hardware/frames.js';
import { hostStatePfn } from '../../hardware/hostStates.js';
import { LEVEL_NAMES, LINE_WORDS } from '../../hardware/machine.js';
import { CPU_LINES, CPU_LINES_END, CpuLine } from '../../hardware/memory.js';
import { RELOCATION } from '../design.js';
import { File } from './file.js';
import { HASHED_LOCKS_BASE, HASHED_LOCKS_END } from './hashedLocks.js';
import { KMAP, KMAP_END, KMAP_SLOTS, Kmap, KmapSlot, PAGE_KMAPS, SLOT_RECORD } from './kmap.js';
import { Mm, Task } from './mm.js';
import { PAGES, PAGES_END, PAGE_RECORD, Page } from './page.js';
import {
  PCP_BATCH,
  PCP_HIGH,
  PAGEVEC_SIZE,
  PERCPUS,
  PERCPUS_END,
  PERCPU_RECORD,
  PageState,
  Percpu,
} from './percpu.js';
import { ALL_TABLES, SLAB_RECORD, Slab } from './slab.js';
import { PAGE_SLOTS, SWAP, SWAP_CACHE, SWAP_END, SWAP_MAP, SWAP_RECORD, Swap } from './swap.js';
import { AnonVma, AnonVmaChain, Vma, VmaNode } from './vma.js';
import { MAX_ORDER, ZONES, ZONES_END, ZONE_RECORD, Zone } from './zone.js';

type Fields = Readonly<Record<string, number>>;

/** A run of equal records. */
interface Region {
  readonly name: string;
  readonly base: Word;
  readonly end: Word;
  readonly record: number;
  readonly fields: Map<number, string>;
}

function fieldNames(fields: Fields): Map<number, string> {
  return new Map(Object.entries(fields).map(([name, offset]) => [offset, name]));
}

const percpuFields = fieldNames(Percpu);
for (const [name, offset] of Object.entries(PageState)) {
  percpuFields.set(Percpu.pageState + offset, name);
}
for (let slot = 0; slot < PAGEVEC_SIZE; slot++) {
  percpuFields.set(Percpu.lruAdd + slot, `lruAdd[${slot}]`);
  percpuFields.set(Percpu.lruAddActive + slot, `lruAddActive[${slot}]`);
  percpuFields.set(Percpu.stackPagevec + slot, `stackPagevec[${slot}]`);
}
for (let slot = 0; slot < PCP_HIGH; slot++) {
  percpuFields.set(Percpu.pcp + slot, `pcp[${slot}]`);
  percpuFields.set(Percpu.pcpLow + slot, `pcpLow[${slot}]`);
}

for (let slot = 0; slot < PCP_BATCH; slot++)
  percpuFields.set(Percpu.pcpZeroed + slot, `pcpZeroed[${slot}]`);

if (RELOCATION) {
  LEVEL_NAMES.forEach((name, level) => {
    percpuFields.set(Percpu.tablesPinned + level, `tablesPinned[${name}]`);
    percpuFields.set(Percpu.tablesUnpinned + level, `tablesUnpinned[${name}]`);
  });
}

const zoneFields = fieldNames(Zone);
for (let order = 0; order < MAX_ORDER; order++) {
  zoneFields.set(Zone.freeArea + order, `freeArea[${order}]`);
  zoneFields.set(Zone.freeAreaZeroed + order, `freeAreaZeroed[${order}]`);
  zoneFields.set(Zone.freeAreaLow + order, `freeAreaLow[${order}]`);
}

const tableFields: Readonly<Record<string, Fields>> = {
  task: Task,
  mm: Mm,
  vma: Vma,
  vmaNode: VmaNode,
  anonVma: AnonVma,
  anonVmaChain: AnonVmaChain,
  file: File,
};

const regions: readonly Region[] = [
  {
    name: 'cpu',
    base: CPU_LINES,
    end: CPU_LINES_END,
    record: LINE_WORDS,
    fields: fieldNames(CpuLine),
  },
  { name: 'page', base: PAGES, end: PAGES_END, record: PAGE_RECORD, fields: fieldNames(Page) },
  { name: 'zone', base: ZONES, end: ZONES_END, record: ZONE_RECORD, fields: zoneFields },
  { name: 'percpu', base: PERCPUS, end: PERCPUS_END, record: PERCPU_RECORD, fields: percpuFields },
  {
    name: 'hashedPteLock',
    base: HASHED_LOCKS_BASE,
    end: HASHED_LOCKS_END,
    record: LINE_WORDS,
    fields: new Map([[0, 'lock']]),
  },
  { name: 'swap', base: SWAP, end: SWAP_MAP, record: SWAP_RECORD, fields: fieldNames(Swap) },
  { name: 'swapMap', base: SWAP_MAP, end: SWAP_CACHE, record: 1, fields: new Map([[0, 'count']]) },
  {
    name: 'swapCache',
    base: SWAP_CACHE,
    end: PAGE_SLOTS,
    record: 1,
    fields: new Map([[0, 'pfn']]),
  },
  { name: 'pageSlot', base: PAGE_SLOTS, end: SWAP_END, record: 1, fields: new Map([[0, 'slot']]) },
  { name: 'kmap', base: KMAP, end: KMAP_SLOTS, record: LINE_WORDS, fields: fieldNames(Kmap) },
  {
    name: 'kmapSlot',
    base: KMAP_SLOTS,
    end: PAGE_KMAPS,
    record: SLOT_RECORD,
    fields: fieldNames(KmapSlot),
  },
  {
    name: 'pageKmap',
    base: PAGE_KMAPS,
    end: KMAP_END,
    record: 1,
    fields: new Map([[0, 'slot']]),
  },
  ...ALL_TABLES.map(({ name, base, end, record }) => ({
    name,
    base,
    end,
    record,
    fields: fieldNames(tableFields[name]),
  })),
];

/** @returns the name of a word, such as `mm[0].rss` */
export function nameOf(word: Word): string {
  const pfn = wordPfn(word);
  if (pfn >= 0) return `frame[${pfn}][${word - frameOf(pfn)}]`;
  const hinted = hostStatePfn(word);
  if (hinted >= 0) return `hostState[${hinted}].word`;
  const region = regions.find(({ base, end }) => word >= base && word < end);
  if (region !== undefined) {
    const index = Math.floor((word - region.base) / region.record);
    const offset = (word - region.base) % region.record;
    return `${region.name}[${index}].${region.fields.get(offset) ?? `word${offset}`}`;
  }
  for (const { name, slab } of ALL_TABLES) {
    if (word < slab || word >= slab + SLAB_RECORD) continue;
    const field = [...fieldNames(Slab)].find(([offset]) => offset === word - slab);
    return `slab.${name}.${field?.[1] ?? `word${word - slab}`}`;
  }
  return word < CPU_LINES ? `header[${word}]` : `word[${word}]`;
}

/**
 * The words of a name in all records, such as those of `mm.rss`: mm[0].rss, mm[1].rss, ...
 *
 * @returns none where there is no such name
 */
export function wordsNamed(name: string): Word[] {
  const [table, field] = name.split('.', 2);
  const region = regions.find((candidate) => candidate.name === table);
  const offset = [...(region?.fields ?? [])].find(([, known]) => known === field)?.[0];
  if (region === undefined || offset === undefined) return [];
  const { base, end, record } = region;
  return Array.from(
    { length: (end - base) / record },
    (_, index) => base + index * record + offset,
  );
}
