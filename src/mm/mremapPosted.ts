/**
 * How ptes were moved where tables could be in high memory, with what is wrong in it (SPEC S3-a, S3-b): the backport of
 * Ingo Molnar's and Arjan van de Ven's highpte to 2.4.18 (Martin Bligh, 21 March 2002), and 2.5.7, which has the same
 * (Andrea Arcangeli, 26 March 2002). move_page_tables takes one page after the other; move_one_page maps the pte that
 * moves into the second slot of the CPU, and allocates the table that it moves to while it has it:
 *
 *   sleeps    another task comes to the CPU and takes the slot: what is then read and cleared is that task's pte
 *   fails     the backport has lost the question whether there is a pte to move to; 2.5.7 puts the entry back
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { wordPfn } from '../hardware/frames.js';
import { PAGE_SIZE, PAGE_WORDS, pteOffset } from '../hardware/machine.js';
import { MREMAP_BACKPORT } from './design.js';
import { kmapOwned, kunmapOwned } from './kmap.js';
import { KM_PTE0, KM_PTE1 } from './layout/kmap.js';
import { pageTableAtomicStart, pageTableAtomicStop } from './locking.js';
import { pteAlloc } from './pgtable.js';
import { ptepGetAndClear, ptepNone, ptepSet } from './pte.js';
import { flushTlbMm } from './tlbflush.js';

/**
 * Moves the ptes of a range that one leaf table holds.
 *
 * @param table - its first word
 * @returns false when there is no memory for the table that they move to
 */
export function* movePtesPosted(
  cpu: Cpu,
  mm: Word,
  table: Word,
  from: Vaddr,
  to: Vaddr,
  bytes: number,
): Op<boolean> {
  let moved = true;
  for (let offset = 0; offset < bytes && moved; offset += PAGE_SIZE) {
    moved = yield* moveOnePage(cpu, mm, table + pteOffset(from + offset), to + offset);
  }
  yield* flushTlbMm(cpu, mm);
  return moved;
}

/** @param source - the place of the pte. @returns whether it was moved, or there was none */
function* moveOnePage(cpu: Cpu, mm: Word, source: Word, to: Vaddr): Op<boolean> {
  yield* pageTableAtomicStart(cpu, mm);
  const from = yield* mapPte(cpu, source, KM_PTE1);
  let moved = true;
  if (!(yield* ptepNone(cpu, from))) {
    // pte_alloc lets go of the lock, and so do we; it does not know of what is mapped.
    yield* pageTableAtomicStop(cpu, mm);
    const target = yield* pteAlloc(cpu, mm, to, 0);
    yield* pageTableAtomicStart(cpu, mm);
    const mapped = target === 0 ? 0 : yield* mapPte(cpu, target, KM_PTE0);
    moved = yield* copyOnePte(cpu, from, mapped);
    if (mapped !== 0) yield* kunmapOwned(cpu, mapped);
  }
  yield* kunmapOwned(cpu, from);
  yield* pageTableAtomicStop(cpu, mm);
  return moved;
}

/** @param to - 0 where there is none */
function* copyOnePte(cpu: Cpu, from: Word, to: Word): Op<boolean> {
  if (yield* ptepNone(cpu, from)) return true;
  const entry = yield* ptepGetAndClear(cpu, from);
  const fits = MREMAP_BACKPORT || to !== 0;
  yield* ptepSet(cpu, fits ? to : from, entry);
  return fits;
}

function* mapPte(cpu: Cpu, place: Word, type: number): Op<Word> {
  return (yield* kmapOwned(cpu, wordPfn(place), type)) + (place % PAGE_WORDS);
}
