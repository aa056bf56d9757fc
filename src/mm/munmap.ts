/** munmap (Linux: do_munmap, mm/mmap.c, 2.6.10). */
import { EINVAL, ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE, TASK_SIZE, pageAlign, pageMask } from '../hardware/machine.js';
import { accountVm } from './accounting.js';
import { Mm } from './layout/mm.js';
import { Vma } from './layout/vma.js';
import { freePgtables } from './pgtable.js';
import { findVma, freeVma, splitAtEnds, unlinkVma } from './vmas.js';
import { zapPageRange } from './zap.js';

/** System call. @returns 0 or a negative errno */
export function* sysMunmap(cpu: Cpu, address: Vaddr, length: number): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  const mm = cpu.mm;
  yield* cpu.downWrite(mm + Mm.mmapSem);
  const result = yield* doMunmap(cpu, mm, address, length);
  yield* cpu.upWrite(mm + Mm.mmapSem);
  return result;
}

/**
 * Removes all mappings from a range.
 *
 * @param length - in bytes
 * @returns 0 or a negative errno
 * Locks: mmap_sem for writing.
 */
export function* doMunmap(cpu: Cpu, mm: Word, address: Vaddr, length: number): Op<number> {
  const end = address + pageAlign(length);
  if (address !== pageMask(address) || length <= 0 || end > TASK_SIZE) return -EINVAL;
  if (!(yield* splitAtEnds(cpu, mm, address, end))) return -ENOMEM;

  let vma = yield* findVma(cpu, mm, address);
  let floor: Vaddr = 0;
  let unmapped = false;
  while (vma !== 0 && (yield* cpu.loadWide(vma + Vma.vmStart)) < end) {
    if (!unmapped) {
      const prev = yield* cpu.load(vma + Vma.vmPrev);
      if (prev !== 0) floor = yield* cpu.loadWide(prev + Vma.vmEnd);
      unmapped = true;
    }
    const next = yield* cpu.load(vma + Vma.vmNext);
    const from = yield* cpu.loadWide(vma + Vma.vmStart);
    const to = yield* cpu.loadWide(vma + Vma.vmEnd);
    yield* zapPageRange(cpu, mm, vma, from, to);
    yield* unlinkVma(cpu, mm, vma);
    yield* freeVma(cpu, vma);
    yield* accountVm(cpu, mm, -(to - from) * PAGES_PER_BYTE);
    vma = next;
  }
  if (!unmapped) return 0;
  const ceiling = vma === 0 ? Infinity : yield* cpu.loadWide(vma + Vma.vmStart);
  yield* freePgtables(cpu, mm, address, end, floor, ceiling);
  return 0;
}
