/** mremap (Linux: do_mremap, move_vma and move_page_tables, mm/mremap.c). */
import { EFAULT, EINVAL, ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import {
  ENTRY_WORDS,
  PAGES_PER_BYTE,
  PAGE_SIZE,
  pageAlign,
  pageMask,
  pteOffset,
} from '../hardware/machine.js';
import { pageTableAtomicStart, pageTableAtomicStop } from './locking.js';
import { Mm } from './layout/mm.js';
import { AnonVma, VM_LOCKED, Vma } from './layout/vma.js';
import { getUnmappedArea, mapRegion } from './mmap.js';
import { doMunmap } from './munmap.js';
import { leafTable, nextSpan, pteAllocMap, ptePresent, ptepGetAndClear } from './pgtable.js';
import { makePagesPresent } from './populate.js';
import { flushTlbMm } from './tlbflush.js';
import { findVma } from './vmas.js';

/** Flags of the call (include/uapi/linux/mman.h). */
export const MREMAP_MAYMOVE = 1;
export const MREMAP_FIXED = 2;

/**
 * System call: shrinks, grows or moves a mapping.
 *
 * @param oldLength - in bytes
 * @param newLength - in bytes
 * @param newAddress - where to, with MREMAP_FIXED
 * @returns the address of the mapping after the call, or a negative errno
 */
export function* sysMremap(
  cpu: Cpu,
  address: Vaddr,
  oldLength: number,
  newLength: number,
  flags: number,
  newAddress: Vaddr,
): Op<Vaddr> {
  yield* cpu.spend(Work.SYSCALL);
  const oldBytes = pageAlign(oldLength);
  const newBytes = pageAlign(newLength);
  if (address !== pageMask(address) || newBytes <= 0 || oldBytes <= 0) return -EINVAL;
  const mm = cpu.mm;
  yield* cpu.downWrite(mm + Mm.mmapSem);
  const result = yield* mremapRange(cpu, mm, address, oldBytes, newBytes, flags, newAddress);
  yield* cpu.upWrite(mm + Mm.mmapSem);
  if (result >= 0) yield* populateIfLocked(cpu, mm, result, newBytes);
  return result;
}

/** Locked memory is present as soon as it is mapped. */
function* populateIfLocked(cpu: Cpu, mm: Word, start: Vaddr, bytes: number): Op<void> {
  yield* cpu.downRead(mm + Mm.mmapSem);
  const vma = yield* findVma(cpu, mm, start);
  const locked = vma !== 0 && ((yield* cpu.load(vma + Vma.vmFlags)) & VM_LOCKED) !== 0;
  yield* cpu.upRead(mm + Mm.mmapSem);
  if (locked) yield* makePagesPresent(cpu, mm, start, start + bytes);
}

function* mremapRange(
  cpu: Cpu,
  mm: Word,
  address: Vaddr,
  oldBytes: number,
  newBytes: number,
  flags: number,
  newAddress: Vaddr,
): Op<Vaddr> {
  if (newBytes < oldBytes) {
    const error = yield* doMunmap(cpu, mm, address + newBytes, oldBytes - newBytes);
    if (error < 0) return error;
    oldBytes = newBytes;
  }
  const vma = yield* findVma(cpu, mm, address);
  if (vma === 0 || (yield* cpu.loadWide(vma + Vma.vmStart)) > address) return -EFAULT;
  const vmEnd = yield* cpu.loadWide(vma + Vma.vmEnd);
  if (address + oldBytes > vmEnd) return -EFAULT;

  const fixed = (flags & MREMAP_FIXED) !== 0;
  if (!fixed && newBytes === oldBytes) return address;
  if (!fixed && address + oldBytes === vmEnd) {
    if (yield* growInPlace(cpu, mm, vma, vmEnd, newBytes - oldBytes)) return address;
  }
  if ((flags & MREMAP_MAYMOVE) === 0) return -ENOMEM;
  if (fixed) {
    const error = yield* doMunmap(cpu, mm, newAddress, newBytes);
    if (error < 0) return error;
  }
  const target = fixed ? newAddress : yield* getUnmappedArea(cpu, mm, 0, newBytes);
  if (target < 0) return target;
  return yield* moveVma(cpu, mm, address, oldBytes, newBytes, target);
}

/** @returns whether there was room behind the VMA */
function* growInPlace(cpu: Cpu, mm: Word, vma: Word, vmEnd: Vaddr, bytes: number): Op<boolean> {
  const next = yield* cpu.load(vma + Vma.vmNext);
  if (next !== 0 && (yield* cpu.loadWide(next + Vma.vmStart)) < vmEnd + bytes) return false;
  const pgoff = yield* pgoffAt(cpu, vma, vmEnd);
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const file = yield* cpu.load(vma + Vma.vmFile);
  return (yield* mapRegion(cpu, mm, vmEnd, bytes, vmFlags, file, pgoff)) >= 0;
}

/** The page offset that an address has in a VMA. */
function* pgoffAt(cpu: Cpu, vma: Word, address: Vaddr): Op<number> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const pgoff = yield* cpu.load(vma + Vma.vmPgoff);
  return (pgoff + (address - start) * PAGES_PER_BYTE) | 0;
}

/**
 * Makes the mapping anew at `target`, moves the ptes, and unmaps the old range.
 *
 * @returns `target` or a negative errno
 */
function* moveVma(
  cpu: Cpu,
  mm: Word,
  address: Vaddr,
  oldBytes: number,
  newBytes: number,
  target: Vaddr,
): Op<Vaddr> {
  const vma = yield* findVma(cpu, mm, address);
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const file = yield* cpu.load(vma + Vma.vmFile);
  const anonVma = yield* cpu.readOnce(vma + Vma.anonVma);
  const pgoff = yield* pgoffAt(cpu, vma, address);
  const mapped = yield* mapRegion(cpu, mm, target, newBytes, vmFlags, file, pgoff);
  if (mapped < 0) return mapped;
  const moved = yield* findVma(cpu, mm, target);
  if (anonVma !== 0 && (yield* cpu.readOnce(moved + Vma.anonVma)) === 0) {
    yield* cpu.add(anonVma + AnonVma.vmas, 1);
    yield* cpu.writeOnce(moved + Vma.anonVma, anonVma);
  }
  if (!(yield* movePageTables(cpu, mm, address, target, oldBytes))) {
    // The old range has what could not be moved; put back what was, and leave no trace.
    yield* movePageTables(cpu, mm, target, address, oldBytes);
    yield* doMunmap(cpu, mm, target, newBytes);
    return -ENOMEM;
  }
  yield* doMunmap(cpu, mm, address, oldBytes);
  return target;
}

/** Moves the ptes of a range, in order. @returns whether all could be; false when memory is full */
function* movePageTables(cpu: Cpu, mm: Word, from: Vaddr, to: Vaddr, bytes: number): Op<boolean> {
  let offset = 0;
  while (offset < bytes) {
    const table = yield* leafTable(cpu, mm, from + offset);
    if (table <= 0) {
      offset = nextSpan(from + offset, -table) - from;
      continue;
    }
    const ptep = table + pteOffset(from + offset);
    if (ptePresent(yield* cpu.readOnce(ptep))) {
      if (!(yield* movePte(cpu, mm, ptep, to + offset))) return false;
    }
    offset += PAGE_SIZE;
  }
  yield* flushTlbMm(cpu, mm);
  return true;
}

function* movePte(cpu: Cpu, mm: Word, from: Word, to: Vaddr): Op<boolean> {
  yield* pageTableAtomicStart(cpu, mm);
  const target = yield* pteAllocMap(cpu, mm, to);
  if (target === 0) return false;
  const entry = yield* ptepGetAndClear(cpu, from);
  if (ENTRY_WORDS === 2) {
    const high = yield* cpu.readOnce(from + 1);
    yield* cpu.writeOnce(target + 1, high);
    yield* cpu.writeOnce(from + 1, 0);
  }
  yield* cpu.writeOnce(target, entry);
  yield* pageTableAtomicStop(cpu, mm);
  return true;
}
