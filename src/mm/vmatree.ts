/**
 * The search tree of an address space's VMAs, and the gaps between them (Linux 6.1: the maple tree, mm_mt;
 * before that a red-black tree).
 *
 * A B+ tree: a node has up to NODE_FANOUT children, so that a walk to one VMA of a hundred thousand reads
 * five nodes, where a binary tree reads a score of records that lie all over memory. Each entry knows the
 * largest gap below any VMA that it leads to, so that room for a mapping is found without a look at every
 * VMA. Two neighbouring children of one parent always have more children than one node could hold.
 *
 * Locks: mmap_sem for reading to find, for writing to change.
 */
import { InvariantError } from '../base/errors.js';
import { KIB, type Vaddr, type Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { Mm } from './layout/mm.js';
import { TABLES } from './layout/slab.js';
import { NODE_FANOUT, VM_GROWSDOWN, Vma, VmaNode } from './layout/vma.js';
import { slabAllocReserved, slabFree } from './slab.js';

/** Kept free below a VMA that grows downwards (Linux: stack_guard_gap, 256 pages). */
export const STACK_GUARD_GAP = 256 * PAGE_SIZE;

/** Nothing is placed below (Linux: vm.mmap_min_addr). */
export const MMAP_MIN_ADDR: Vaddr = 64 * KIB;

const HALF = NODE_FANOUT / 2;

/** @returns the first VMA that ends after `address`, or 0 */
export function* findVma(cpu: Cpu, mm: Word, address: Vaddr): Op<Word> {
  const cached = yield* cpu.readOnce(mm + Mm.mmapCache);
  if (cached !== 0) {
    const end = yield* cpu.loadWide(cached + Vma.vmEnd);
    const start = yield* cpu.loadWide(cached + Vma.vmStart);
    if (start <= address && address < end) return cached;
  }
  let found = yield* lastByKey(cpu, mm, address);
  if (found === 0) return 0;
  if ((yield* cpu.loadWide(found + Vma.vmEnd)) <= address) {
    found = yield* cpu.load(found + Vma.vmNext);
  }
  if (found !== 0) yield* cpu.writeOnce(mm + Mm.mmapCache, found);
  return found;
}

/** @returns the last VMA that starts before `address`, or 0 */
export function* findVmaBelow(cpu: Cpu, mm: Word, address: Vaddr): Op<Word> {
  const found = yield* lastByKey(cpu, mm, address - 1);
  if (found === 0 || (yield* cpu.loadWide(found + Vma.vmStart)) < address) return found;
  return yield* cpu.load(found + Vma.vmPrev);
}

/** The last VMA that starts at `address` or below, or else the first of all; 0 if there is none. */
function* lastByKey(cpu: Cpu, mm: Word, address: Vaddr): Op<Word> {
  let node = yield* cpu.load(mm + Mm.vmaTree);
  if (node === 0) return 0;
  for (;;) {
    let index = (yield* cpu.load(node + VmaNode.count)) - 1;
    // Half of the keys, and often a cache line, can be passed over.
    if (index >= HALF && (yield* cpu.loadWide(node + VmaNode.keys + 2 * HALF)) > address) {
      index = HALF - 1;
    }
    while (index > 0 && (yield* cpu.loadWide(node + VmaNode.keys + 2 * index)) > address) index--;
    const child = yield* cpu.load(node + VmaNode.children + index);
    if ((yield* cpu.load(node + VmaNode.level)) > 0) {
      node = child;
      continue;
    }
    if (index > 0 || (yield* cpu.loadWide(node + VmaNode.keys)) <= address) return child;
    // The address is between two nodes: where VMAs went away, a node's first may start long after its key.
    const prev = yield* cpu.load(child + Vma.vmPrev);
    return prev === 0 ? child : prev;
  }
}

/** Where a VMA begins, with the room below it that a stack keeps (Linux: vm_start_gap). */
export function* vmStartGap(cpu: Cpu, vma: Word): Op<Vaddr> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const growsDown = ((yield* cpu.load(vma + Vma.vmFlags)) & VM_GROWSDOWN) !== 0;
  return growsDown ? Math.max(0, start - STACK_GUARD_GAP) : start;
}

/** Bytes free between a VMA and the one before it. */
function* gapBelow(cpu: Cpu, vma: Word): Op<number> {
  const prev = yield* cpu.load(vma + Vma.vmPrev);
  const from = prev === 0 ? MMAP_MIN_ADDR : yield* cpu.loadWide(prev + Vma.vmEnd);
  return (yield* cpu.loadWide(vma + Vma.vmStart)) - from;
}

/** The largest gap that a child of a node at `level` leads to. */
function* gapOf(cpu: Cpu, level: number, child: Word): Op<number> {
  if (level === 0) return yield* gapBelow(cpu, child);
  const count = yield* cpu.load(child + VmaNode.count);
  let largest = -Infinity;
  for (let index = 0; index < count; index++) {
    largest = Math.max(largest, yield* cpu.loadWide(child + VmaNode.gaps + 2 * index));
  }
  return largest;
}

/** Nodes on the way to a VMA, the root first, and which child of each leads on. */
interface Path {
  readonly nodes: Word[];
  readonly indexes: number[];
}

/** The way to the entry with the last key up to `address`; index -1 at level 0 if there is none. */
function* pathTo(cpu: Cpu, mm: Word, address: Vaddr): Op<Path> {
  const path: Path = { nodes: [], indexes: [] };
  let node = yield* cpu.load(mm + Mm.vmaTree);
  while (node !== 0) {
    const level = yield* cpu.load(node + VmaNode.level);
    const first = level === 0 ? 0 : 1;
    let index = (yield* cpu.load(node + VmaNode.count)) - 1;
    while (index >= first && (yield* cpu.loadWide(node + VmaNode.keys + 2 * index)) > address) {
      index--;
    }
    path.nodes.push(node);
    path.indexes.push(index);
    if (level === 0) break;
    node = yield* cpu.load(node + VmaNode.children + index);
  }
  return path;
}

/** The way to the entry of a VMA. */
function* pathToVma(cpu: Cpu, mm: Word, vma: Word): Op<Path> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const path = yield* pathTo(cpu, mm, start);
  const depth = path.nodes.length - 1;
  const found = yield* cpu.load(path.nodes[depth] + VmaNode.children + path.indexes[depth]);
  if (found !== vma) throw new InvariantError(`vma ${vma} is not where the tree of VMAs leads`);
  return path;
}

/** The gap below a VMA has changed. @param vma - or 0 for none */
export function* gapChanged(cpu: Cpu, mm: Word, vma: Word): Op<void> {
  if (vma === 0) return;
  const path = yield* pathToVma(cpu, mm, vma);
  yield* refreshGaps(cpu, path, path.nodes.length - 1);
}

/** Moves a VMA's start down; its key, and what the nodes above know of it, follow. */
export function* lowerVmStart(cpu: Cpu, mm: Word, vma: Word, start: Vaddr): Op<void> {
  const path = yield* pathToVma(cpu, mm, vma);
  yield* cpu.storeWide(vma + Vma.vmStart, start);
  for (let depth = path.nodes.length - 1; depth >= 0; depth--) {
    const index = path.indexes[depth];
    yield* cpu.writeOnceWide(path.nodes[depth] + VmaNode.keys + 2 * index, start);
    if (index > 0) break;
  }
  yield* refreshGaps(cpu, path, path.nodes.length - 1);
}

/** Computes the gaps of a path's entries anew, from a depth up to the root. */
function* refreshGaps(cpu: Cpu, { nodes, indexes }: Path, from: number): Op<void> {
  for (let depth = from; depth >= 0; depth--) {
    yield* refreshGap(cpu, nodes[depth], indexes[depth]);
  }
}

function* refreshGap(cpu: Cpu, node: Word, index: number): Op<void> {
  const level = yield* cpu.load(node + VmaNode.level);
  const child = yield* cpu.load(node + VmaNode.children + index);
  const gap = yield* gapOf(cpu, level, child);
  yield* cpu.storeWide(node + VmaNode.gaps + 2 * index, gap);
}

/** Puts a VMA into the tree, whose neighbours in the list it has already. */
export function* treeInsert(cpu: Cpu, mm: Word, vma: Word): Op<void> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const path = yield* pathTo(cpu, mm, start);
  if (path.nodes.length === 0) {
    const root = yield* allocNode(cpu, 0);
    yield* putEntry(cpu, root, 0, start, vma);
    yield* cpu.writeOnce(mm + Mm.vmaTree, root);
    return;
  }
  yield* insertBehind(cpu, mm, path, start, vma);
  yield* gapChanged(cpu, mm, vma);
}

/** Puts an entry behind the last of a path. A full node is split, and the new half goes one level up. */
function* insertBehind(
  cpu: Cpu,
  mm: Word,
  { nodes, indexes }: Path,
  key: Vaddr,
  child: Word,
): Op<void> {
  for (let depth = nodes.length - 1; ; depth--) {
    const node = nodes[depth];
    const at = indexes[depth] + 1;
    if ((yield* cpu.load(node + VmaNode.count)) < NODE_FANOUT) {
      yield* putEntry(cpu, node, at, key, child);
      return;
    }
    // What comes in order of address leaves full nodes behind.
    const kept = at === NODE_FANOUT ? NODE_FANOUT : HALF;
    const upper = yield* splitNode(cpu, node, kept);
    if (at <= kept && kept < NODE_FANOUT) yield* putEntry(cpu, node, at, key, child);
    else yield* putEntry(cpu, upper, at - kept, key, child);
    key = yield* cpu.loadWide(upper + VmaNode.keys);
    child = upper;
    if (depth === 0) {
      const root = yield* allocNode(cpu, (yield* cpu.load(node + VmaNode.level)) + 1);
      yield* putEntry(cpu, root, 0, 0, node);
      yield* putEntry(cpu, root, 1, key, upper);
      yield* cpu.writeOnce(mm + Mm.vmaTree, root);
      return;
    }
    yield* refreshGap(cpu, nodes[depth - 1], indexes[depth - 1]);
  }
}

function* allocNode(cpu: Cpu, level: number): Op<Word> {
  const node = yield* slabAllocReserved(cpu, TABLES.vmaNode);
  if (node === 0) throw new InvariantError('no node is left for the tree of VMAs');
  yield* cpu.writeOnce(node + VmaNode.level, level);
  return node;
}

/** Moves the children of a full node to a new one, but for the first. @param kept - how many stay */
function* splitNode(cpu: Cpu, node: Word, kept: number): Op<Word> {
  const upper = yield* allocNode(cpu, yield* cpu.load(node + VmaNode.level));
  for (let index = kept; index < NODE_FANOUT; index++) {
    yield* copyEntry(cpu, node, index, upper, index - kept);
  }
  yield* cpu.writeOnce(node + VmaNode.count, kept);
  yield* cpu.writeOnce(upper + VmaNode.count, NODE_FANOUT - kept);
  return upper;
}

function* copyEntry(cpu: Cpu, from: Word, index: number, to: Word, at: number): Op<void> {
  const child = yield* cpu.load(from + VmaNode.children + index);
  const key = yield* cpu.loadWide(from + VmaNode.keys + 2 * index);
  const gap = yield* cpu.loadWide(from + VmaNode.gaps + 2 * index);
  yield* cpu.writeOnce(to + VmaNode.children + at, child);
  yield* cpu.writeOnceWide(to + VmaNode.keys + 2 * at, key);
  yield* cpu.storeWide(to + VmaNode.gaps + 2 * at, gap);
}

function* putEntry(cpu: Cpu, node: Word, at: number, key: Vaddr, child: Word): Op<void> {
  const count = yield* cpu.load(node + VmaNode.count);
  for (let index = count; index > at; index--) yield* copyEntry(cpu, node, index - 1, node, index);
  yield* cpu.writeOnce(node + VmaNode.count, count + 1);
  yield* cpu.writeOnce(node + VmaNode.children + at, child);
  yield* cpu.writeOnceWide(node + VmaNode.keys + 2 * at, key);
  yield* refreshGap(cpu, node, at);
}

/** Takes a VMA out of the tree; its range is still what it was. */
export function* treeRemove(cpu: Cpu, mm: Word, vma: Word): Op<void> {
  const path = yield* pathToVma(cpu, mm, vma);
  const { nodes, indexes } = path;
  let depth = nodes.length - 1;
  yield* dropEntry(cpu, nodes[depth], indexes[depth]);
  // A node that is empty, or fits into its neighbour, goes; then its parent has an entry less.
  while (depth > 0 && (yield* absorbNode(cpu, nodes[depth - 1], indexes[depth - 1]))) depth--;
  yield* refreshGaps(cpu, path, depth - 1);
  yield* shrinkRoot(cpu, mm);
}

function* dropEntry(cpu: Cpu, node: Word, at: number): Op<void> {
  const count = (yield* cpu.load(node + VmaNode.count)) - 1;
  for (let index = at; index < count; index++) yield* copyEntry(cpu, node, index + 1, node, index);
  yield* cpu.writeOnce(node + VmaNode.count, count);
}

/**
 * Joins a child with a neighbour if one node can hold the children of both.
 *
 * @returns whether the parent has lost an entry; its other gaps are then right
 */
function* absorbNode(cpu: Cpu, parent: Word, index: number): Op<boolean> {
  const child = yield* cpu.load(parent + VmaNode.children + index);
  const count = yield* cpu.load(child + VmaNode.count);
  if (count === 0) {
    yield* slabFree(cpu, TABLES.vmaNode, child);
    yield* dropEntry(cpu, parent, index);
    return true;
  }
  const siblings = yield* cpu.load(parent + VmaNode.count);
  for (const low of [index - 1, index]) {
    if (low < 0 || low + 1 >= siblings) continue;
    const lower = yield* cpu.load(parent + VmaNode.children + low);
    const upper = yield* cpu.load(parent + VmaNode.children + low + 1);
    const lowerCount = yield* cpu.load(lower + VmaNode.count);
    const upperCount = yield* cpu.load(upper + VmaNode.count);
    if (lowerCount + upperCount > NODE_FANOUT) continue;
    if ((yield* cpu.load(upper + VmaNode.level)) > 0) {
      // A first child's key counts for nothing until now: the parent's is right.
      const key = yield* cpu.loadWide(parent + VmaNode.keys + 2 * (low + 1));
      yield* cpu.writeOnceWide(upper + VmaNode.keys, key);
    }
    for (let from = 0; from < upperCount; from++) {
      yield* copyEntry(cpu, upper, from, lower, lowerCount + from);
    }
    yield* cpu.writeOnce(lower + VmaNode.count, lowerCount + upperCount);
    yield* slabFree(cpu, TABLES.vmaNode, upper);
    yield* dropEntry(cpu, parent, low + 1);
    yield* refreshGap(cpu, parent, low);
    return true;
  }
  return false;
}

/** A root without children goes, and one with a single node below it makes way for that. */
function* shrinkRoot(cpu: Cpu, mm: Word): Op<void> {
  for (;;) {
    const root = yield* cpu.load(mm + Mm.vmaTree);
    const count = yield* cpu.load(root + VmaNode.count);
    const level = yield* cpu.load(root + VmaNode.level);
    if (count > 1 || (count === 1 && level === 0)) return;
    const child = count === 0 ? 0 : yield* cpu.load(root + VmaNode.children);
    yield* cpu.writeOnce(mm + Mm.vmaTree, child);
    yield* slabFree(cpu, TABLES.vmaNode, root);
    if (child === 0) return;
  }
}

/**
 * Finds the highest room for a mapping. Where that lies too near below a stack, the search goes on from
 * where the stack's guard gap begins, past all that is in it (Linux: unmapped_area_topdown).
 *
 * @param limit - the mapping ends here or below
 * @returns its start, or -1 where there is no room
 */
export function* highestGap(cpu: Cpu, mm: Word, bytes: number, limit: Vaddr): Op<Vaddr> {
  for (;;) {
    const { end, above } = yield* highestRoom(cpu, mm, bytes, limit);
    if (end === 0) return -1;
    const guard = above === 0 ? end : yield* vmStartGap(cpu, above);
    if (guard >= end) return end - bytes;
    limit = guard;
  }
}

/** The end of the highest gap that is large enough, stacks or not, and the VMA above it; 0 for none. */
function* highestRoom(
  cpu: Cpu,
  mm: Word,
  bytes: number,
  limit: Vaddr,
): Op<{ end: Vaddr; above: Word }> {
  // The gap that the limit lies in, or the one below the VMA that it lies in.
  const below = yield* findVmaBelow(cpu, mm, limit);
  const above = yield* cpu.load(below === 0 ? mm + Mm.mmap : below + Vma.vmNext);
  const from = below === 0 ? MMAP_MIN_ADDR : yield* cpu.loadWide(below + Vma.vmEnd);
  if (limit - from >= bytes) return { end: limit, above };
  if (below === 0) return { end: 0, above: 0 };
  const root = yield* cpu.load(mm + Mm.vmaTree);
  const vma = yield* lastWithGap(cpu, root, bytes, limit);
  return { end: vma === 0 ? 0 : yield* cpu.loadWide(vma + Vma.vmStart), above: vma };
}

/** The last VMA below a node that starts before `limit` and has so large a gap below it, or 0. */
function* lastWithGap(cpu: Cpu, node: Word, bytes: number, limit: Vaddr): Op<Word> {
  const level = yield* cpu.load(node + VmaNode.level);
  const count = yield* cpu.load(node + VmaNode.count);
  for (let index = count - 1; index >= 0; index--) {
    if ((yield* cpu.loadWide(node + VmaNode.gaps + 2 * index)) < bytes) continue;
    const child = yield* cpu.load(node + VmaNode.children + index);
    if (level === 0) {
      if ((yield* cpu.loadWide(child + Vma.vmStart)) < limit) return child;
    } else {
      const found = yield* lastWithGap(cpu, child, bytes, limit);
      if (found !== 0) return found;
    }
  }
  return 0;
}
