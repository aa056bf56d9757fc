/** Reads page tables at a quiet point, without the word operations. */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import { frameOf } from '../hardware/frames.js';
import {
  HUGE_PAGES,
  LEVEL_ENTRIES,
  LEVEL_NAMES,
  LEVEL_SPAN,
  PAGE_SIZE,
  PMD_HUGE,
  PTE_SPLIT,
  TABLE_ORDER,
  TOP_LEVEL,
  entryPfn,
  pfnBits,
  wordsPerEntry,
} from '../hardware/machine.js';
import type { Memory } from '../hardware/memory.js';
import { joinHalves } from '../hardware/split.js';
import { Mm } from '../mm/layout/mm.js';
import { PAGE_MAPPING_ANON, PG_reserved, Page, ZERO_PFN, pageOf } from '../mm/layout/page.js';
import { TABLES } from '../mm/layout/slab.js';
import { pmdHuge, pteMoved, ptePresent, pteSwap, pteToSlot } from '../mm/pte.js';
import { recordsInUse } from './records.js';

/** A mapped page as the tables show it. */
export interface MappedPage {
  readonly address: number;
  /** The pte, or what it would be if the page were not mapped as part of a huge one. */
  readonly entry: number;
  readonly pfn: Pfn;
  readonly anon: boolean;
  /** Whether it shows a page of zeros that all share, which no count counts. */
  readonly zero: boolean;
  /** Whether an entry above the leaves maps it, with its whole huge page. */
  readonly huge: boolean;
}

function readEntry(words: Int32Array, table: Pfn, level: number, index: number): number {
  const entryp = frameOf(table) + index * wordsPerEntry(level);
  return PTE_SPLIT ? joinHalves(words[entryp], words[entryp + 1]) : words[entryp];
}

/** Every page that an address space maps, in order of address. */
export function mappedPages(memory: Memory, mm: Word): MappedPage[] {
  const pages: MappedPage[] = [];
  collectPages(memory.words, memory.words[mm + Mm.pgd], TOP_LEVEL, 0, pages);
  return pages;
}

function collectPages(
  words: Int32Array,
  table: Pfn,
  level: number,
  base: number,
  pages: MappedPage[],
): void {
  for (let index = 0; index < LEVEL_ENTRIES[level]; index++) {
    const entry = readEntry(words, table, level, index);
    if (entry === 0) continue;
    const address = base + index * LEVEL_SPAN[level];
    if (level === 1 && pmdHuge(entry)) {
      for (let page = 0; page < HUGE_PAGES; page++) {
        const subpage = (entry & ~PMD_HUGE) + pfnBits(page);
        pages.push(mappedPage(words, address + page * PAGE_SIZE, subpage, true));
      }
    } else if (level > 0) {
      collectPages(words, entryPfn(entry), level - 1, address, pages);
    } else if (ptePresent(entry)) {
      pages.push(mappedPage(words, address, entry, false));
    }
  }
}

function mappedPage(words: Int32Array, address: number, entry: number, huge: boolean): MappedPage {
  const pfn = entryPfn(entry);
  const head = huge ? pfn & -HUGE_PAGES : pfn;
  const zero = pfn === ZERO_PFN || (words[pageOf(head) + Page.flags] & PG_reserved) !== 0;
  const mapping = words[pageOf(pfn) + Page.mapping];
  return { address, entry, pfn, anon: (mapping & PAGE_MAPPING_ANON) !== 0, zero, huge };
}

/** Visits every table of an address space, from the top down, with the first address that it maps. */
export function visitTables(
  words: Int32Array,
  mm: Word,
  visit: (table: Pfn, level: number, base: Vaddr) => void,
): void {
  const descend = (table: Pfn, level: number, base: Vaddr): void => {
    visit(table, level, base);
    if (level === 0) return;
    for (let index = 0; index < LEVEL_ENTRIES[level]; index++) {
      const entry = readEntry(words, table, level, index);
      if (entryPfn(entry) === 0 || (level === 1 && pmdHuge(entry))) continue;
      descend(entryPfn(entry), level - 1, base + index * LEVEL_SPAN[level]);
    }
  };
  descend(words[mm + Mm.pgd], TOP_LEVEL, 0);
}

/** Entries that say that they are in another table: there are none once that is so. */
export function movedEntries(words: Int32Array, mm: Word): number {
  let moved = 0;
  visitTables(words, mm, (table, level) => {
    for (let index = 0; index < LEVEL_ENTRIES[level]; index++) {
      if (pteMoved(readEntry(words, table, level, index))) moved++;
    }
  });
  return moved;
}

/** The leaf table of an address, or 0. */
export function leafTableOf(words: Int32Array, mm: Word, address: Vaddr): Pfn {
  let found = 0;
  visitTables(words, mm, (table, level, base) => {
    if (level === 0 && base === address) found = table;
  });
  return found;
}

/** A pte that tells where in the swap file its page is. */
export interface SwapEntry {
  readonly address: Vaddr;
  readonly slot: number;
}

/** Every such pte of an address space, in order of address. */
export function swapEntries(words: Int32Array, mm: Word): SwapEntry[] {
  const entries: SwapEntry[] = [];
  visitTables(words, mm, (table, level, base) => {
    if (level !== 0) return;
    for (let index = 0; index < LEVEL_ENTRIES[0]; index++) {
      const entry = readEntry(words, table, level, index);
      const address = base + index * PAGE_SIZE;
      if (pteSwap(entry)) entries.push({ address, slot: pteToSlot(entry) });
    }
  });
  return entries;
}

/** A page table in a schedule. */
export interface NamedTable {
  /** Its first frame. */
  readonly pfn: Pfn;
  readonly level: number;
  readonly name: string;
}

/** All page tables, by each frame that they take. */
export function tableNames(memory: Memory): Map<Pfn, NamedTable> {
  const names = new Map<Pfn, NamedTable>();
  for (const mm of recordsInUse(memory.words, TABLES.mm, [])) {
    visitTables(memory.words, mm, (pfn, level) => {
      const table = { pfn, level, name: LEVEL_NAMES[level] };
      for (let frame = 0; frame < 2 ** TABLE_ORDER[level]; frame++) names.set(pfn + frame, table);
    });
  }
  return names;
}
