/**
 * The VMAs of an address space: a list by address and a search tree (Linux: find_vma,
 * __insert_vm_struct, split_vma, vma_merge in mm/mmap.c, 2.6.10).
 *
 * The tree is a treap: ordered by vmStart as a search tree, and by a hash of the record's place as
 * a heap, so that its depth is logarithmic in any order of insertion. Linux 2.6 has a red-black
 * tree here; a treap does the same with a third of the code.
 *
 * Locks: mmap_sem for reading to find, for writing to change.
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE } from '../hardware/machine.js';
import { Mm } from './layout/mm.js';
import { File } from './layout/file.js';
import { TABLES } from './layout/slab.js';
import { AnonVma, Vma } from './layout/vma.js';
import { anonVmaUnlink } from './rmap.js';
import { slabAlloc, slabFree } from './slab.js';
import { vmasMergeable } from './vmaflags.js';

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

/** Makes a VMA that is in no list yet, or 0 when the table is full. */
export function* allocVma(
  cpu: Cpu,
  mm: Word,
  start: Vaddr,
  end: Vaddr,
  vmFlags: number,
  file: Word,
  pgoff: number,
): Op<Word> {
  const vma = yield* slabAlloc(cpu, TABLES.vma);
  if (vma === 0) return 0;
  yield* cpu.storeWide(vma + Vma.vmStart, start);
  yield* cpu.storeWide(vma + Vma.vmEnd, end);
  yield* cpu.store(vma + Vma.vmFlags, vmFlags);
  yield* cpu.store(vma + Vma.vmMm, mm);
  yield* cpu.store(vma + Vma.vmFile, file);
  yield* cpu.store(vma + Vma.vmPgoff, pgoff);
  if (file !== 0) yield* cpu.add(file + File.mappings, 1);
  return vma;
}

/** Frees a VMA that is in no list any more (Linux: remove_vma). */
export function* freeVma(cpu: Cpu, vma: Word): Op<void> {
  const file = yield* cpu.load(vma + Vma.vmFile);
  if (file !== 0) yield* cpu.add(file + File.mappings, -1);
  yield* anonVmaUnlink(cpu, vma);
  yield* slabFree(cpu, TABLES.vma, vma);
}

/** Puts a VMA into the list and the tree of its mm. */
export function* linkVma(cpu: Cpu, mm: Word, vma: Word): Op<void> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const prev = yield* findVmaBelow(cpu, mm, start);
  const nextLink = prev === 0 ? mm + Mm.mmap : prev + Vma.vmNext;
  const next = yield* cpu.load(nextLink);
  yield* cpu.store(nextLink, vma);
  yield* cpu.store(vma + Vma.vmPrev, prev);
  yield* cpu.store(vma + Vma.vmNext, next);
  if (next !== 0) yield* cpu.store(next + Vma.vmPrev, vma);
  yield* treeInsert(cpu, mm, vma, start);
  const count = yield* cpu.load(mm + Mm.mapCount);
  yield* cpu.store(mm + Mm.mapCount, count + 1);
}

/** Takes a VMA out of the list and the tree of its mm. */
export function* unlinkVma(cpu: Cpu, mm: Word, vma: Word): Op<void> {
  const prev = yield* cpu.load(vma + Vma.vmPrev);
  const next = yield* cpu.load(vma + Vma.vmNext);
  yield* cpu.store(prev === 0 ? mm + Mm.mmap : prev + Vma.vmNext, next);
  if (next !== 0) yield* cpu.store(next + Vma.vmPrev, prev);
  yield* treeRemove(cpu, mm, vma);
  const count = yield* cpu.load(mm + Mm.mapCount);
  yield* cpu.store(mm + Mm.mapCount, count - 1);
  yield* cpu.writeOnce(mm + Mm.mmapCache, 0);
}

/** Descends to where the heap order ends, and splits what hangs there by the new start. */
function* treeInsert(cpu: Cpu, mm: Word, vma: Word, start: Vaddr): Op<void> {
  let link = mm + Mm.vmaTree;
  let node = yield* cpu.load(link);
  while (node !== 0 && priority(node) >= priority(vma)) {
    const below = (yield* cpu.loadWide(node + Vma.vmStart)) < start;
    link = node + (below ? Vma.treeRight : Vma.treeLeft);
    node = yield* cpu.load(link);
  }
  yield* cpu.store(link, vma);
  let lowLink = vma + Vma.treeLeft;
  let highLink = vma + Vma.treeRight;
  while (node !== 0) {
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
}

/** Replaces a node by the merge of its two subtrees. */
function* treeRemove(cpu: Cpu, mm: Word, vma: Word): Op<void> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  let link = mm + Mm.vmaTree;
  for (let node = yield* cpu.load(link); node !== vma; node = yield* cpu.load(link)) {
    const below = (yield* cpu.loadWide(node + Vma.vmStart)) < start;
    link = node + (below ? Vma.treeRight : Vma.treeLeft);
  }
  let low = yield* cpu.load(vma + Vma.treeLeft);
  let high = yield* cpu.load(vma + Vma.treeRight);
  while (low !== 0 && high !== 0) {
    if (priority(low) > priority(high)) {
      yield* cpu.store(link, low);
      link = low + Vma.treeRight;
      low = yield* cpu.load(link);
    } else {
      yield* cpu.store(link, high);
      link = high + Vma.treeLeft;
      high = yield* cpu.load(link);
    }
  }
  yield* cpu.store(link, low !== 0 ? low : high);
}

/**
 * Cuts a VMA in two at `address` (Linux: split_vma).
 *
 * @returns the upper part, or 0 when the table is full
 */
export function* splitVma(cpu: Cpu, mm: Word, vma: Word, address: Vaddr): Op<Word> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const end = yield* cpu.loadWide(vma + Vma.vmEnd);
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const file = yield* cpu.load(vma + Vma.vmFile);
  const pgoff = yield* cpu.load(vma + Vma.vmPgoff);
  const below = ((address - start) * PAGES_PER_BYTE) | 0;
  const upper = yield* allocVma(cpu, mm, address, end, vmFlags, file, (pgoff + below) | 0);
  if (upper === 0) return 0;
  const anonVma = yield* cpu.readOnce(vma + Vma.anonVma);
  if (anonVma !== 0) {
    yield* cpu.add(anonVma + AnonVma.vmas, 1);
    yield* cpu.writeOnce(upper + Vma.anonVma, anonVma);
  }
  yield* cpu.storeWide(vma + Vma.vmEnd, address);
  yield* linkVma(cpu, mm, upper);
  return upper;
}

/**
 * Makes VMA boundaries at both ends of a range where one runs through.
 *
 * @returns whether it could; false when the table is full
 */
export function* splitAtEnds(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<boolean> {
  for (let cut = start; ; cut = end) {
    const vma = yield* findVma(cpu, mm, cut);
    if (vma !== 0 && (yield* cpu.loadWide(vma + Vma.vmStart)) < cut) {
      if ((yield* splitVma(cpu, mm, vma, cut)) === 0) return false;
    }
    if (cut === end) return true;
  }
}

/**
 * Merges a VMA with its neighbours where they are alike (Linux: vma_merge).
 *
 * @returns the VMA that now covers it
 */
export function* mergeVma(cpu: Cpu, mm: Word, vma: Word): Op<Word> {
  const next = yield* cpu.load(vma + Vma.vmNext);
  if (next !== 0 && (yield* vmasMergeable(cpu, vma, next))) {
    yield* absorbNext(cpu, mm, vma, next);
  }
  const prev = yield* cpu.load(vma + Vma.vmPrev);
  if (prev === 0 || !(yield* vmasMergeable(cpu, prev, vma))) return vma;
  yield* absorbNext(cpu, mm, prev, vma);
  return prev;
}

/** Extends a VMA over its next neighbour, which goes away. */
function* absorbNext(cpu: Cpu, mm: Word, vma: Word, next: Word): Op<void> {
  const end = yield* cpu.loadWide(next + Vma.vmEnd);
  const nextAnonVma = yield* cpu.readOnce(next + Vma.anonVma);
  if (nextAnonVma !== 0 && (yield* cpu.readOnce(vma + Vma.anonVma)) === 0) {
    yield* cpu.add(nextAnonVma + AnonVma.vmas, 1);
    yield* cpu.writeOnce(vma + Vma.anonVma, nextAnonVma);
  }
  yield* unlinkVma(cpu, mm, next);
  yield* freeVma(cpu, next);
  yield* cpu.storeWide(vma + Vma.vmEnd, end);
}
