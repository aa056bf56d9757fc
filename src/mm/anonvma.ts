/**
 * anon_vmas: which VMAs may map an anonymous page (Linux: mm/rmap.c, 6.x).
 *
 *   parent's VMA ---- A            A leads to the parent's VMA and to the child's, whose pages may be
 *        fork         | parent     the parent's still; B leads to the child's alone: what it writes
 *   child's VMA ---- B, A          after the fork belongs there.
 *
 * Locks: mmap_sem for writing to change a VMA's chain, for reading to give it its first anon_vma;
 * the lists that lead from anon_vmas to VMAs are under the lock of the family's root.
 */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { Mm } from './layout/mm.js';
import { TABLES } from './layout/slab.js';
import { AnonVma, AnonVmaChain, Vma } from './layout/vma.js';
import { slabAlloc, slabFree } from './slab.js';
import { vmaIsForkChild, vmasMayShareAnon } from './vmaflags.js';

/** Takes the lock of an anon_vma's family. */
export function* anonVmaLock(cpu: Cpu, anonVma: Word): Op<void> {
  const root = yield* cpu.load(anonVma + AnonVma.root);
  yield* cpu.spinLock(root + AnonVma.lock);
}

export function* anonVmaUnlock(cpu: Cpu, anonVma: Word): Op<void> {
  const root = yield* cpu.load(anonVma + AnonVma.root);
  yield* cpu.spinUnlock(root + AnonVma.lock);
}

/**
 * Gives a VMA its anon_vma before its first anonymous page (Linux: anon_vma_prepare). A neighbour's
 * is taken where the two might merge.
 *
 * @returns whether there is one; false when a table is full
 * Locks: mmap_sem; takes the family's lock and page_table_lock.
 */
export function* anonVmaPrepare(cpu: Cpu, vma: Word): Op<boolean> {
  if ((yield* cpu.readOnce(vma + Vma.anonVma)) !== 0) return true;
  const mm = yield* cpu.load(vma + Vma.vmMm);
  const chain = yield* slabAlloc(cpu, TABLES.anonVmaChain);
  if (chain === 0) return false;
  const shared = yield* findMergeableAnonVma(cpu, vma);
  const anonVma = shared !== 0 ? shared : yield* allocAnonVma(cpu);
  if (anonVma === 0) {
    yield* slabFree(cpu, TABLES.anonVmaChain, chain);
    return false;
  }
  yield* anonVmaLock(cpu, anonVma);
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const won = (yield* cpu.readOnce(vma + Vma.anonVma)) === 0;
  if (won) {
    yield* linkChain(cpu, chain, vma, anonVma);
    yield* countActiveVma(cpu, anonVma, 1);
    yield* cpu.writeOnce(vma + Vma.anonVma, anonVma);
  }
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  yield* anonVmaUnlock(cpu, anonVma);
  if (!won) {
    yield* slabFree(cpu, TABLES.anonVmaChain, chain);
    if (shared === 0) yield* slabFree(cpu, TABLES.anonVma, anonVma);
  }
  return true;
}

/** An anon_vma that is the root of a family of its own, or 0. */
function* allocAnonVma(cpu: Cpu): Op<Word> {
  const anonVma = yield* slabAlloc(cpu, TABLES.anonVma);
  if (anonVma === 0) return 0;
  yield* cpu.writeOnce(anonVma + AnonVma.root, anonVma);
  yield* cpu.store(anonVma + AnonVma.parent, anonVma);
  yield* cpu.store(anonVma + AnonVma.numChildren, 1);
  return anonVma;
}

/** The next VMA's, or the previous one's, if the VMAs might merge later; 0 if none will do. */
function* findMergeableAnonVma(cpu: Cpu, vma: Word): Op<Word> {
  const next = yield* cpu.load(vma + Vma.vmNext);
  if (next !== 0 && (yield* vmasMayShareAnon(cpu, vma, next))) {
    const anonVma = yield* reusableAnonVma(cpu, next);
    if (anonVma !== 0) return anonVma;
  }
  const prev = yield* cpu.load(vma + Vma.vmPrev);
  if (prev === 0 || !(yield* vmasMayShareAnon(cpu, prev, vma))) return 0;
  return yield* reusableAnonVma(cpu, prev);
}

function* reusableAnonVma(cpu: Cpu, neighbour: Word): Op<Word> {
  if (yield* vmaIsForkChild(cpu, neighbour)) return 0;
  return yield* cpu.readOnce(neighbour + Vma.anonVma);
}

/**
 * Ties a VMA to all anon_vmas of another, as a split and a move need: their pages become its own
 * (Linux: anon_vma_clone).
 *
 * @returns false when a table is full; the VMA is then as it was
 * Locks: mmap_sem for writing; `vma` has no anon_vma.
 */
export function* anonVmaClone(cpu: Cpu, vma: Word, source: Word): Op<boolean> {
  const anonVma = yield* cpu.readOnce(source + Vma.anonVma);
  if (anonVma === 0) return true;
  if (!(yield* cloneChain(cpu, vma, source))) return false;
  yield* adoptAnonVma(cpu, vma, anonVma);
  return true;
}

/**
 * Gives the VMA of a forked child what it needs: ties to the anon_vmas of its parent's, and an anon_vma
 * for its own pages. One that a dead process left over is used again, so that a chain of forks does not
 * grow for ever (Linux: anon_vma_fork).
 *
 * @returns false when a table is full
 * Locks: mmap_sem of both for writing.
 */
export function* anonVmaFork(cpu: Cpu, vma: Word, parent: Word): Op<boolean> {
  const above = yield* cpu.readOnce(parent + Vma.anonVma);
  if (above === 0) return true;
  if (!(yield* cloneChain(cpu, vma, parent))) return false;
  const left = yield* findUnusedAnonVma(cpu, vma);
  if (left !== 0) {
    yield* adoptAnonVma(cpu, vma, left);
    return true;
  }
  const anonVma = yield* slabAlloc(cpu, TABLES.anonVma);
  if (anonVma === 0) return false;
  const chain = yield* slabAlloc(cpu, TABLES.anonVmaChain);
  if (chain === 0) {
    yield* slabFree(cpu, TABLES.anonVma, anonVma);
    return false;
  }
  const root = yield* cpu.load(above + AnonVma.root);
  yield* cpu.writeOnce(anonVma + AnonVma.root, root);
  yield* cpu.store(anonVma + AnonVma.parent, above);
  yield* anonVmaLock(cpu, anonVma);
  const children = yield* cpu.load(above + AnonVma.numChildren);
  yield* cpu.store(above + AnonVma.numChildren, children + 1);
  yield* linkChain(cpu, chain, vma, anonVma);
  yield* countActiveVma(cpu, anonVma, 1);
  yield* anonVmaUnlock(cpu, anonVma);
  yield* cpu.writeOnce(vma + Vma.anonVma, anonVma);
  return true;
}

/** An anon_vma of the chain that no VMA calls its own and that has one child at most; 0 if none. */
function* findUnusedAnonVma(cpu: Cpu, vma: Word): Op<Word> {
  let chain = yield* cpu.load(vma + Vma.anonVmaChain);
  let found = 0;
  const first = yield* cpu.load(chain + AnonVmaChain.anonVma);
  yield* anonVmaLock(cpu, first);
  while (chain !== 0 && found === 0) {
    const anonVma = yield* cpu.load(chain + AnonVmaChain.anonVma);
    const active = yield* cpu.load(anonVma + AnonVma.numActiveVmas);
    const children = yield* cpu.load(anonVma + AnonVma.numChildren);
    if (active === 0 && children < 2) found = anonVma;
    chain = yield* cpu.load(chain + AnonVmaChain.nextOfVma);
  }
  yield* anonVmaUnlock(cpu, first);
  return found;
}

function* adoptAnonVma(cpu: Cpu, vma: Word, anonVma: Word): Op<void> {
  yield* anonVmaLock(cpu, anonVma);
  yield* countActiveVma(cpu, anonVma, 1);
  yield* anonVmaUnlock(cpu, anonVma);
  yield* cpu.writeOnce(vma + Vma.anonVma, anonVma);
}

/** Ties a VMA to each anon_vma that another is tied to. @returns false when the table is full */
function* cloneChain(cpu: Cpu, vma: Word, source: Word): Op<boolean> {
  let from = yield* cpu.load(source + Vma.anonVmaChain);
  while (from !== 0) {
    const chain = yield* slabAlloc(cpu, TABLES.anonVmaChain);
    if (chain === 0) {
      yield* anonVmaUnlink(cpu, vma);
      return false;
    }
    const anonVma = yield* cpu.load(from + AnonVmaChain.anonVma);
    yield* anonVmaLock(cpu, anonVma);
    yield* linkChain(cpu, chain, vma, anonVma);
    yield* anonVmaUnlock(cpu, anonVma);
    from = yield* cpu.load(from + AnonVmaChain.nextOfVma);
  }
  return true;
}

/** Locks: the family's. */
function* linkChain(cpu: Cpu, chain: Word, vma: Word, anonVma: Word): Op<void> {
  yield* cpu.store(chain + AnonVmaChain.vma, vma);
  yield* cpu.store(chain + AnonVmaChain.anonVma, anonVma);
  const first = yield* cpu.load(vma + Vma.anonVmaChain);
  yield* cpu.store(chain + AnonVmaChain.nextOfVma, first);
  yield* cpu.writeOnce(vma + Vma.anonVmaChain, chain);
  const head = yield* cpu.load(anonVma + AnonVma.head);
  yield* cpu.store(chain + AnonVmaChain.nextOfAnonVma, head);
  if (head !== 0) yield* cpu.store(head + AnonVmaChain.prevOfAnonVma, chain);
  yield* cpu.store(anonVma + AnonVma.head, chain);
}

/** Locks: the family's. @param delta - 1 or -1 */
function* countActiveVma(cpu: Cpu, anonVma: Word, delta: number): Op<void> {
  const active = yield* cpu.load(anonVma + AnonVma.numActiveVmas);
  yield* cpu.store(anonVma + AnonVma.numActiveVmas, active + delta);
}

/**
 * Cuts a VMA's ties; an anon_vma that leads nowhere any more goes (Linux: unlink_anon_vmas).
 *
 * Locks: mmap_sem for writing.
 */
export function* anonVmaUnlink(cpu: Cpu, vma: Word): Op<void> {
  let chain = yield* cpu.load(vma + Vma.anonVmaChain);
  if (chain === 0) return;
  const first = yield* cpu.load(chain + AnonVmaChain.anonVma);
  yield* anonVmaLock(cpu, first);
  const own = yield* cpu.readOnce(vma + Vma.anonVma);
  if (own !== 0) yield* countActiveVma(cpu, own, -1);
  const unused: Word[] = [];
  while (chain !== 0) {
    const next = yield* cpu.load(chain + AnonVmaChain.nextOfVma);
    const anonVma = yield* cpu.load(chain + AnonVmaChain.anonVma);
    if (yield* unlinkChain(cpu, chain, anonVma)) {
      unused.push(anonVma);
      const parent = yield* cpu.load(anonVma + AnonVma.parent);
      const children = yield* cpu.load(parent + AnonVma.numChildren);
      yield* cpu.store(parent + AnonVma.numChildren, children - 1);
    }
    yield* slabFree(cpu, TABLES.anonVmaChain, chain);
    chain = next;
  }
  yield* cpu.writeOnce(vma + Vma.anonVmaChain, 0);
  yield* cpu.writeOnce(vma + Vma.anonVma, 0);
  yield* anonVmaUnlock(cpu, first);
  for (const anonVma of unused) yield* slabFree(cpu, TABLES.anonVma, anonVma);
}

/** Takes a tie off its anon_vma's list. @returns whether it was the last */
function* unlinkChain(cpu: Cpu, chain: Word, anonVma: Word): Op<boolean> {
  const next = yield* cpu.load(chain + AnonVmaChain.nextOfAnonVma);
  const prev = yield* cpu.load(chain + AnonVmaChain.prevOfAnonVma);
  if (next !== 0) yield* cpu.store(next + AnonVmaChain.prevOfAnonVma, prev);
  if (prev !== 0) yield* cpu.store(prev + AnonVmaChain.nextOfAnonVma, next);
  else yield* cpu.store(anonVma + AnonVma.head, next);
  return next === 0 && prev === 0;
}
