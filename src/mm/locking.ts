/**
 * How a design keeps changes to page tables apart (SPEC S1, 1.9). All code changes ptes by the same steps,
 * whatever the design:
 *
 *   pageTableAtomicStart  the walk; 2.6.10 holds page_table_lock from here on
 *     sectionStart        a decision on one pte that the fault path has read: V18 takes no lock for it
 *     sectionStop
 *   pteLock ... pteUnlock    one pte must stand still: always a lock
 *   ptesLock ... ptesUnlock  the same for all of a leaf table; entryLock for each of them within
 *
 * What the lock is: the mm's, one per leaf table, one of a few that tables are hashed to, or a bit in the pte
 * itself; then a lock on a table is none, and entryLock is the lock.
 *
 * Where tables may be in high memory a fault has its pte mapped from the walk on; what ends a section lets go of it, and
 * pteOffsetMapLock has it again (pteMap.ts).
 *
 * Upper levels, the spare tables of huge pages and the list of tasks are under mm->page_table_lock in every
 * design.
 *
 * Order: mmap_sem, the VMA's lock, the file's iSem, a page's lock, the file's mmapLock, the anon_vma's lock, locks of ptes,
 * the file's treeLock, the swap lock, a zone's locks.
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { wordPfn } from '../hardware/frames.js';
import { ATOMIC_POPULATE } from '../hardware/machine.js';
import {
  ANON_WRITE_LOCK,
  KMAP_FAULT_ATOMIC,
  POPULATE_PLAIN_STORE,
  PTE_LOCKED,
  PTE_LOCK_BIT,
  PTE_LOCK_HASHED,
  PTE_LOCK_MM,
  SECTION_LOCK,
  WALK_LOCK,
} from './design.js';
import { hashedPteLock } from './layout/hashedLocks.js';
import { Mm } from './layout/mm.js';
import { PAGE_PTL, pageOf } from './layout/page.js';
import { tableSet } from './pte.js';
import { pteRegain, pteRelease } from './pteMap.js';

/**
 * Begins a section of atomic pte operations (V18, patch 3 of 4): takes page_table_lock where the design holds it
 * over the walk.
 */
export function* pageTableAtomicStart(cpu: Cpu, mm: Word): Op<void> {
  if (WALK_LOCK) yield* cpu.spinLock(mm + Mm.pageTableLock);
}

export function* pageTableAtomicStop(cpu: Cpu, mm: Word): Op<void> {
  if (WALK_LOCK) yield* cpu.spinUnlock(mm + Mm.pageTableLock);
}

/** The same for a fault that has walked to its pte, and goes on to what may sleep. */
export function* walkStop(cpu: Cpu, mm: Word, ptep: Word): Op<void> {
  if (KMAP_FAULT_ATOMIC) yield* pteRelease(cpu, ptep);
  if (WALK_LOCK) yield* cpu.spinUnlock(mm + Mm.pageTableLock);
}

/**
 * Begins to act on a pte that was read in an atomic section. Where this takes a lock, the pte may have changed
 * since; where the design has neither lock, it may change at any moment: only ptepInstall tells.
 */
export function* sectionStart(cpu: Cpu, mm: Word, ptep: Word): Op<void> {
  if (SECTION_LOCK) yield* pteLock(cpu, mm, ptep);
}

/** Ends that, and the atomic section with it. */
export function* sectionStop(cpu: Cpu, mm: Word, ptep: Word): Op<void> {
  if (SECTION_LOCK) yield* pteUnlock(cpu, mm, ptep);
  yield* walkStop(cpu, mm, ptep);
}

/**
 * Begins the section in which do_anonymous_page installs a page that was written to.
 *
 * @param found - the pte, where the fault's walk came to it
 * @returns the pte, as it can be reached now
 */
export function* anonWriteStart(cpu: Cpu, mm: Word, address: Vaddr, found: Word): Op<Word> {
  const ptep = KMAP_FAULT_ATOMIC ? yield* pteRegain(cpu, mm, address) : found;
  if (ANON_WRITE_LOCK) yield* pteLock(cpu, mm, ptep);
  return ptep;
}

export function* anonWriteStop(cpu: Cpu, mm: Word, ptep: Word): Op<void> {
  if (ANON_WRITE_LOCK) yield* pteUnlock(cpu, mm, ptep);
  if (KMAP_FAULT_ATOMIC) yield* pteRelease(cpu, ptep);
}

/**
 * The same two sections over several ptes of one leaf table; each of these is changed under entryLock.
 *
 * @param table - any word of it
 */
export function* sectionPtesStart(cpu: Cpu, mm: Word, table: Word): Op<void> {
  if (SECTION_LOCK) yield* ptesLock(cpu, mm, table);
}

export function* sectionPtesStop(cpu: Cpu, mm: Word, table: Word): Op<void> {
  if (SECTION_LOCK) yield* ptesUnlock(cpu, mm, table);
  yield* pageTableAtomicStop(cpu, mm);
}

export function* anonWritePtesStart(cpu: Cpu, mm: Word, table: Word): Op<void> {
  if (ANON_WRITE_LOCK) yield* ptesLock(cpu, mm, table);
}

export function* anonWritePtesStop(cpu: Cpu, mm: Word, table: Word): Op<void> {
  if (ANON_WRITE_LOCK) yield* ptesUnlock(cpu, mm, table);
}

/** Keeps a pte as it is, but for bits that the MMU sets. */
export function* pteLock(cpu: Cpu, mm: Word, ptep: Word): Op<void> {
  yield* ptesLock(cpu, mm, ptep);
  yield* entryLock(cpu, ptep);
}

export function* pteUnlock(cpu: Cpu, mm: Word, ptep: Word): Op<void> {
  yield* entryUnlock(cpu, ptep);
  yield* ptesUnlock(cpu, mm, ptep);
}

/**
 * The same for a fault that has let go of its pte since it walked to it (Linux: pte_offset_map_lock).
 *
 * @param found - where it came to it
 * @returns the pte, as it can be reached now
 */
export function* pteOffsetMapLock(cpu: Cpu, mm: Word, address: Vaddr, found: Word): Op<Word> {
  const ptep = KMAP_FAULT_ATOMIC ? yield* pteRegain(cpu, mm, address) : found;
  yield* pteLock(cpu, mm, ptep);
  return ptep;
}

export function* pteUnmapUnlock(cpu: Cpu, mm: Word, ptep: Word): Op<void> {
  yield* pteUnlock(cpu, mm, ptep);
  if (KMAP_FAULT_ATOMIC) yield* pteRelease(cpu, ptep);
}

/** The same for all of a fault's leaf table. */
export function* ptesOffsetMapLock(cpu: Cpu, mm: Word, address: Vaddr, found: Word): Op<Word> {
  const ptep = KMAP_FAULT_ATOMIC ? yield* pteRegain(cpu, mm, address) : found;
  yield* ptesLock(cpu, mm, ptep);
  return ptep;
}

export function* ptesUnmapUnlock(cpu: Cpu, mm: Word, ptep: Word): Op<void> {
  yield* ptesUnlock(cpu, mm, ptep);
  if (KMAP_FAULT_ATOMIC) yield* pteRelease(cpu, ptep);
}

/** Begins work on the ptes of one leaf table. @param table - any word of it */
export function* ptesLock(cpu: Cpu, mm: Word, table: Word): Op<void> {
  if (!PTE_LOCK_BIT) yield* cpu.spinLock(pteLockptr(mm, table));
}

export function* ptesUnlock(cpu: Cpu, mm: Word, table: Word): Op<void> {
  if (!PTE_LOCK_BIT) yield* cpu.spinUnlock(pteLockptr(mm, table));
}

/** The share of the lock that is a pte's own. */
export function* entryLock(cpu: Cpu, ptep: Word): Op<void> {
  if (PTE_LOCK_BIT) yield* cpu.lockBit(ptep, PTE_LOCKED);
}

export function* entryUnlock(cpu: Cpu, ptep: Word): Op<void> {
  if (PTE_LOCK_BIT) yield* cpu.unlockBit(ptep, PTE_LOCKED);
}

/** The lock of a leaf table (Linux: pte_lockptr). */
function pteLockptr(mm: Word, table: Word): Word {
  if (PTE_LOCK_MM) return mm + Mm.pageTableLock;
  const pfn = wordPfn(table);
  return PTE_LOCK_HASHED ? hashedPteLock(pfn) : pageOf(pfn) + PAGE_PTL;
}

/** Begins work on two leaf tables: their locks in order, and one only where both have the same. */
export function* twoTablesLock(
  cpu: Cpu,
  mm: Word,
  table: Word,
  otherMm: Word,
  otherTable: Word,
): Op<void> {
  if (PTE_LOCK_BIT) return;
  const one = pteLockptr(mm, table);
  const other = pteLockptr(otherMm, otherTable);
  yield* cpu.spinLock(Math.min(one, other));
  if (one !== other) yield* cpu.spinLock(Math.max(one, other));
}

export function* twoTablesUnlock(
  cpu: Cpu,
  mm: Word,
  table: Word,
  otherMm: Word,
  otherTable: Word,
): Op<void> {
  if (PTE_LOCK_BIT) return;
  const one = pteLockptr(mm, table);
  const other = pteLockptr(otherMm, otherTable);
  yield* cpu.spinUnlock(one);
  if (one !== other) yield* cpu.spinUnlock(other);
}

/**
 * Hangs a new table into an entry of an upper level if that is still empty (V18:
 * pgd_test_and_populate, pud_test_and_populate, pmd_test_and_populate). The loser's table stays
 * the caller's to free.
 *
 * Locks: between page_table_atomic_start and _stop. Where those take no lock, this does, unless the
 * architecture populates by compare-exchange.
 */
export function* testAndPopulate(cpu: Cpu, mm: Word, entryp: Word, entry: number): Op<boolean> {
  if (POPULATE_PLAIN_STORE) {
    yield* tableSet(cpu, entryp, entry);
    return true;
  }
  if (WALK_LOCK) return yield* populateIfNone(cpu, entryp, entry);
  if (ATOMIC_POPULATE) return yield* cpu.cas(entryp, 0, entry);
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const populated = yield* populateIfNone(cpu, entryp, entry);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  return populated;
}

/** The same where page_table_lock is held. */
export function* populateIfNone(cpu: Cpu, entryp: Word, entry: number): Op<boolean> {
  const now = yield* cpu.readOnce(entryp);
  if (now !== 0) return false;
  yield* tableSet(cpu, entryp, entry);
  return true;
}
