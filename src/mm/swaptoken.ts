/**
 * The swap token: one address space at a time, of those that wait for swap, is spared by reclaim, so that all do
 * not take each other's pages for ever (Jiang and Zhang; Linux: mm/thrash.c, 2.6.9).
 */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { SWAP_SLOTS } from '../hardware/machine.js';
import { SWAP, Swap } from './layout/swap.js';

/** Pages that are read from swap, by whomever, until another may have the token (Linux: 300 seconds). */
const TOKEN_PAGES = 64;

/** Whether an address space that is not the caller's own has it. */
export function* hasSwapToken(cpu: Cpu, mm: Word): Op<boolean> {
  if (SWAP_SLOTS === 0 || mm === cpu.mm) return false;
  if ((yield* cpu.readOnce(SWAP + Swap.tokenMm)) !== mm) return false;
  return (yield* cpu.readOnce(SWAP + Swap.tokenAge)) < TOKEN_PAGES;
}

/** Takes the token, if nobody has it or its time is up: the current task waits for swap (grab_swap_token). */
export function* grabSwapToken(cpu: Cpu): Op<void> {
  const age = (yield* cpu.readOnce(SWAP + Swap.tokenAge)) + 1;
  yield* cpu.writeOnce(SWAP + Swap.tokenAge, age);
  const holder = yield* cpu.readOnce(SWAP + Swap.tokenMm);
  if (holder === cpu.mm || (holder !== 0 && age < TOKEN_PAGES)) return;
  yield* cpu.writeOnce(SWAP + Swap.tokenMm, cpu.mm);
  yield* cpu.writeOnce(SWAP + Swap.tokenAge, 0);
}

/** Gives it back: the address space ends (put_swap_token). */
export function* putSwapToken(cpu: Cpu, mm: Word): Op<void> {
  if (SWAP_SLOTS === 0 || (yield* cpu.readOnce(SWAP + Swap.tokenMm)) !== mm) return;
  yield* cpu.writeOnce(SWAP + Swap.tokenMm, 0);
}
