import type { Vaddr, Word } from '../base/units.js';
import {
  LEVEL_SCALE,
  LEVEL_SPAN,
  NO_EXEC_HIGH,
  PAGES_PER_BYTE,
  PAGE_SIZE,
  PTE_EXEC,
  WALK_CACHE,
} from './machine.js';

/** Entries; direct mapped. */
const TLB_ENTRIES = 1024;
const TLB_INDEX_MASK = TLB_ENTRIES - 1;
/** Leaf tables whose place is cached; direct mapped. */
const WALK_ENTRIES = WALK_CACHE ? 16 : 0;
const WALK_INDEX_MASK = WALK_ENTRIES - 1;

/**
 * A CPU's translation look-aside buffer: private to the CPU, direct mapped by the low bits of the
 * virtual page number. A slot's tag is the rest of the page number plus one; 0 is empty.
 *
 * With WALK_CACHE it also holds where leaf tables are (Intel SDM volume 3A, 4.10.3: paging-structure caches), so that a
 * miss reads no entry above. Whatever drops a translation drops all of that, as INVLPG does (4.10.4.1).
 */
export class Tlb {
  readonly tags = new Int32Array(TLB_ENTRIES);
  /** Low words of the cached ptes. */
  readonly entries = new Int32Array(TLB_ENTRIES);
  readonly noExec = new Uint8Array(TLB_ENTRIES);

  /** By slot: the number of the leaf table's span of addresses plus one, and the table's first word. */
  readonly walkTags = new Int32Array(WALK_ENTRIES);
  readonly walkTables = new Int32Array(WALK_ENTRIES);

  /** @returns the cached pte's low word, or 0 */
  lookup(address: Vaddr): number {
    const page = address * PAGES_PER_BYTE;
    const slot = page & TLB_INDEX_MASK;
    return this.tags[slot] === tagOf(page) ? this.entries[slot] : 0;
  }

  /** Whether the cached page of `address` forbids instruction fetch. */
  forbidsFetch(address: Vaddr): boolean {
    return this.noExec[(address * PAGES_PER_BYTE) & TLB_INDEX_MASK] === 1;
  }

  fill(address: Vaddr, entry: number, noExec: boolean): void {
    const page = address * PAGES_PER_BYTE;
    const slot = page & TLB_INDEX_MASK;
    this.tags[slot] = tagOf(page);
    this.entries[slot] = entry;
    this.noExec[slot] = noExec ? 1 : 0;
  }

  /** @param address - the page to drop, or -1 for all */
  drop(address: Vaddr): void {
    if (WALK_CACHE) this.walkTags.fill(0);
    if (address === -1) {
      this.tags.fill(0);
      return;
    }
    const page = address * PAGES_PER_BYTE;
    const slot = page & TLB_INDEX_MASK;
    if (this.tags[slot] === tagOf(page)) this.tags[slot] = 0;
  }

  /** @returns the first word of the leaf table that an address was last found in, or 0 */
  leafTable(address: Vaddr): Word {
    const span = (address * LEVEL_SCALE[1]) | 0;
    const slot = span & WALK_INDEX_MASK;
    return this.walkTags[slot] === span + 1 ? this.walkTables[slot] : 0;
  }

  fillLeafTable(address: Vaddr, table: Word): void {
    const span = (address * LEVEL_SCALE[1]) | 0;
    const slot = span & WALK_INDEX_MASK;
    this.walkTags[slot] = span + 1;
    this.walkTables[slot] = table;
  }

  /** Every cached leaf table, for the audit: the first address that it maps, and its first word. */
  cachedTables(): { address: Vaddr; table: Word }[] {
    const found: { address: Vaddr; table: Word }[] = [];
    this.walkTags.forEach((tag, slot) => {
      if (tag === 0) return;
      found.push({ address: (tag - 1) * LEVEL_SPAN[1], table: this.walkTables[slot] });
    });
    return found;
  }

  /** Every valid entry, for the audit: the page's address and the cached low word. */
  cached(): { address: Vaddr; entry: number }[] {
    const found: { address: Vaddr; entry: number }[] = [];
    this.tags.forEach((tag, slot) => {
      if (tag === 0) return;
      const address = ((tag - 1) * TLB_ENTRIES + slot) * PAGE_SIZE;
      found.push({ address, entry: this.entries[slot] });
    });
    return found;
  }
}

function tagOf(page: number): number {
  return ((page * (1 / TLB_ENTRIES)) | 0) + 1;
}

/** Whether an entry with this low and high word forbids instruction fetch. */
export function entryForbidsFetch(entry: number, high: number): boolean {
  return (high & NO_EXEC_HIGH) !== 0 || (PTE_EXEC !== 0 && (entry & PTE_EXEC) === 0);
}
