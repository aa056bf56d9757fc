/**
 * The slots of the swap file (Linux: mm/swapfile.c, 2.6.10). A slot's count is the ptes and the shared memory
 * that refer to it, and one while the swap cache has its page.
 */
import { InvariantError } from '../base/errors.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { SWAP_SLOTS } from '../hardware/machine.js';
import { SWAP, SWAP_MAP, Swap } from './layout/swap.js';

/**
 * Takes a free slot, with a count of 1: slots that are taken one after the other lie side by side.
 *
 * @returns the slot, or -1 when the swap file is full
 * Locks: the swap lock.
 */
export function* getSwapSlot(cpu: Cpu): Op<number> {
  const free = yield* cpu.load(SWAP + Swap.freeSlots);
  if (free === 0) return -1;
  let slot = yield* cpu.load(SWAP + Swap.next);
  while ((yield* cpu.load(SWAP_MAP + slot)) !== 0) slot = (slot + 1) % SWAP_SLOTS;
  yield* cpu.writeOnce(SWAP_MAP + slot, 1);
  yield* cpu.writeOnce(SWAP + Swap.freeSlots, free - 1);
  yield* cpu.store(SWAP + Swap.next, (slot + 1) % SWAP_SLOTS);
  return slot;
}

/** One more refers to a slot (Linux: swap_duplicate). Locks: takes the swap lock. */
export function* swapDuplicate(cpu: Cpu, slot: number): Op<void> {
  yield* cpu.spinLock(SWAP + Swap.lock);
  const count = yield* cpu.load(SWAP_MAP + slot);
  yield* cpu.writeOnce(SWAP_MAP + slot, count + 1);
  yield* cpu.spinUnlock(SWAP + Swap.lock);
}

/** One less does (Linux: swap_free). Locks: takes the swap lock. */
export function* swapFree(cpu: Cpu, slot: number): Op<void> {
  yield* cpu.spinLock(SWAP + Swap.lock);
  yield* swapPut(cpu, slot);
  yield* cpu.spinUnlock(SWAP + Swap.lock);
}

/** The same for who holds the swap lock. @returns how many still do */
export function* swapPut(cpu: Cpu, slot: number): Op<number> {
  const left = (yield* cpu.load(SWAP_MAP + slot)) - 1;
  if (left < 0) throw new InvariantError(`swap: slot ${slot} freed twice`);
  yield* cpu.writeOnce(SWAP_MAP + slot, left);
  if (left === 0) {
    const free = yield* cpu.load(SWAP + Swap.freeSlots);
    yield* cpu.writeOnce(SWAP + Swap.freeSlots, free + 1);
  }
  return left;
}

/** References to a slot. A hint unless the page of the slot is locked, or the swap lock held. */
export function* swapCount(cpu: Cpu, slot: number): Op<number> {
  return yield* cpu.readOnce(SWAP_MAP + slot);
}

/** Whether so little is free that pages should not stay in the swap cache (Linux: vm_swap_full). */
export function* vmSwapFull(cpu: Cpu): Op<boolean> {
  return (yield* cpu.readOnce(SWAP + Swap.freeSlots)) * 2 < SWAP_SLOTS;
}
