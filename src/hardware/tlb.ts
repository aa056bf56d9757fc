import type { Vaddr } from '../base/units.js';
import { NO_EXEC_HIGH, PAGES_PER_BYTE, PAGE_SIZE, PTE_EXEC } from './machine.js';

/** Entries; direct mapped. */
const TLB_ENTRIES = 1024;
const TLB_INDEX_MASK = TLB_ENTRIES - 1;

/**
 * A CPU's translation look-aside buffer: private to the CPU, direct mapped by the low bits of the
 * virtual page number. A slot's tag is the rest of the page number plus one; 0 is empty.
 */
export class Tlb {
  readonly tags = new Int32Array(TLB_ENTRIES);
  /** Low words of the cached ptes. */
  readonly entries = new Int32Array(TLB_ENTRIES);
  readonly noExec = new Uint8Array(TLB_ENTRIES);

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
    if (address === -1) {
      this.tags.fill(0);
      return;
    }
    const page = address * PAGES_PER_BYTE;
    const slot = page & TLB_INDEX_MASK;
    if (this.tags[slot] === tagOf(page)) this.tags[slot] = 0;
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
