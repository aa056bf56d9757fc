/**
 * Page-table entries and the tree that holds them (Linux: asm/pgtable.h, asm-generic/pgtable.h and
 * the p??_alloc functions of mm/memory.c, 2.6.10 and V18).
 *
 * A pte is handled as its low word, see hardware/arch/arch.ts.
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import {
  ENTRY_WORDS,
  LEVEL_ENTRIES,
  LEVEL_SPAN,
  NO_EXEC_HIGH,
  PAGE_SHIFT,
  PAGE_SIZE,
  PMD_HUGE,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_EXEC,
  PTE_FILE,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_USER,
  PTE_WRITE,
  TABLE_FLAGS,
  TOP_LEVEL,
  entryPfn,
  levelIndex,
} from '../hardware/machine.js';
import { walk } from '../hardware/mmu.js';
import { countEvents } from './counters.js';
import { ATOMIC_INSTALL, PTE_EXCHANGE, PTE_LOCKED } from './design.js';
import { Mm } from './layout/mm.js';
import { PG_table, Page, pageOf } from './layout/page.js';
import { PageState } from './layout/percpu.js';
import { VM_ACCESS, VM_EXEC, VM_WRITE } from './layout/vma.js';
import { pageTableAtomicStart, pageTableAtomicStop, testAndPopulate } from './locking.js';
import { allocZeroedPage, freeNewPage } from './pagealloc.js';

const PFN_MASK = -PAGE_SIZE | 0;

/** Whether an entry maps a page, accessible or not (Linux: pte_present). */
export function ptePresent(entry: number): boolean {
  return (entry & (PTE_PRESENT | PTE_PROTNONE)) !== 0;
}

/** Permission bits of a mapping, without write (Linux: vma->vm_page_prot of a private mapping). */
function pageProt(vmFlags: number): number {
  if ((vmFlags & VM_ACCESS) === 0) return PTE_PROTNONE | PTE_USER;
  return PTE_PRESENT | PTE_USER | ((vmFlags & VM_EXEC) !== 0 ? PTE_EXEC : 0);
}

/** A young, clean, read-only entry for a frame (Linux: mk_pte). */
export function mkPte(pfn: Pfn, vmFlags: number): number {
  return (pfn * PAGE_SIZE) | 0 | pageProt(vmFlags) | PTE_ACCESSED;
}

/** `entry` made dirty, and writable if the mapping is (Linux: maybe_mkwrite(pte_mkdirty())). */
export function mkDirtyWritable(entry: number, vmFlags: number): number {
  return entry | PTE_DIRTY | ((vmFlags & VM_WRITE) !== 0 ? PTE_WRITE : 0);
}

/** `entry` with the permissions of `vmFlags`, read-only; accessed and dirty stay (pte_modify). */
export function pteModify(entry: number, vmFlags: number): number {
  return (entry & (PFN_MASK | PTE_ACCESSED | PTE_DIRTY | PMD_HUGE)) | pageProt(vmFlags);
}

/** Whether an entry above the leaves maps a huge page itself (Linux: pmd_trans_huge). */
export function pmdHuge(entry: number): boolean {
  return PMD_HUGE !== 0 && (entry & PMD_HUGE) !== 0;
}

/** An empty entry that remembers a page offset in a file (2.6: pgoff_to_pte). */
export function pgoffToPte(pgoff: number): number {
  return (pgoff * PAGE_SIZE) | 0 | PTE_FILE;
}

/** Whether an entry is such a one. */
export function pteFile(entry: number): boolean {
  return !ptePresent(entry) && (entry & PTE_FILE) !== 0;
}

export function pteToPgoff(entry: number): number {
  return entry >>> PAGE_SHIFT;
}

/** Page offsets that such an entry can hold (2.6: PTE_FILE_MAX_BITS). */
export const PTE_FILE_MAX_PAGES = 2 ** (32 - PAGE_SHIFT);

/** Writes the entry's high word, which depends on the mapping alone. Before the low word. */
export function* setPteHigh(cpu: Cpu, ptep: Word, vmFlags: number): Op<void> {
  if (NO_EXEC_HIGH === 0) return;
  yield* cpu.writeOnce(ptep + 1, (vmFlags & VM_EXEC) !== 0 ? 0 : NO_EXEC_HIGH);
}

/** Reads an entry, without the bits that are locks. */
export function* ptepGet(cpu: Cpu, ptep: Word): Op<number> {
  return (yield* cpu.readOnce(ptep)) & ~PTE_LOCKED;
}

/**
 * Writes an entry that is empty, or that nobody else may change.
 *
 * Locks: those of the pte.
 */
export function* ptepSet(cpu: Cpu, ptep: Word, entry: number): Op<void> {
  yield* cpu.writeOnce(ptep, entry | PTE_LOCKED);
}

/**
 * Replaces an entry if it still is what was read before (V18: ptep_cmpxchg; 2.6.10: pte_same and
 * set_pte, but that a bit that the MMU sets in between is not lost).
 *
 * @returns whether it was replaced
 * Locks: those of the pte where the design does not install atomically.
 */
export function* ptepInstall(cpu: Cpu, ptep: Word, old: number, entry: number): Op<boolean> {
  if (ATOMIC_INSTALL || (old !== 0 && ptePresent(old))) {
    const expected = old | PTE_LOCKED;
    return yield* cpu.cas(ptep, expected, entry | PTE_LOCKED);
  }
  if ((yield* ptepGet(cpu, ptep)) !== old) return false;
  yield* ptepSet(cpu, ptep, entry);
  return true;
}

/** Clears an entry and returns it, with what the MMU set in it (Linux: ptep_get_and_clear). */
export function* ptepGetAndClear(cpu: Cpu, ptep: Word): Op<number> {
  return (yield* cpu.xchg(ptep, PTE_LOCKED)) & ~PTE_LOCKED;
}

/**
 * Gives an entry in use another value (V18: ptep_xchg; 31 March 2005). Where the design clears it first, another
 * CPU that comes by between finds nothing there.
 *
 * @returns the old one, with what the MMU set in it
 * Locks: those of the pte.
 */
export function* ptepExchange(cpu: Cpu, ptep: Word, entry: number): Op<number> {
  if (PTE_EXCHANGE) return (yield* cpu.xchg(ptep, entry | PTE_LOCKED)) & ~PTE_LOCKED;
  const old = yield* ptepGetAndClear(cpu, ptep);
  yield* ptepSet(cpu, ptep, entry);
  return old;
}

/** Takes bits from an entry; the MMU may be setting others. @returns what it was */
export function* ptepClearBits(cpu: Cpu, ptep: Word, bits: number): Op<number> {
  return (yield* cpu.and(ptep, ~bits)) & ~PTE_LOCKED;
}

/**
 * Sets in an entry the bits that an access needs (Linux: ptep_set_access_flags). If that fails the access
 * faults again, and has another chance.
 *
 * @returns the entry that was wanted
 * Locks: as for `ptepInstall`.
 */
export function* ptepSetAccessFlags(
  cpu: Cpu,
  address: Vaddr,
  ptep: Word,
  entry: number,
  write: boolean,
): Op<number> {
  const updated = entry | PTE_ACCESSED | (write ? PTE_DIRTY : 0);
  if (yield* ptepInstall(cpu, ptep, entry, updated)) cpu.tlb.drop(address);
  else yield* countEvents(cpu, PageState.cmpxchg_fail_flag_update, 1);
  return updated;
}

/**
 * Lets a page that is mapped read-only be written where it is. If that fails the access faults again, and has
 * another chance.
 *
 * @returns whether it was done; the caller drops the old translation
 * Locks: as for `ptepInstall`.
 */
export function* ptepReuse(cpu: Cpu, ptep: Word, entry: number, vmFlags: number): Op<boolean> {
  const writable = mkDirtyWritable(entry | PTE_ACCESSED, vmFlags);
  const done = yield* ptepInstall(cpu, ptep, entry, writable);
  const event = done ? PageState.fault_reuse : PageState.cmpxchg_fail_flag_reuse;
  yield* countEvents(cpu, event, 1);
  return done;
}

/**
 * Puts a translation that was just installed into this CPU's TLB, so that the access that faulted need
 * not walk again (Linux: update_mmu_cache; a hint, and nothing on processors that load TLBs themselves).
 */
export function updateMmuCache(cpu: Cpu, address: Vaddr, entry: number, vmFlags: number): void {
  const checksFetch = NO_EXEC_HIGH !== 0 || PTE_EXEC !== 0;
  cpu.tlb.fill(address, entry, checksFetch && (vmFlags & VM_EXEC) === 0);
}

/**
 * Finds the pte for an address and builds the tables on the way (V18: the body of
 * handle_mm_fault; 2.6.10: pud_alloc, pmd_alloc, pte_alloc_map).
 *
 * @returns the pte's word; minus the word of the entry above where that maps a huge page; 0 when memory is
 *   full
 * Locks: mmap_sem for reading. Entered between page_table_atomic_start and _stop, and left so,
 * but stopped when it returns 0.
 */
export function* pteAllocMap(cpu: Cpu, mm: Word, address: Vaddr): Op<number> {
  if (mm === cpu.mm) {
    const ptep = yield* walk(cpu, address);
    if (ptep !== 0) return ptep;
  }
  return yield* entryAllocMap(cpu, mm, address, 0);
}

/**
 * Finds the entry for an address in its table of `level`, and builds the tables above.
 *
 * @returns as for `pteAllocMap`
 * Locks: as for `pteAllocMap`.
 */
export function* entryAllocMap(cpu: Cpu, mm: Word, address: Vaddr, level: number): Op<number> {
  let table = frameOf(yield* cpu.load(mm + Mm.pgd));
  for (let above = TOP_LEVEL; above > level; above--) {
    const entryp = table + levelIndex(address, above) * ENTRY_WORDS;
    let entry = yield* cpu.readOnce(entryp);
    if (entry === 0) {
      yield* pageTableAtomicStop(cpu, mm);
      const pfn = yield* allocTable(cpu);
      if (pfn === 0) return 0;
      yield* pageTableAtomicStart(cpu, mm);
      if (yield* testAndPopulate(cpu, mm, entryp, tableEntry(pfn))) {
        // Atomic: V18 increments nr_ptes with no lock held, and two CPUs could lose a count.
        yield* cpu.add(mm + Mm.nrTables, 1);
      } else {
        yield* freeTable(cpu, pfn);
      }
      entry = yield* cpu.readOnce(entryp);
    }
    if (above === 1 && pmdHuge(entry)) return -entryp;
    table = frameOf(entryPfn(entry));
  }
  return table + levelIndex(address, level) * ENTRY_WORDS;
}

/**
 * The same outside of an atomic section.
 *
 * Locks: mmap_sem.
 */
export function* pteAlloc(cpu: Cpu, mm: Word, address: Vaddr, level: number): Op<number> {
  yield* pageTableAtomicStart(cpu, mm);
  const entryp = yield* entryAllocMap(cpu, mm, address, level);
  if (entryp !== 0) yield* pageTableAtomicStop(cpu, mm);
  return entryp;
}

/** Takes an empty table, or 0 when memory is full (Linux: pte_alloc_one and its like). */
export function* allocTable(cpu: Cpu): Op<Pfn> {
  const pfn = yield* allocZeroedPage(cpu);
  if (pfn === 0) return 0;
  yield* cpu.store(pageOf(pfn) + Page.flags, PG_table);
  yield* cpu.store(pageOf(pfn) + Page.refcount, 1);
  yield* countEvents(cpu, PageState.nr_page_table_pages, 1);
  return pfn;
}

/** Gives back a table that nothing points to. */
export function* freeTable(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* countEvents(cpu, PageState.nr_page_table_pages, -1);
  yield* freeNewPage(cpu, pfn);
}

/** An entry that points to a lower table. */
export function tableEntry(pfn: Pfn): number {
  return (pfn * PAGE_SIZE) | 0 | TABLE_FLAGS;
}

/** What `leafTable` returns where a huge page is mapped in the leaf table's stead. */
export const HUGE_LEAF = 0;

/**
 * Finds the leaf table that holds the pte of an address.
 *
 * @returns its first word; or HUGE_LEAF; or, where no table is, minus the level of the empty entry, so
 *   that the whole span of that entry can be skipped
 */
export function* leafTable(cpu: Cpu, mm: Word, address: Vaddr): Op<number> {
  let table = frameOf(yield* cpu.load(mm + Mm.pgd));
  for (let level = TOP_LEVEL; level > 0; level--) {
    const entry = yield* cpu.readOnce(table + levelIndex(address, level) * ENTRY_WORDS);
    if (entry === 0) return -level;
    if (level === 1 && pmdHuge(entry)) return HUGE_LEAF;
    table = frameOf(entryPfn(entry));
  }
  return table;
}

/** Finds the entry above the leaves for an address (Linux: mm_find_pmd). @returns its word, or 0 */
export function* findPmd(cpu: Cpu, mm: Word, address: Vaddr): Op<Word> {
  let table = frameOf(yield* cpu.load(mm + Mm.pgd));
  for (let level = TOP_LEVEL; level > 1; level--) {
    const entry = yield* cpu.readOnce(table + levelIndex(address, level) * ENTRY_WORDS);
    if (entry === 0) return 0;
    table = frameOf(entryPfn(entry));
  }
  return table + levelIndex(address, 1) * ENTRY_WORDS;
}

/** First address after `address` at which another entry of `level` begins. */
export function nextSpan(address: Vaddr, level: number): Vaddr {
  const span = LEVEL_SPAN[level];
  return (Math.floor(address / span) + 1) * span;
}

/**
 * Frees the tables of an unmapped range, but for those that a neighbour still needs (Linux:
 * free_pgtables).
 *
 * @param floor - end of the mapping below, 0 if none
 * @param ceiling - start of the mapping above, Infinity if none
 * Locks: mmap_sem for writing; the range is zapped and its translations are flushed.
 */
export function* freePgtables(
  cpu: Cpu,
  mm: Word,
  start: Vaddr,
  end: Vaddr,
  floor: Vaddr,
  ceiling: Vaddr,
): Op<void> {
  const pgd = yield* cpu.load(mm + Mm.pgd);
  yield* freeTablesBelow(cpu, mm, pgd, TOP_LEVEL, start, end, floor, ceiling);
}

function* freeTablesBelow(
  cpu: Cpu,
  mm: Word,
  tablePfn: Pfn,
  level: number,
  start: Vaddr,
  end: Vaddr,
  floor: Vaddr,
  ceiling: Vaddr,
): Op<void> {
  const span = LEVEL_SPAN[level];
  const table = frameOf(tablePfn);
  for (let first = Math.floor(start / span) * span; first < end; first += span) {
    const entryp = table + levelIndex(first, level) * ENTRY_WORDS;
    const entry = yield* cpu.readOnce(entryp);
    if (entry === 0) continue;
    const child = entryPfn(entry);
    if (level > 1) {
      const from = Math.max(start, first);
      const to = Math.min(end, first + span);
      yield* freeTablesBelow(cpu, mm, child, level - 1, from, to, floor, ceiling);
    }
    if (first < floor || first + span > ceiling) continue;
    yield* cpu.writeOnce(entryp, 0);
    yield* cpu.add(mm + Mm.nrTables, -1);
    yield* freeTable(cpu, child);
  }
}

/** Ptes in one leaf table. */
export const PTRS_PER_PTE = LEVEL_ENTRIES[0];
