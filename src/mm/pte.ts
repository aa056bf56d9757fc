/**
 * Page-table entries (Linux: asm/pgtable.h and asm-generic/pgtable.h; 2.6.10 and V18).
 *
 * A pte is handled as one word, in which its frame number and flags are: as a rule its low word, see
 * hardware/arch/arch.ts. All accesses to ptes in tables are here; where the architecture has no atomic step for
 * one, the lock of the pte makes up for it. A `ptep` may be an address in a slot, where tables are in high memory: each
 * access looks there which word of memory it is.
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import {
  ATOMIC_PTES,
  NO_EXEC_HIGH,
  PFN_MASK,
  PFN_SHIFT,
  PMD_HUGE,
  PTE_ACCESSED,
  PTE_BUSY,
  PTE_DIRTY,
  PTE_EXEC,
  PTE_FILE,
  PTE_HASHED,
  PTE_MOVED,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_SPLIT,
  PTE_USER,
  PTE_WRITE,
  TABLE_FLAGS,
  pfnBits,
} from '../hardware/machine.js';
import { busyClearBits, busyExchange, busyInstall } from './busyPte.js';
import { countEvents } from './counters.js';
import {
  ATOMIC_INSTALL,
  HIGHPTE,
  MOVE_MARKS,
  PTE_EXCHANGE,
  PTE_LOCKED,
  PTE_READ_MODIFY_WRITE,
} from './design.js';
import { kmapWord } from './kmap.js';
import { PageState } from './layout/percpu.js';
import { VM_ACCESS, VM_EXEC, VM_WRITE } from './layout/vma.js';
import { splitClearBits, splitGet, splitGetAndClear, splitInstall, splitSet } from './splitPte.js';

/** Bits of a pte that are no part of what it says. */
const HIDDEN_BITS = PTE_LOCKED | PTE_BUSY | PTE_HASHED;

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
  return pfnBits(pfn) | pageProt(vmFlags) | PTE_ACCESSED;
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
  return pfnBits(pgoff) | PTE_FILE;
}

/** Whether an entry is such a one. */
export function pteFile(entry: number): boolean {
  return !ptePresent(entry) && (entry & PTE_FILE) !== 0;
}

export function pteToPgoff(entry: number): number {
  return entry >>> PFN_SHIFT;
}

/** An empty entry that tells where the page is: a slot of the swap file (Linux: swp_entry_to_pte). */
export function swpEntryToPte(slot: number): number {
  return pfnBits(slot + 1);
}

/** Whether an entry is such a one (Linux: is_swap_pte). */
export function pteSwap(entry: number): boolean {
  return entry !== 0 && !ptePresent(entry) && (entry & PTE_FILE) === 0;
}

/** Whether an entry is in another table now: this one is not in use any more, see relocate.ts. */
export function pteMoved(entry: number): boolean {
  return MOVE_MARKS && entry === PTE_MOVED;
}

export function pteToSlot(entry: number): number {
  return (entry >>> PFN_SHIFT) - 1;
}

/** Page offsets that such an entry can hold (2.6: PTE_FILE_MAX_BITS). */
export const PTE_FILE_MAX_PAGES = 2 ** (32 - PFN_SHIFT);

/** Writes the entry's high word, which depends on the mapping alone. Before the low word. */
export function* setPteHigh(cpu: Cpu, ptep: Word, vmFlags: number): Op<void> {
  if (NO_EXEC_HIGH === 0) return;
  yield* cpu.writeOnce(ptep + 1, (vmFlags & VM_EXEC) !== 0 ? 0 : NO_EXEC_HIGH);
}

/** The same where the entry maps nothing any more. After the low word. */
export function* clearPteHigh(cpu: Cpu, ptep: Word): Op<void> {
  if (NO_EXEC_HIGH !== 0) yield* cpu.writeOnce(ptep + 1, 0);
}

/** Gives an entry the high word of another. */
export function* copyPteHigh(cpu: Cpu, to: Word, from: Word): Op<void> {
  if (NO_EXEC_HIGH === 0) return;
  const high = yield* cpu.readOnce(from + 1);
  yield* cpu.writeOnce(to + 1, high);
}

/** Whether an entry is empty, and its lock free, which more than a glance must see (Linux: pte_none). */
export function* ptepNone(cpu: Cpu, ptep: Word): Op<boolean> {
  const word = HIGHPTE ? yield* kmapWord(cpu, ptep) : ptep;
  return (yield* cpu.readOnce(word)) === 0;
}

/** Reads an entry, without the bits that are locks. */
export function* ptepGet(cpu: Cpu, ptep: Word): Op<number> {
  const word = HIGHPTE ? yield* kmapWord(cpu, ptep) : ptep;
  if (PTE_SPLIT) return (yield* splitGet(cpu, word)) & ~HIDDEN_BITS;
  return (yield* cpu.readOnce(word)) & ~HIDDEN_BITS;
}

/**
 * Writes an entry that is empty, or that nobody else may change.
 *
 * Locks: those of the pte.
 */
export function* ptepSet(cpu: Cpu, ptep: Word, entry: number): Op<void> {
  const word = HIGHPTE ? yield* kmapWord(cpu, ptep) : ptep;
  if (PTE_SPLIT) yield* splitSet(cpu, word, entry | PTE_LOCKED);
  else if (PTE_BUSY !== 0) yield* busyExchange(cpu, word, entry);
  else yield* cpu.writeOnce(word, entry | PTE_LOCKED);
}

/**
 * Replaces an entry if it still is what was read before (V18: ptep_cmpxchg; 2.6.10: pte_same and
 * set_pte, but that a bit that the MMU sets in between is not lost).
 *
 * @returns whether it was replaced
 * Locks: those of the pte where the design does not install atomically.
 */
export function* ptepInstall(cpu: Cpu, ptep: Word, old: number, entry: number): Op<boolean> {
  const word = HIGHPTE ? yield* kmapWord(cpu, ptep) : ptep;
  if (ATOMIC_INSTALL || (old !== 0 && ptePresent(old))) {
    const expected = old | PTE_LOCKED;
    if (PTE_SPLIT) return yield* splitInstall(cpu, word, expected, entry | PTE_LOCKED);
    if (PTE_BUSY !== 0) return yield* busyInstall(cpu, word, old, entry);
    if (ATOMIC_PTES) return yield* cpu.cas(word, expected, entry | PTE_LOCKED);
  }
  if ((yield* ptepGet(cpu, word)) !== old) return false;
  yield* ptepSet(cpu, word, entry);
  return true;
}

/**
 * Clears an entry and returns it, with what the MMU set in it (Linux: ptep_get_and_clear).
 *
 * Locks: those of the pte.
 */
export function* ptepGetAndClear(cpu: Cpu, ptep: Word): Op<number> {
  const word = HIGHPTE ? yield* kmapWord(cpu, ptep) : ptep;
  if (PTE_SPLIT) return (yield* splitGetAndClear(cpu, word)) & ~PTE_LOCKED;
  if (PTE_BUSY !== 0) return yield* busyExchange(cpu, word, 0);
  if (ATOMIC_PTES) return (yield* cpu.xchg(word, PTE_LOCKED)) & ~PTE_LOCKED;
  const old = yield* ptepGet(cpu, word);
  yield* ptepSet(cpu, word, 0);
  return old;
}

/**
 * Gives an entry in use another value (V18: ptep_xchg; 31 March 2005). Where the design clears it first, another
 * CPU that comes by between finds nothing there; where it only reads it first, what the MMU sets between is lost.
 *
 * @returns the old one, with what the MMU set in it
 * Locks: those of the pte.
 */
export function* ptepExchange(cpu: Cpu, ptep: Word, entry: number): Op<number> {
  const word = HIGHPTE ? yield* kmapWord(cpu, ptep) : ptep;
  if (PTE_EXCHANGE && PTE_BUSY !== 0) return yield* busyExchange(cpu, word, entry);
  if (PTE_EXCHANGE) return (yield* cpu.xchg(word, entry | PTE_LOCKED)) & ~PTE_LOCKED;
  const old = PTE_READ_MODIFY_WRITE ? yield* ptepGet(cpu, word) : yield* ptepGetAndClear(cpu, word);
  yield* ptepSet(cpu, word, entry);
  return old;
}

/**
 * Takes bits from an entry; the MMU may be setting others.
 *
 * @returns what it was
 * Locks: those of the pte.
 */
export function* ptepClearBits(cpu: Cpu, ptep: Word, bits: number): Op<number> {
  const word = HIGHPTE ? yield* kmapWord(cpu, ptep) : ptep;
  if (PTE_SPLIT) return (yield* splitClearBits(cpu, word, bits)) & ~PTE_LOCKED;
  if (PTE_BUSY !== 0) return yield* busyClearBits(cpu, word, bits);
  if (ATOMIC_PTES) return (yield* cpu.and(word, ~bits)) & ~PTE_LOCKED;
  const old = yield* ptepGet(cpu, word);
  yield* ptepSet(cpu, word, old & ~bits);
  return old;
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

/** An entry that points to a lower table. */
export function tableEntry(pfn: Pfn): number {
  return pfnBits(pfn) | TABLE_FLAGS;
}

/** Reads an entry above the leaves that maps no huge page. */
export function* tableGet(cpu: Cpu, entryp: Word): Op<number> {
  return PTE_SPLIT ? yield* splitGet(cpu, entryp) : yield* cpu.readOnce(entryp);
}

/** Writes an entry above the leaves: one that points to a table, or 0. */
export function* tableSet(cpu: Cpu, entryp: Word, entry: number): Op<void> {
  if (PTE_SPLIT) yield* splitSet(cpu, entryp, entry);
  else yield* cpu.writeOnce(entryp, entry);
}
