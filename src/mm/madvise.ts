/** madvise (Linux: sys_madvise, mm/madvise.c). */
import { EINVAL, ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { pageAlign, pageMask } from '../hardware/machine.js';
import { Mm } from './layout/mm.js';
import { Vma } from './layout/vma.js';
import { findVma } from './vmas.js';
import { zapPageRange } from './zap.js';

/** Advice that is understood (include/uapi/asm-generic/mman-common.h). */
export const MADV_DONTNEED = 4;

/**
 * System call. MADV_DONTNEED drops the pages of a range; other advice has no effect yet.
 *
 * @returns 0 or a negative errno
 */
export function* sysMadvise(cpu: Cpu, address: Vaddr, length: number, advice: number): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  if (address !== pageMask(address) || length < 0) return -EINVAL;
  if (advice !== MADV_DONTNEED) return 0;
  const mm = cpu.mm;
  yield* cpu.downWrite(mm + Mm.mmapSem);
  const result = yield* madviseDontneed(cpu, mm, address, address + pageAlign(length));
  yield* cpu.upWrite(mm + Mm.mmapSem);
  return result;
}

/** Zaps what is mapped of a range. @returns -ENOMEM if there were holes, else 0 */
function* madviseDontneed(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<number> {
  let result = 0;
  let covered = start;
  let vma = yield* findVma(cpu, mm, start);
  while (vma !== 0 && covered < end) {
    const vmStart = yield* cpu.loadWide(vma + Vma.vmStart);
    const vmEnd = yield* cpu.loadWide(vma + Vma.vmEnd);
    if (vmStart >= end) break;
    if (vmStart > covered) result = -ENOMEM;
    yield* zapPageRange(cpu, mm, vma, Math.max(start, vmStart), Math.min(end, vmEnd));
    covered = vmEnd;
    vma = yield* cpu.load(vma + Vma.vmNext);
  }
  return covered < end ? -ENOMEM : result;
}
