/**
 * The lock over an address space, and the locks of its VMAs (Linux: include/linux/mmap_lock.h, 2.6.10 and 6.13).
 *
 * Where a design has locks of VMAs, a fault takes only that of the VMA it needs, for reading. It finds the VMA
 * without any lock, and looks again once it has it: mm->mm_lock_seq is odd while mmap_sem is held for writing,
 * and never the same again afterwards. Who changes a VMA holds mmap_sem for writing, so that no fault can begin
 * on any VMA, and waits for those that are under way on this one (vma_start_write).
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { VMA_LOCK } from './design.js';
import { Mm } from './layout/mm.js';
import { TABLES } from './layout/slab.js';
import { NODE_FANOUT, VM_SHARED, Vma, VmaNode } from './layout/vma.js';

export function* mmapWriteLock(cpu: Cpu, mm: Word): Op<void> {
  yield* cpu.downWrite(mm + Mm.mmapSem);
  if (VMA_LOCK) yield* advanceSequence(cpu, mm);
}

/** @returns whether nobody had it */
export function* mmapWriteTrylock(cpu: Cpu, mm: Word): Op<boolean> {
  if (!(yield* cpu.tryDownWrite(mm + Mm.mmapSem))) return false;
  if (VMA_LOCK) yield* advanceSequence(cpu, mm);
  return true;
}

export function* mmapWriteUnlock(cpu: Cpu, mm: Word): Op<void> {
  if (VMA_LOCK) yield* advanceSequence(cpu, mm);
  yield* cpu.upWrite(mm + Mm.mmapSem);
}

function* advanceSequence(cpu: Cpu, mm: Word): Op<void> {
  const sequence = yield* cpu.readOnce(mm + Mm.lockSeq);
  yield* cpu.writeOnce(mm + Mm.lockSeq, (sequence + 1) | 0);
}

/** Waits for the faults that are under way on a VMA. Locks: mmap_sem for writing, and no spinlock. */
export function* vmaStartWrite(cpu: Cpu, vma: Word): Op<void> {
  if (!VMA_LOCK) return;
  yield* cpu.downWrite(vma + Vma.vmLock);
  yield* cpu.upWrite(vma + Vma.vmLock);
}

/**
 * Locks the VMA of an address for a fault (Linux: lock_vma_under_rcu). Not where the fault will need more than
 * that: a stack that must grow, or the first page of private memory, whose anon_vma may be a neighbour's.
 *
 * @returns the VMA, to be unlocked by `vmaEndRead`; 0 where mmap_sem must be taken
 */
export function* lockVmaUnderRcu(cpu: Cpu, mm: Word, address: Vaddr): Op<Word> {
  const sequence = yield* cpu.readOnce(mm + Mm.lockSeq);
  if ((sequence & 1) !== 0) return 0;
  const vma = yield* findVmaUnlocked(cpu, mm, address);
  if (vma === 0 || !(yield* cpu.tryDownRead(vma + Vma.vmLock))) return 0;
  if ((yield* cpu.readOnce(mm + Mm.lockSeq)) === sequence) {
    const end = yield* cpu.loadWide(vma + Vma.vmEnd);
    const anonVma = yield* cpu.readOnce(vma + Vma.anonVma);
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    if (address < end && (anonVma !== 0 || (vmFlags & VM_SHARED) !== 0)) return vma;
  }
  yield* cpu.upRead(vma + Vma.vmLock);
  return 0;
}

export function* vmaEndRead(cpu: Cpu, vma: Word): Op<void> {
  yield* cpu.upRead(vma + Vma.vmLock);
}

/** Levels of the largest tree, and more: what is read may be in change, and lead in a circle. */
const MAX_DEPTH = 16;

/** The last VMA that starts at an address or below, as far as can be told while the tree may change; 0 if none. */
function* findVmaUnlocked(cpu: Cpu, mm: Word, address: Vaddr): Op<Word> {
  let node = yield* cpu.readOnce(mm + Mm.vmaTree);
  for (let depth = 0; depth < MAX_DEPTH && isNode(node); depth++) {
    const count = yield* cpu.readOnce(node + VmaNode.count);
    const level = yield* cpu.readOnce(node + VmaNode.level);
    if (count <= 0 || count > NODE_FANOUT) return 0;
    let child = count - 1;
    const lowest = level === 0 ? -1 : 0;
    while (child > lowest && (yield* cpu.readOnceWide(node + VmaNode.keys + 2 * child)) > address)
      child--;
    if (child < 0) return 0;
    const found = yield* cpu.readOnce(node + VmaNode.children + child);
    if (level === 0) return isVma(found) ? found : 0;
    node = found;
  }
  return 0;
}

function isNode(word: Word): boolean {
  return word >= TABLES.vmaNode.base && word < TABLES.vmaNode.end;
}

function isVma(word: Word): boolean {
  return word >= TABLES.vma.base && word < TABLES.vma.end;
}
