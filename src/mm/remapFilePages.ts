/** Non-linear mappings (Linux: sys_remap_file_pages, mm/fremap.c, 2.6.10; later kernels split the VMA). */
import { EINVAL, ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE, PAGE_SIZE, pageMask } from '../hardware/machine.js';
import { VM_NONLINEAR, VM_SHARED, Vma } from './layout/vma.js';
import { pteLock, pteUnlock } from './locking.js';
import { MAP_NONBLOCK } from './mmap.js';
import { pteAlloc } from './pgtable.js';
import { PTE_FILE_MAX_PAGES, pgoffToPte, ptepSet } from './pte.js';
import { pteOffsetMap, pteUnmap } from './pteMap.js';
import { populateVma } from './populate.js';
import { linearPageIndex } from './rmap.js';
import { findVma } from './vmatree.js';
import { zapPageRange } from './zap.js';
import { mmapWriteLock, mmapWriteUnlock, vmaStartWrite } from './mmapLock.js';

/**
 * System call: lets a part of a shared mapping show other pages of its file. Empty ptes remember which;
 * without MAP_NONBLOCK they are faulted in at once.
 *
 * @param size - in bytes
 * @param prot - 0: the mapping's stays
 * @param pgoff - page of the file that `start` is to show
 * @returns 0 or a negative errno
 */
export function* sysRemapFilePages(
  cpu: Cpu,
  address: Vaddr,
  size: number,
  prot: number,
  pgoff: number,
  flags: number,
): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  const start = pageMask(address);
  const end = start + pageMask(size);
  const pages = (end - start) * PAGES_PER_BYTE;
  if (prot !== 0 || end <= start || pgoff + pages > PTE_FILE_MAX_PAGES) return -EINVAL;
  const mm = cpu.mm;
  yield* mmapWriteLock(cpu, mm);
  const result = yield* remapRange(cpu, mm, start, end, pgoff, flags);
  yield* mmapWriteUnlock(cpu, mm);
  return result;
}

function* remapRange(
  cpu: Cpu,
  mm: Word,
  start: Vaddr,
  end: Vaddr,
  pgoff: number,
  flags: number,
): Op<number> {
  const vma = yield* findVma(cpu, mm, start);
  if (vma === 0 || (yield* cpu.loadWide(vma + Vma.vmStart)) > start) return -EINVAL;
  if ((yield* cpu.loadWide(vma + Vma.vmEnd)) < end) return -EINVAL;
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  if ((vmFlags & VM_SHARED) === 0) return -EINVAL;
  const linear = (yield* linearPageIndex(cpu, vma, start)) === pgoff;
  if (linear && (vmFlags & VM_NONLINEAR) === 0) return 0;
  yield* vmaStartWrite(cpu, vma);
  yield* cpu.writeOnce(vma + Vma.vmFlags, vmFlags | VM_NONLINEAR);
  yield* zapPageRange(cpu, mm, vma, start, end);
  if (!(yield* installFilePtes(cpu, mm, start, end, pgoff))) return -ENOMEM;
  if ((flags & MAP_NONBLOCK) !== 0) return 0;
  // What lies behind the end of the file stays empty.
  return (yield* populateVma(cpu, mm, vma, start, end)) === -ENOMEM ? -ENOMEM : 0;
}

/** Linux: install_file_pte. @returns false when memory is full */
function* installFilePtes(
  cpu: Cpu,
  mm: Word,
  start: Vaddr,
  end: Vaddr,
  pgoff: number,
): Op<boolean> {
  for (let address = start; address < end; address += PAGE_SIZE) {
    const place = yield* pteAlloc(cpu, mm, address, 0);
    if (place === 0) return false;
    const ptep = yield* pteOffsetMap(cpu, place);
    yield* pteLock(cpu, mm, ptep);
    yield* ptepSet(cpu, ptep, pgoffToPte(pgoff + (address - start) * PAGES_PER_BYTE));
    yield* pteUnlock(cpu, mm, ptep);
    yield* pteUnmap(cpu, ptep);
  }
  return true;
}
