/**
 * What a program does: loads and stores at virtual addresses, which fault as they must.
 */
import type { Vaddr } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { HINTING } from '../hardware/hostStates.js';
import { Access, DISCARDED, PROTECTED, translate } from '../hardware/mmu.js';
import { checkUserWord } from './debugPagealloc.js';
import { DEBUG_PAGEALLOC, FREE_AFTER_RCU } from './design.js';
import { doDiscardFault } from './discard.js';
import { PF_INSTR, PF_PROT, PF_USER, PF_WRITE, doPageFault } from './fault.js';
import { quiescentState } from './rcu.js';
import { VM_FAULT_MINOR } from './vmfault.js';

/**
 * Makes an address accessible to the current task, faulting until it is.
 *
 * @returns the word that holds it, or a VM_FAULT_ code minus 16 where the access is an error
 */
export function* touchUser(cpu: Cpu, address: Vaddr, access: Access): Op<number> {
  for (;;) {
    if (FREE_AFTER_RCU) yield* quiescentState(cpu);
    const word = yield* translate(cpu, address, access);
    if (word >= 0) {
      if (DEBUG_PAGEALLOC) yield* checkUserWord(cpu, word);
      return word;
    }
    if (HINTING && word <= DISCARDED) {
      yield* doDiscardFault(cpu, DISCARDED - word);
      continue;
    }
    const result = yield* doPageFault(cpu, address, errorCodeOf(word === PROTECTED, access));
    if (result < VM_FAULT_MINOR) return result - FAULT_BIAS;
  }
}

/** Keeps VM_FAULT_ codes, which may be 0, apart from words. */
const FAULT_BIAS = 16;

/** Whether `touchUser` or a store failed: then `userFault` tells how. */
export function isUserFault(result: number): boolean {
  return result < 0;
}

/** The VM_FAULT_ code of a failed access. */
export function userFault(result: number): number {
  return result + FAULT_BIAS;
}

/**
 * Loads a 32-bit word.
 *
 * @param into - receives the value in `into[0]`
 * @returns 0 or more, or less than 0 for a fault, see `userFault`
 */
export function* loadUser(cpu: Cpu, address: Vaddr, into: number[]): Op<number> {
  const word = yield* touchUser(cpu, address, Access.READ);
  if (word >= 0) into[0] = yield* cpu.readOnce(word);
  return word;
}

/** Stores a 32-bit word. @returns 0 or more, or less than 0 for a fault, see `userFault` */
export function* storeUser(cpu: Cpu, address: Vaddr, value: number): Op<number> {
  const word = yield* touchUser(cpu, address, Access.WRITE);
  if (word >= 0) yield* cpu.writeOnce(word, value);
  return word;
}

/** The error code that the trap pushes for an access that faulted. */
function errorCodeOf(present: boolean, access: Access): number {
  return (
    PF_USER |
    (present ? PF_PROT : 0) |
    (access === Access.WRITE ? PF_WRITE : 0) |
    (access === Access.FETCH ? PF_INSTR : 0)
  );
}
