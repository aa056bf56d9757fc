/**
 * The search tree of an address space's VMAs, and the gaps between them (Linux 3.8 to 6.0: mm_rb with
 * rb_subtree_gap, mm/mmap.c; later kernels have a maple tree).
 *
 * The tree is a treap: ordered by vmStart as a search tree, and by a hash of the record's place as
 * a heap, so that its depth is logarithmic in any order of insertion. A treap does what a red-black
 * tree does with a third of the code. Each node knows the largest gap below any VMA of its subtree, so
 * that room for a mapping is found without a look at every VMA.
 *
 * Locks: mmap_sem for reading to find, for writing to change.
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { Mm } from './layout/mm.js';
import { VM_GROWSDOWN, Vma } from './layout/vma.js';

/** Kept free below a VMA that grows downwards (Linux: stack_guard_gap, 256 pages). */
export const STACK_GUARD_GAP = 256 * PAGE_SIZE;

/** Heap order of the tree: any fixed shuffle of the records will do. */
function priority(vma: Word): number {
  return Math.imul(vma, 0x9e3779b1) >>> 0;
}

/** @returns the first VMA that ends after `address`, or 0 */
export function* findVma(cpu: Cpu, mm: Word, address: Vaddr): Op<Word> {
  const cached = yield* cpu.readOnce(mm + Mm.mmapCache);
  if (cached !== 0) {
    const end = yield* cpu.loadWide(cached + Vma.vmEnd);
    const start = yield* cpu.loadWide(cached + Vma.vmStart);
    if (start <= address && address < end) return cached;
  }
  let found = 0;
  let node = yield* cpu.load(mm + Mm.vmaTree);
  while (node !== 0) {
    if ((yield* cpu.loadWide(node + Vma.vmEnd)) > address) {
      found = node;
      if ((yield* cpu.loadWide(node + Vma.vmStart)) <= address) break;
      node = yield* cpu.load(node + Vma.treeLeft);
    } else {
      node = yield* cpu.load(node + Vma.treeRight);
    }
  }
  if (found !== 0) yield* cpu.writeOnce(mm + Mm.mmapCache, found);
  return found;
}

/** @returns the last VMA that starts before `address`, or 0 */
export function* findVmaBelow(cpu: Cpu, mm: Word, address: Vaddr): Op<Word> {
  let found = 0;
  let node = yield* cpu.load(mm + Mm.vmaTree);
  while (node !== 0) {
    if ((yield* cpu.loadWide(node + Vma.vmStart)) < address) {
      found = node;
      node = yield* cpu.load(node + Vma.treeRight);
    } else {
      node = yield* cpu.load(node + Vma.treeLeft);
    }
  }
  return found;
}

/** Where a VMA begins, with the room below it that a stack keeps (Linux: vm_start_gap). */
export function* vmStartGap(cpu: Cpu, vma: Word): Op<Vaddr> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const growsDown = ((yield* cpu.load(vma + Vma.vmFlags)) & VM_GROWSDOWN) !== 0;
  return growsDown ? Math.max(0, start - STACK_GUARD_GAP) : start;
}

/** Bytes free between a VMA and the one before it; less than 0 where a stack wants more room. */
function* gapBelow(cpu: Cpu, vma: Word): Op<number> {
  const prev = yield* cpu.load(vma + Vma.vmPrev);
  const from = prev === 0 ? 0 : yield* cpu.loadWide(prev + Vma.vmEnd);
  return (yield* vmStartGap(cpu, vma)) - from;
}

function* subtreeGap(cpu: Cpu, node: Word): Op<number> {
  return node === 0 ? -Infinity : yield* cpu.loadWide(node + Vma.subtreeGap);
}

/** Computes the gaps of nodes anew, the last one first: children must come after their parents. */
function* recomputeGaps(cpu: Cpu, path: readonly Word[]): Op<void> {
  for (let i = path.length - 1; i >= 0; i--) {
    const node = path[i];
    const left = yield* cpu.load(node + Vma.treeLeft);
    const right = yield* cpu.load(node + Vma.treeRight);
    const own = yield* gapBelow(cpu, node);
    const gapLeft = yield* subtreeGap(cpu, left);
    const gapRight = yield* subtreeGap(cpu, right);
    yield* cpu.storeWide(node + Vma.subtreeGap, Math.max(own, gapLeft, gapRight));
  }
}

/** The gap below a VMA has changed. @param vma - or 0 for none */
export function* gapChanged(cpu: Cpu, mm: Word, vma: Word): Op<void> {
  if (vma === 0) return;
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const path: Word[] = [];
  let node = yield* cpu.load(mm + Mm.vmaTree);
  while (node !== vma) {
    path.push(node);
    const below = (yield* cpu.loadWide(node + Vma.vmStart)) < start;
    node = yield* cpu.load(node + (below ? Vma.treeRight : Vma.treeLeft));
  }
  path.push(vma);
  yield* recomputeGaps(cpu, path);
}

/** Descends to where the heap order ends, and splits what hangs there by the new start. */
export function* treeInsert(cpu: Cpu, mm: Word, vma: Word): Op<void> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const path: Word[] = [];
  let link = mm + Mm.vmaTree;
  let node = yield* cpu.load(link);
  while (node !== 0 && priority(node) >= priority(vma)) {
    path.push(node);
    const below = (yield* cpu.loadWide(node + Vma.vmStart)) < start;
    link = node + (below ? Vma.treeRight : Vma.treeLeft);
    node = yield* cpu.load(link);
  }
  yield* cpu.store(link, vma);
  path.push(vma);
  let lowLink = vma + Vma.treeLeft;
  let highLink = vma + Vma.treeRight;
  while (node !== 0) {
    path.push(node);
    if ((yield* cpu.loadWide(node + Vma.vmStart)) < start) {
      yield* cpu.store(lowLink, node);
      lowLink = node + Vma.treeRight;
      node = yield* cpu.load(lowLink);
    } else {
      yield* cpu.store(highLink, node);
      highLink = node + Vma.treeLeft;
      node = yield* cpu.load(highLink);
    }
  }
  yield* cpu.store(lowLink, 0);
  yield* cpu.store(highLink, 0);
  yield* recomputeGaps(cpu, path);
}

/** Replaces a node by the merge of its two subtrees. */
export function* treeRemove(cpu: Cpu, mm: Word, vma: Word): Op<void> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const path: Word[] = [];
  let link = mm + Mm.vmaTree;
  for (let node = yield* cpu.load(link); node !== vma; node = yield* cpu.load(link)) {
    path.push(node);
    const below = (yield* cpu.loadWide(node + Vma.vmStart)) < start;
    link = node + (below ? Vma.treeRight : Vma.treeLeft);
  }
  let low = yield* cpu.load(vma + Vma.treeLeft);
  let high = yield* cpu.load(vma + Vma.treeRight);
  while (low !== 0 && high !== 0) {
    if (priority(low) > priority(high)) {
      path.push(low);
      yield* cpu.store(link, low);
      link = low + Vma.treeRight;
      low = yield* cpu.load(link);
    } else {
      path.push(high);
      yield* cpu.store(link, high);
      link = high + Vma.treeLeft;
      high = yield* cpu.load(link);
    }
  }
  yield* cpu.store(link, low !== 0 ? low : high);
  yield* recomputeGaps(cpu, path);
}

/**
 * Finds the highest room for a mapping (Linux: unmapped_area_topdown).
 *
 * @param limit - the mapping ends here or below
 * @returns its start, or -1 where there is no room
 */
export function* highestGap(cpu: Cpu, mm: Word, bytes: number, limit: Vaddr): Op<Vaddr> {
  // The gap that the limit lies in, or the one below the VMA that it lies in.
  const below = yield* findVmaBelow(cpu, mm, limit);
  const above = yield* cpu.load(below === 0 ? mm + Mm.mmap : below + Vma.vmNext);
  const from = below === 0 ? 0 : yield* cpu.loadWide(below + Vma.vmEnd);
  const top = above === 0 ? limit : Math.min(limit, yield* vmStartGap(cpu, above));
  if (top - from >= bytes) return top - bytes;
  if (below === 0) return -1;
  const vma = yield* lastWithGap(cpu, mm, bytes, limit);
  return vma === 0 ? -1 : (yield* vmStartGap(cpu, vma)) - bytes;
}

/** The last VMA that starts before `limit` and has so large a gap below it, or 0. */
function* lastWithGap(cpu: Cpu, mm: Word, bytes: number, limit: Vaddr): Op<Word> {
  // On the way to the limit, the last node below it that has room at itself or on its left.
  let found = 0;
  let node = yield* cpu.load(mm + Mm.vmaTree);
  while (node !== 0) {
    if ((yield* cpu.loadWide(node + Vma.vmStart)) >= limit) {
      node = yield* cpu.load(node + Vma.treeLeft);
      continue;
    }
    const left = yield* cpu.load(node + Vma.treeLeft);
    const own = yield* gapBelow(cpu, node);
    if (own >= bytes || (yield* subtreeGap(cpu, left)) >= bytes) found = node;
    node = yield* cpu.load(node + Vma.treeRight);
  }
  if (found === 0 || (yield* gapBelow(cpu, found)) >= bytes) return found;
  node = yield* cpu.load(found + Vma.treeLeft);
  for (;;) {
    const right = yield* cpu.load(node + Vma.treeRight);
    if ((yield* subtreeGap(cpu, right)) >= bytes) node = right;
    else if ((yield* gapBelow(cpu, node)) >= bytes) return node;
    else node = yield* cpu.load(node + Vma.treeLeft);
  }
}
