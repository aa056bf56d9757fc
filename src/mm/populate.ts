/** Faults pages in before they are touched (Linux: __mm_populate, faultin_page_range; mm/gup.c, 6.x). */
import { EFAULT, EINVAL, ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE, PTE_PRESENT, PTE_WRITE, pteOffset } from '../hardware/machine.js';
import { MOVE_MARKS } from './design.js';
import { countTaskFault, handleMmFault } from './fault.js';
import { Mm } from './layout/mm.js';
import {
  VM_ACCESS,
  VM_LOCKONFAULT,
  VM_PFNMAP,
  VM_READ,
  VM_WRITE,
  Vma,
  isPrivateWritable,
} from './layout/vma.js';
import { HUGE_LEAF, findPmd, leafTable } from './pgwalk.js';
import { ptepGet } from './pte.js';
import { pteOffsetMap, pteUnmap } from './pteMap.js';
import { findVma } from './vmatree.js';
import { VM_FAULT_MINOR, VM_FAULT_OOM } from './vmfault.js';

/** Maps what is mapped of a range, as mmap with MAP_POPULATE does: what cannot be stays as it is. */
export function* mmPopulate(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<void> {
  yield* populateRange(cpu, mm, start, end, true);
}

/** Maps a range for mlock, which tells of the first failure. @returns 0 or a negative errno */
export function* mlockPopulate(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<number> {
  return yield* populateRange(cpu, mm, start, end, false);
}

function* populateRange(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr, goOn: boolean): Op<number> {
  let result = 0;
  yield* cpu.downRead(mm + Mm.mmapSem);
  let vma = yield* findVma(cpu, mm, start);
  while (vma !== 0 && (result === 0 || goOn)) {
    const from = Math.max(start, yield* cpu.loadWide(vma + Vma.vmStart));
    const to = Math.min(end, yield* cpu.loadWide(vma + Vma.vmEnd));
    if (from >= to) break;
    result = yield* populateVma(cpu, mm, vma, from, to);
    vma = yield* cpu.load(vma + Vma.vmNext);
  }
  yield* cpu.upRead(mm + Mm.mmapSem);
  return result;
}

/**
 * Maps every page of a part of a VMA: as a write where the mapping is private and writable, so that it need
 * not be copied later (Linux: populate_vma_page_range).
 *
 * @returns 0 or a negative errno
 * Locks: mmap_sem.
 */
export function* populateVma(cpu: Cpu, mm: Word, vma: Word, start: Vaddr, end: Vaddr): Op<number> {
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  if ((vmFlags & (VM_PFNMAP | VM_LOCKONFAULT)) !== 0) return 0;
  if ((vmFlags & VM_ACCESS) === 0) return -EFAULT;
  return yield* faultIn(cpu, mm, vma, start, end, isPrivateWritable(vmFlags));
}

/**
 * madvise with MADV_POPULATE_READ or MADV_POPULATE_WRITE (Linux: madvise_populate).
 *
 * @returns 0 or a negative errno
 * Locks: mmap_sem for reading.
 */
export function* madvisePopulate(
  cpu: Cpu,
  mm: Word,
  start: Vaddr,
  end: Vaddr,
  write: boolean,
): Op<number> {
  const needed = write ? VM_WRITE : VM_READ;
  for (let from = start; from < end;) {
    const vma = yield* findVma(cpu, mm, from);
    if (vma === 0 || (yield* cpu.loadWide(vma + Vma.vmStart)) > from) return -ENOMEM;
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    if ((vmFlags & VM_PFNMAP) !== 0 || (vmFlags & needed) === 0) return -EINVAL;
    const to = Math.min(end, yield* cpu.loadWide(vma + Vma.vmEnd));
    const error = yield* faultIn(cpu, mm, vma, from, to, write);
    if (error < 0) return error;
    from = to;
  }
  return 0;
}

function* faultIn(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  start: Vaddr,
  end: Vaddr,
  write: boolean,
): Op<number> {
  for (let address = start; address < end; address += PAGE_SIZE) {
    if (yield* accessible(cpu, mm, address, write)) continue;
    do {
      const result = yield* handleMmFault(cpu, mm, vma, address, write);
      if (result === VM_FAULT_OOM) return -ENOMEM;
      if (result < VM_FAULT_MINOR) return -EFAULT;
      yield* countTaskFault(cpu, result);
      // A fault that found that its table had moved did nothing.
    } while (MOVE_MARKS && !(yield* accessible(cpu, mm, address, write)));
  }
  return 0;
}

/** Whether an access would not fault (Linux: follow_page_mask). */
function* accessible(cpu: Cpu, mm: Word, address: Vaddr, write: boolean): Op<boolean> {
  const table = yield* leafTable(cpu, mm, address);
  if (table < 0) return false;
  const needed = write ? PTE_PRESENT | PTE_WRITE : PTE_PRESENT;
  if (table === HUGE_LEAF) {
    const pmdp = yield* findPmd(cpu, mm, address);
    return ((yield* cpu.readOnce(pmdp)) & needed) === needed;
  }
  const ptep = yield* pteOffsetMap(cpu, table + pteOffset(address));
  const entry = yield* ptepGet(cpu, ptep);
  yield* pteUnmap(cpu, ptep);
  return (entry & needed) === needed;
}
