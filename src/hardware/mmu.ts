/**
 * The memory management unit: walks the tables of the address space that the CPU runs, sets
 * accessed and dirty by itself, and caches what it found in the CPU's TLB.
 *
 *   address -> TLB -> (miss) pgd -> ... -> pte -> frame
 *
 * With WALK_CACHE it starts at the leaf table if it knows where that is.
 *
 * No lock is held: the MMU reads entries while any other CPU changes them, and sets its bits by
 * compare-exchange, as hardware does by a locked cycle. Where software loads the TLBs this is its handler:
 * it only reads, or keeps the entry busy meanwhile.
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import { FrameWork, type Cpu, type Op } from './cpu.js';
import { frameOf } from './frames.js';
import { HINTING, HOST_DIRTY, HOST_GONE, hostState } from './hostStates.js';
import {
  LEVELS,
  MMU_SETS_BITS,
  NO_EXEC_HIGH,
  PMD_HUGE,
  PTE_ACCESSED,
  PTE_BUSY,
  PTE_DIRTY,
  PTE_HASHED,
  PTE_PRESENT,
  PTE_SPLIT,
  PTE_WRITE,
  UNCACHED_TABLES,
  WALK_CACHE,
  entryPfn,
  level1Offset,
  level2Offset,
  level3Offset,
  levelIndex,
  pageMask,
  pfnBits,
  pteOffset,
} from './machine.js';
import { loadSplit, lowHalf } from './split.js';
import { entryForbidsFetch } from './tlb.js';

export const enum Access {
  READ,
  WRITE,
  FETCH,
}

/** What `translate` returns when the access faults: no page is there, or it forbids the access. */
export const NOT_PRESENT: Word = -1;
export const PROTECTED: Word = -2;
/** The same less the number of the frame, where the guest allows the access and the host has taken the frame. */
export const DISCARDED: Word = -3;

/**
 * Translates an address for an access by the current task, in user mode.
 *
 * @returns the word that holds the byte at `address`, or NOT_PRESENT, PROTECTED or DISCARDED less a frame
 */
export function* translate(cpu: Cpu, address: Vaddr, access: Access): Op<Word> {
  yield* cpu.interrupts();
  let entry = cpu.tlb.lookup(address);
  const needed = access === Access.WRITE ? PTE_WRITE | PTE_DIRTY : PTE_PRESENT;
  if ((entry & needed) !== needed) {
    const found = WALK_CACHE ? yield* walkFromCache(cpu, address) : yield* walk(cpu, address);
    if (found === 0) return NOT_PRESENT;
    const entryp = Math.abs(found);
    // A fault that this leads to finds the line in the cache, and puts the translation into the TLB.
    if (UNCACHED_TABLES) yield* cpu.spendOn(FrameWork.READ_UNCACHED, entryp);
    entry = yield* mark(cpu, entryp, access);
    if (entry === 0) return NOT_PRESENT;
    if (access === Access.WRITE && (entry & PTE_WRITE) === 0) return PROTECTED;
    if (!MMU_SETS_BITS && lacksMarks(entry, access)) return PROTECTED;
    let high = 0;
    if (NO_EXEC_HIGH !== 0) high = yield* cpu.readOnce(entryp + 1);
    if (found < 0) entry = hugeSubpage(entry, address);
    if (HINTING && !(yield* hostAllows(cpu, entryPfn(entry), access))) {
      return DISCARDED - entryPfn(entry);
    }
    cpu.tlb.fill(address, entry, entryForbidsFetch(entry, high));
  }
  if (access === Access.FETCH && cpu.tlb.forbidsFetch(address)) return PROTECTED;
  return frameOf(entryPfn(entry)) + (((address - pageMask(address)) * 0.25) | 0);
}

/**
 * The walk of the host's own tables, behind the guest's: what they no longer have cannot be accessed, and what is
 * written they mark dirty. What the TLB holds is the outcome of both walks.
 */
function* hostAllows(cpu: Cpu, pfn: Pfn, access: Access): Op<boolean> {
  const word = hostState(pfn);
  for (;;) {
    const state = yield* cpu.readOnce(word);
    if ((state & HOST_GONE) !== 0) return false;
    if (access !== Access.WRITE || (state & HOST_DIRTY) !== 0) return true;
    if (yield* cpu.cas(word, state, state | HOST_DIRTY)) return true;
  }
}

/** The pte that would map one page of the huge page of an entry: the TLB holds small pages only. */
function hugeSubpage(entry: number, address: Vaddr): number {
  return (entry & ~PMD_HUGE) | pfnBits(levelIndex(address, 0));
}

/**
 * Finds the pte word for an address in the current tables. No table is in frame 0, so an entry that is empty, or has
 * moved to another table, leads nowhere.
 *
 * @returns the word of the pte, present or not; 0 where a table is missing; minus the word of the
 *   entry above it where that maps a huge page
 */
export function* walk(cpu: Cpu, address: Vaddr): Op<Word> {
  let table = frameOf(cpu.pgd);
  if (LEVELS > 3) {
    const entryp = table + level3Offset(address);
    const entry = PTE_SPLIT ? yield* loadSplit(cpu, entryp) : yield* cpu.readOnce(entryp);
    const pfn = entryPfn(entry);
    if (pfn === 0) return 0;
    table = frameOf(pfn);
  }
  if (LEVELS > 2) {
    const entryp = table + level2Offset(address);
    const entry = PTE_SPLIT ? yield* loadSplit(cpu, entryp) : yield* cpu.readOnce(entryp);
    const pfn = entryPfn(entry);
    if (pfn === 0) return 0;
    table = frameOf(pfn);
  }
  const entryp = table + level1Offset(address);
  const entry = PTE_SPLIT ? yield* loadSplit(cpu, entryp) : yield* cpu.readOnce(entryp);
  const pfn = entryPfn(entry);
  if (pfn === 0) return 0;
  if (PMD_HUGE !== 0 && (entry & PMD_HUGE) !== 0) return -entryp;
  return frameOf(pfn) + pteOffset(address);
}

/** The same for the MMU alone: what was cached may have been replaced since, until a flush says so. */
function* walkFromCache(cpu: Cpu, address: Vaddr): Op<Word> {
  const table = cpu.tlb.leafTable(address);
  if (table !== 0) return table + pteOffset(address);
  const ptep = yield* walk(cpu, address);
  if (ptep > 0) cpu.tlb.fillLeafTable(address, ptep - pteOffset(address));
  return ptep;
}

/** What a TLB may hold of an entry for an access only once it is set. */
function marksFor(access: Access): number {
  return access === Access.WRITE ? PTE_ACCESSED | PTE_DIRTY : PTE_ACCESSED;
}

function lacksMarks(entry: number, access: Access): boolean {
  return (entry & marksFor(access)) !== marksFor(access);
}

/**
 * Sets accessed (and dirty for a write) in a pte that allows the access, where that is not left to the
 * fault path.
 *
 * @returns the entry's low word as it stands after that; 0 when it is not present; unchanged when
 *   it forbids the write
 */
function* mark(cpu: Cpu, ptep: Word, access: Access): Op<number> {
  if (PTE_BUSY !== 0) return yield* hashFault(cpu, ptep, access);
  for (;;) {
    const entry = PTE_SPLIT ? yield* loadSplit(cpu, ptep) : yield* cpu.readOnce(ptep);
    if ((entry & PTE_PRESENT) === 0) return 0;
    if (access === Access.WRITE && (entry & PTE_WRITE) === 0) return entry;
    const marked = entry | marksFor(access);
    if (!MMU_SETS_BITS || marked === entry) return entry;
    const expected = lowHalf(entry);
    if (yield* cpu.cas(ptep, expected, lowHalf(marked))) return marked;
  }
}

/**
 * The same where the hardware reads a hash table, and who puts an entry there keeps it busy for so long (Linux:
 * __hash_page of arch/ppc64/mm/hash_low.S).
 */
function* hashFault(cpu: Cpu, ptep: Word, access: Access): Op<number> {
  const marks = marksFor(access) | PTE_HASHED;
  const seen = yield* cpu.readOnce(ptep);
  if (!allows(seen, access)) return (seen & PTE_PRESENT) === 0 ? 0 : seen;
  if ((seen & (marks | PTE_BUSY)) === marks) return seen;
  yield* cpu.lockBit(ptep, PTE_BUSY);
  let entry = yield* cpu.readOnce(ptep);
  if (allows(entry, access)) {
    entry |= marks;
    yield* cpu.writeOnce(ptep, entry);
  }
  yield* cpu.unlockBit(ptep, PTE_BUSY);
  return (entry & PTE_PRESENT) === 0 ? 0 : entry;
}

function allows(entry: number, access: Access): boolean {
  const needed = access === Access.WRITE ? PTE_PRESENT | PTE_WRITE : PTE_PRESENT;
  return (entry & needed) === needed;
}
