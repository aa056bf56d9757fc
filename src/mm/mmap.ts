/** mmap (Linux: do_mmap_pgoff and arch_get_unmapped_area_topdown, mm/mmap.c). */
import { EEXIST, EINVAL, ENOMEM } from '../base/errno.js';
import { MIB, type Vaddr, type Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE, TASK_SIZE, pageAlign, pageMask } from '../hardware/machine.js';
import { accountVm } from './accounting.js';
import { Mm } from './layout/mm.js';
import {
  VM_ACCESS,
  VM_ACCOUNT,
  VM_GROWSDOWN,
  VM_LOCKED,
  VM_SHARED,
  Vma,
  isPrivateWritable,
} from './layout/vma.js';
import { doMunmap } from './munmap.js';
import { makePagesPresent } from './populate.js';
import { allocVma, findVma, linkVma, mergeVma } from './vmas.js';

/** Flags of the call (include/uapi/asm-generic/mman.h). */
export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_GROWSDOWN = 0x0100;
export const MAP_LOCKED = 0x2000;
export const MAP_NORESERVE = 0x4000;
export const MAP_POPULATE = 0x8000;
export const MAP_FIXED_NOREPLACE = 0x10_0000;
/** The PROT_ bits are the numbers of VM_READ, VM_WRITE and VM_EXEC. */
export const PROT_READ = 1;
export const PROT_WRITE = 2;

/** Below this the kernel places mappings, downwards; above lies the stack. */
const MMAP_BASE: Vaddr = TASK_SIZE - 128 * MIB;

/**
 * System call.
 *
 * @param address - where, if MAP_FIXED; otherwise a hint
 * @param length - in bytes
 * @param prot - PROT_ bits
 * @param file - the file to map; 0 with MAP_ANONYMOUS
 * @param pgoff - offset in the file, in pages
 * @param extraFlags - VM_ bits that no system call sets, such as VM_PFNMAP
 * @returns the address, or a negative errno
 */
export function* sysMmap(
  cpu: Cpu,
  address: Vaddr,
  length: number,
  prot: number,
  flags: number,
  file: Word,
  pgoff: number,
  extraFlags: number,
): Op<Vaddr> {
  yield* cpu.spend(Work.SYSCALL);
  const mm = cpu.mm;
  const bytes = pageAlign(length);
  if (bytes <= 0 || ((flags & MAP_ANONYMOUS) === 0) !== (file !== 0)) return -EINVAL;
  yield* cpu.downWrite(mm + Mm.mmapSem);
  const start = yield* placeMapping(cpu, mm, address, bytes, flags);
  const vmFlags = vmFlagsOf(prot, flags, file) | extraFlags;
  const result = start < 0 ? start : yield* mapRegion(cpu, mm, start, bytes, vmFlags, file, pgoff);
  yield* cpu.upWrite(mm + Mm.mmapSem);
  if (result >= 0 && (flags & (MAP_POPULATE | MAP_LOCKED)) !== 0) {
    yield* makePagesPresent(cpu, mm, result, result + bytes);
  }
  return result;
}

/** The VM_ bits of a mapping (Linux: calc_vm_prot_bits, calc_vm_flag_bits, accountable_mapping). */
function vmFlagsOf(prot: number, flags: number, file: Word): number {
  let vmFlags = prot & VM_ACCESS;
  if ((flags & MAP_SHARED) !== 0) vmFlags |= VM_SHARED;
  if ((flags & MAP_GROWSDOWN) !== 0) vmFlags |= VM_GROWSDOWN;
  if ((flags & MAP_LOCKED) !== 0) vmFlags |= VM_LOCKED;
  const sharedAnonymous = file === 0 && (vmFlags & VM_SHARED) !== 0;
  const accountable = isPrivateWritable(vmFlags) || sharedAnonymous;
  if (accountable && (flags & MAP_NORESERVE) === 0) vmFlags |= VM_ACCOUNT;
  return vmFlags;
}

/** @returns where the mapping goes, or a negative errno; a fixed one has replaced what was there */
function* placeMapping(
  cpu: Cpu,
  mm: Word,
  address: Vaddr,
  bytes: number,
  flags: number,
): Op<Vaddr> {
  if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) === 0) {
    return yield* getUnmappedArea(cpu, mm, pageMask(address), bytes);
  }
  if (address !== pageMask(address) || address + bytes > TASK_SIZE) return -EINVAL;
  if ((flags & MAP_FIXED_NOREPLACE) !== 0) {
    return (yield* rangeIsFree(cpu, mm, address, address + bytes)) ? address : -EEXIST;
  }
  const error = yield* doMunmap(cpu, mm, address, bytes);
  return error < 0 ? error : address;
}

/** Whether no VMA overlaps a range. */
function* rangeIsFree(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<boolean> {
  const vma = yield* findVma(cpu, mm, start);
  return vma === 0 || (yield* cpu.loadWide(vma + Vma.vmStart)) >= end;
}

/**
 * Finds room: at the hint if that is free, otherwise in the highest gap below MMAP_BASE.
 *
 * @returns the address, or -ENOMEM
 */
export function* getUnmappedArea(cpu: Cpu, mm: Word, hint: Vaddr, bytes: number): Op<Vaddr> {
  const hinted = hint > 0 && hint + bytes <= TASK_SIZE;
  if (hinted && (yield* rangeIsFree(cpu, mm, hint, hint + bytes))) return hint;
  let top = MMAP_BASE;
  for (;;) {
    const start = top - bytes;
    if (start <= 0) return -ENOMEM;
    let vma = yield* findVma(cpu, mm, start);
    if (vma === 0 || (yield* cpu.loadWide(vma + Vma.vmStart)) >= top) return start;
    // Something is in the way: the next try ends where the lowest of its like begins.
    let lowest = yield* cpu.loadWide(vma + Vma.vmStart);
    for (;;) {
      vma = yield* cpu.load(vma + Vma.vmPrev);
      if (vma === 0 || lowest - (yield* cpu.loadWide(vma + Vma.vmEnd)) >= bytes) break;
      lowest = yield* cpu.loadWide(vma + Vma.vmStart);
    }
    top = lowest;
  }
}

/**
 * Makes the VMA of a free range, merged with its neighbours where they are alike.
 *
 * @returns `start`, or -ENOMEM
 * Locks: mmap_sem for writing.
 */
export function* mapRegion(
  cpu: Cpu,
  mm: Word,
  start: Vaddr,
  bytes: number,
  vmFlags: number,
  file: Word,
  pgoff: number,
): Op<Vaddr> {
  const offset = file === 0 ? (start * PAGES_PER_BYTE) | 0 : pgoff;
  const vma = yield* allocVma(cpu, mm, start, start + bytes, vmFlags, file, offset);
  if (vma === 0) return -ENOMEM;
  yield* linkVma(cpu, mm, vma);
  yield* mergeVma(cpu, mm, vma);
  yield* accountVm(cpu, mm, bytes * PAGES_PER_BYTE);
  return start;
}
