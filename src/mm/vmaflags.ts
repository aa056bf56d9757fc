/** Which VMAs are alike enough to be one (Linux: is_mergeable_vma and its like, mm/mmap.c). */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE } from '../hardware/machine.js';
import { AnonVmaChain, VM_ACCESS, VM_PFNMAP, Vma } from './layout/vma.js';

/** Whether two VMAs meet, map the same thing in sequence, and differ at most in `ignored` flags. */
function* vmasContinue(cpu: Cpu, low: Word, high: Word, ignored: number): Op<boolean> {
  const end = yield* cpu.loadWide(low + Vma.vmEnd);
  if (end !== (yield* cpu.loadWide(high + Vma.vmStart))) return false;
  const flags = yield* cpu.load(low + Vma.vmFlags);
  const difference = flags ^ (yield* cpu.load(high + Vma.vmFlags));
  if ((difference & ~ignored) !== 0 || (flags & VM_PFNMAP) !== 0) return false;
  const file = yield* cpu.load(low + Vma.vmFile);
  if (file !== (yield* cpu.load(high + Vma.vmFile))) return false;
  const start = yield* cpu.loadWide(low + Vma.vmStart);
  const pages = ((end - start) * PAGES_PER_BYTE) | 0;
  const pgoff = yield* cpu.load(low + Vma.vmPgoff);
  return ((pgoff + pages) | 0) === (yield* cpu.load(high + Vma.vmPgoff));
}

/**
 * Whether two adjacent VMAs can become one: they continue each other, and their anonymous pages
 * have one anon_vma or only one of the two has any (Linux 6.18: can_vma_merge_left and _right). A VMA whose
 * pages may be a parent's does not take in one without pages: its chain would grow with each fork.
 */
export function* vmasMergeable(cpu: Cpu, low: Word, high: Word): Op<boolean> {
  if (!(yield* vmasContinue(cpu, low, high, 0))) return false;
  const a = yield* cpu.readOnce(low + Vma.anonVma);
  const b = yield* cpu.readOnce(high + Vma.anonVma);
  if (a === b) return true;
  if (a !== 0 && b !== 0) return false;
  return !(yield* vmaIsForkChild(cpu, a !== 0 ? low : high));
}

/**
 * Whether two adjacent VMAs might merge after an mprotect, so that they had better share an
 * anon_vma (Linux: anon_vma_compatible).
 */
export function* vmasMayShareAnon(cpu: Cpu, low: Word, high: Word): Op<boolean> {
  return yield* vmasContinue(cpu, low, high, VM_ACCESS);
}

/** Whether pages of a VMA may be a parent's: it leads to more than one anon_vma. */
export function* vmaIsForkChild(cpu: Cpu, vma: Word): Op<boolean> {
  const first = yield* cpu.readOnce(vma + Vma.anonVmaChain);
  return first !== 0 && (yield* cpu.load(first + AnonVmaChain.nextOfVma)) !== 0;
}
