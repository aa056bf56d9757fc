/**
 * kmap: slots of the kernel's address space, by which it reaches page tables in high memory (Linux: pkmap_page_table and
 * pkmap_count of mm/highmem.c, the fixmap of arch/i386; 2.4 to 2.6).
 * Shape: one record for the pool; a record of SLOT_RECORD words for each slot; one word a frame. Without designs that
 * put tables there, nothing.
 *
 *   slot   0 .. KMAPS-1                KMAPS + owner * KM_TYPES + type
 *          the pool, of all CPUs       of one owner: a CPU or, in designs with windows, a task
 *
 * What a slot maps is seen at KMAP_BASE + slot * PAGE_WORDS: words that are no memory, see kmapWord in kmap.ts.
 */
import type { Pfn, Word } from '../../base/units.js';
import { CPUS, FRAMES, KMAPS, LINE_WORDS, alignWord } from '../../hardware/machine.js';
import { HIGHPTE, KMAP_POOL, KMAP_WINDOW, LIMITS } from '../design.js';
import { SWAP_END } from './swap.js';

export const Kmap = {
  /** Spinlock over the pool: its slots, and which frame has which. */
  lock: 0,
  /** The slot that was taken last. Under lock. */
  lastSlot: 1,
  /** Tasks that wait for a slot. Under lock. */
  waiters: 2,
  /** What they sleep on. Atomic. */
  waitQueue: 3,
  /** How often a task slept. Under lock. */
  sleeps: 4,
  /** How often slots that nobody used were emptied, with a flush. Under lock. */
  flushes: 5,
  /** How often a slot was given back for which somebody waited. Under lock. */
  handOvers: 6,
} as const;

export const KmapSlot = {
  /** The frame that it maps; 0 = none. Of the pool under the lock, and read without it by who holds a pin. */
  pfn: 0,
  /** Of the pool: 0 free, 1 mapped and unused, otherwise those who use it and one (Linux: pkmap_count). Under lock. */
  pins: 1,
} as const;

/** Slots of a CPU or a task (Linux: enum km_type): a table, a second, and one for who comes while these are in use. */
export const KM_PTE0 = 0;
export const KM_PTE1 = 1;
export const KM_PTE2 = 2;
export const KM_TYPES = 3;

/** A line for each slot: in hardware a CPU has what a slot maps in its TLB, whatever is done to other slots. */
export const SLOT_RECORD = LINE_WORDS;
const POOL_SLOTS = KMAP_POOL ? KMAPS : 0;
const OWNERS = HIGHPTE ? CPUS + (KMAP_WINDOW ? LIMITS.tasks : 0) : 0;

export const KMAP: Word = alignWord(SWAP_END, LINE_WORDS);
export const KMAP_RECORD = HIGHPTE ? LINE_WORDS : 0;
export const KMAP_SLOTS: Word = KMAP + KMAP_RECORD;
export const SLOTS = POOL_SLOTS + OWNERS * KM_TYPES;
/** By frame: the slot of the pool that maps it, plus 1; 0 = none (Linux: page_address). Under the lock. */
export const PAGE_KMAPS: Word = KMAP_SLOTS + SLOTS * SLOT_RECORD;
export const KMAP_END: Word = PAGE_KMAPS + (KMAP_POOL ? FRAMES : 0);

/** Beyond all memory: 4 GiB are 2^30 words, and the records of the VM are a small part of that. */
export const KMAP_BASE: Word = 0x6000_0000;

export function slotRecord(slot: number): Word {
  return KMAP_SLOTS + slot * SLOT_RECORD;
}

/** The slot of an owner, counted as above. */
export function ownedSlot(owner: number, type: number): number {
  return POOL_SLOTS + owner * KM_TYPES + type;
}

export function pageKmap(pfn: Pfn): Word {
  return PAGE_KMAPS + pfn;
}
