/**
 * The memory management unit: walks the tables of the address space that the CPU runs, sets
 * accessed and dirty by itself, and caches what it found in the CPU's TLB.
 *
 *   address -> TLB -> (miss) pgd -> ... -> pte -> frame
 *
 * No lock is held: the MMU reads entries while any other CPU changes them, and sets its bits by
 * compare-exchange, as hardware does by a locked cycle.
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from './cpu.js';
import { frameOf } from './frames.js';
import {
  ENTRY_WORDS,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_WRITE,
  TOP_LEVEL,
  entryPfn,
  levelIndex,
  pageMask,
  pteOffset,
} from './machine.js';
import { entryForbidsFetch } from './tlb.js';

export const enum Access {
  READ,
  WRITE,
  FETCH,
}

/** What `translate` returns when the access faults. */
export const TRANSLATION_FAULT: Word = -1;

/**
 * Translates an address for an access by the current task, in user mode.
 *
 * @returns the word that holds the byte at `address`, or TRANSLATION_FAULT
 */
export function* translate(cpu: Cpu, address: Vaddr, access: Access): Op<Word> {
  yield* cpu.interrupts();
  let entry = cpu.tlb.lookup(address);
  const needed = access === Access.WRITE ? PTE_WRITE | PTE_DIRTY : PTE_PRESENT;
  if ((entry & needed) !== needed) {
    entry = yield* walkAndMark(cpu, address, access);
    if (entry === 0) return TRANSLATION_FAULT;
  }
  if (access === Access.FETCH && cpu.tlb.forbidsFetch(address)) return TRANSLATION_FAULT;
  return frameOf(entryPfn(entry)) + (((address - pageMask(address)) * 0.25) | 0);
}

/**
 * Finds the pte word for an address in the current tables.
 *
 * @returns the word of the pte, present or not; 0 where a table is missing
 */
export function* walk(cpu: Cpu, address: Vaddr): Op<Word> {
  let table = frameOf(cpu.pgd);
  for (let level = TOP_LEVEL; level > 0; level--) {
    const entry = yield* cpu.readOnce(table + levelIndex(address, level) * ENTRY_WORDS);
    if (entry === 0) return 0;
    table = frameOf(entryPfn(entry));
  }
  return table + pteOffset(address);
}

/**
 * Walks the tables, sets accessed (and dirty for a write) in the pte, and fills the TLB.
 *
 * @returns the entry's low word as it stands after that, or 0 when the access faults
 */
function* walkAndMark(cpu: Cpu, address: Vaddr, access: Access): Op<number> {
  const ptep = yield* walk(cpu, address);
  if (ptep === 0) return 0;
  const mark = access === Access.WRITE ? PTE_ACCESSED | PTE_DIRTY : PTE_ACCESSED;
  for (;;) {
    const entry = yield* cpu.readOnce(ptep);
    if ((entry & PTE_PRESENT) === 0) return 0;
    if (access === Access.WRITE && (entry & PTE_WRITE) === 0) return 0;
    const marked = entry | mark;
    if (marked !== entry && !(yield* cpu.cas(ptep, entry, marked))) continue;
    let high = 0;
    if (ENTRY_WORDS === 2) high = yield* cpu.readOnce(ptep + 1);
    cpu.tlb.fill(address, marked, entryForbidsFetch(marked, high));
    return marked;
  }
}

