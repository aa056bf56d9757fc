/**
 * The VMAs of an address space: made, split, merged and freed (Linux: __insert_vm_struct, split_vma,
 * vma_merge; mm/mmap.c of 2.6.10, mm/vma.c of 6.x).
 *
 * Locks: mmap_sem for reading to find, for writing to change. What a walk from a page back to its VMAs reads
 * (the range, and the offset in the file) changes under the lock of the file's list and that of the
 * anon_vma's family too.
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE } from '../hardware/machine.js';
import { anonVmaClone, anonVmaLock, anonVmaUnlink, anonVmaUnlock } from './anonvma.js';
import { MAX_MAP_COUNT } from './design.js';
import { freeFile } from './pagecache.js';
import { splitHugePmdAt } from './hugeSplit.js';
import { FILE_NAMELESS, File } from './layout/file.js';
import { Mm } from './layout/mm.js';
import { TABLES } from './layout/slab.js';
import { Vma } from './layout/vma.js';
import { slabAlloc, slabFree } from './slab.js';
import { vmasMergeable } from './vmaflags.js';
import { findVmaBelow, gapChanged, treeInsert, treeRemove } from './vmatree.js';
import { vmaStartWrite } from './mmapLock.js';

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
  yield* cpu.writeOnce(vma + Vma.vmFlags, vmFlags);
  yield* cpu.store(vma + Vma.vmMm, mm);
  yield* cpu.store(vma + Vma.vmFile, file);
  yield* cpu.store(vma + Vma.vmPgoff, pgoff);
  if (file !== 0) yield* linkFileVma(cpu, file, vma);
  return vma;
}

/** Frees a VMA that is in no list of its mm any more (Linux: remove_vma). */
export function* freeVma(cpu: Cpu, vma: Word): Op<void> {
  const file = yield* cpu.load(vma + Vma.vmFile);
  if (file !== 0) yield* unlinkFileVma(cpu, file, vma);
  yield* anonVmaUnlink(cpu, vma);
  yield* slabFree(cpu, TABLES.vma, vma);
}

function* linkFileVma(cpu: Cpu, file: Word, vma: Word): Op<void> {
  yield* cpu.spinLock(file + File.mmapLock);
  const head = yield* cpu.load(file + File.mmapList);
  yield* cpu.store(vma + Vma.fileNext, head);
  if (head !== 0) yield* cpu.store(head + Vma.filePrev, vma);
  yield* cpu.store(file + File.mmapList, vma);
  yield* countMapping(cpu, file, 1);
  yield* cpu.spinUnlock(file + File.mmapLock);
}

function* unlinkFileVma(cpu: Cpu, file: Word, vma: Word): Op<void> {
  yield* cpu.spinLock(file + File.mmapLock);
  const next = yield* cpu.load(vma + Vma.fileNext);
  const prev = yield* cpu.load(vma + Vma.filePrev);
  if (next !== 0) yield* cpu.store(next + Vma.filePrev, prev);
  yield* cpu.store(prev !== 0 ? prev + Vma.fileNext : file + File.mmapList, next);
  yield* countMapping(cpu, file, -1);
  const mappings = yield* cpu.load(file + File.mappings);
  yield* cpu.spinUnlock(file + File.mmapLock);
  const nameless = ((yield* cpu.load(file + File.flags)) & FILE_NAMELESS) !== 0;
  if (mappings === 0 && nameless) yield* freeFile(cpu, file);
}

function* countMapping(cpu: Cpu, file: Word, delta: number): Op<void> {
  const mappings = yield* cpu.load(file + File.mappings);
  yield* cpu.store(file + File.mappings, mappings + delta);
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
  yield* treeInsert(cpu, mm, vma);
  yield* gapChanged(cpu, mm, next);
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
  yield* gapChanged(cpu, mm, next);
  const count = yield* cpu.load(mm + Mm.mapCount);
  yield* cpu.store(mm + Mm.mapCount, count - 1);
  yield* cpu.writeOnce(mm + Mm.mmapCache, 0);
}

/** Moves a VMA's end; what it maps below stays where it is (Linux: vma_adjust). */
function* setVmEnd(cpu: Cpu, mm: Word, vma: Word, end: Vaddr): Op<void> {
  yield* rmapLock(cpu, vma);
  yield* cpu.storeWide(vma + Vma.vmEnd, end);
  yield* rmapUnlock(cpu, vma);
  const next = yield* cpu.load(vma + Vma.vmNext);
  yield* gapChanged(cpu, mm, next);
}

/** Keeps walks from a page back to its ptes out of a VMA: the lists that lead to it are locked. */
export function* rmapLock(cpu: Cpu, vma: Word): Op<void> {
  const file = yield* cpu.load(vma + Vma.vmFile);
  if (file !== 0) yield* cpu.spinLock(file + File.mmapLock);
  const anonVma = yield* cpu.readOnce(vma + Vma.anonVma);
  if (anonVma !== 0) yield* anonVmaLock(cpu, anonVma);
}

export function* rmapUnlock(cpu: Cpu, vma: Word): Op<void> {
  const anonVma = yield* cpu.readOnce(vma + Vma.anonVma);
  if (anonVma !== 0) yield* anonVmaUnlock(cpu, anonVma);
  const file = yield* cpu.load(vma + Vma.vmFile);
  if (file !== 0) yield* cpu.spinUnlock(file + File.mmapLock);
}

/**
 * Cuts a VMA in two at `address` (Linux: __split_vma).
 *
 * @returns the upper part, or 0 when a table is full
 */
export function* splitVma(cpu: Cpu, mm: Word, vma: Word, address: Vaddr): Op<Word> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const end = yield* cpu.loadWide(vma + Vma.vmEnd);
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const file = yield* cpu.load(vma + Vma.vmFile);
  const pgoff = yield* cpu.load(vma + Vma.vmPgoff);
  yield* vmaStartWrite(cpu, vma);
  const below = ((address - start) * PAGES_PER_BYTE) | 0;
  const upper = yield* allocVma(cpu, mm, address, end, vmFlags, file, (pgoff + below) | 0);
  if (upper === 0) return 0;
  if (!(yield* anonVmaClone(cpu, upper, vma))) {
    yield* freeVma(cpu, upper);
    return 0;
  }
  yield* splitHugePmdAt(cpu, mm, address);
  yield* setVmEnd(cpu, mm, vma, address);
  yield* linkVma(cpu, mm, upper);
  return upper;
}

/**
 * Gives the part of a VMA between two addresses other flags, apart from the rest or merged with what it
 * is then like (Linux: vma_modify_flags).
 *
 * @returns the VMA that now covers the part; 0 when a table is full or the process has too many VMAs
 */
export function* modifyVma(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  start: Vaddr,
  end: Vaddr,
  vmFlags: number,
): Op<Word> {
  let part = vma;
  if ((yield* cpu.loadWide(part + Vma.vmStart)) < start) {
    if (yield* tooManyVmas(cpu, mm)) return 0;
    part = yield* splitVma(cpu, mm, vma, start);
    if (part === 0) return 0;
  }
  if (end < (yield* cpu.loadWide(part + Vma.vmEnd))) {
    const full = yield* tooManyVmas(cpu, mm);
    const rest = full ? 0 : yield* splitVma(cpu, mm, part, end);
    if (rest === 0) {
      yield* mergeVma(cpu, mm, part);
      return 0;
    }
  }
  yield* vmaStartWrite(cpu, part);
  yield* cpu.writeOnce(part + Vma.vmFlags, vmFlags);
  return yield* mergeVma(cpu, mm, part);
}

/** Whether the process may not have another VMA (vm.max_map_count). */
export function* tooManyVmas(cpu: Cpu, mm: Word): Op<boolean> {
  return (yield* cpu.load(mm + Mm.mapCount)) >= MAX_MAP_COUNT;
}

/**
 * Merges a VMA with its neighbours where they are alike, with the lower one first (Linux: vma_merge). Where
 * memory is full they stay apart.
 *
 * @returns the VMA that now covers it
 */
export function* mergeVma(cpu: Cpu, mm: Word, vma: Word): Op<Word> {
  const prev = yield* cpu.load(vma + Vma.vmPrev);
  const merged = prev !== 0 && (yield* absorbNext(cpu, mm, prev, vma)) ? prev : vma;
  const next = yield* cpu.load(merged + Vma.vmNext);
  if (next !== 0) yield* absorbNext(cpu, mm, merged, next);
  return merged;
}

/** Merges a new VMA with the one below it only, as brk does. */
export function* mergeVmaBelow(cpu: Cpu, mm: Word, vma: Word): Op<void> {
  const prev = yield* cpu.load(vma + Vma.vmPrev);
  if (prev !== 0) yield* absorbNext(cpu, mm, prev, vma);
}

/** Extends a VMA over its next neighbour, which goes away, if the two are alike. @returns whether */
function* absorbNext(cpu: Cpu, mm: Word, vma: Word, next: Word): Op<boolean> {
  if (!(yield* vmasMergeable(cpu, vma, next))) return false;
  yield* vmaStartWrite(cpu, vma);
  yield* vmaStartWrite(cpu, next);
  const nextAnonVma = yield* cpu.readOnce(next + Vma.anonVma);
  if (nextAnonVma !== 0 && (yield* cpu.readOnce(vma + Vma.anonVma)) === 0) {
    if (!(yield* anonVmaClone(cpu, vma, next))) return false;
  }
  const end = yield* cpu.loadWide(next + Vma.vmEnd);
  yield* unlinkVma(cpu, mm, next);
  yield* setVmEnd(cpu, mm, vma, end);
  yield* freeVma(cpu, next);
  return true;
}
