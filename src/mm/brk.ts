/** The heap's end (Linux: sys_brk and do_brk_flags, mm/mmap.c and mm/vma.c, 6.x). */
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE, PAGE_SIZE, TASK_SIZE, pageAlign } from '../hardware/machine.js';
import { accountVm, mayExpandVm } from './accounting.js';
import { Mm } from './layout/mm.js';
import {
  VM_ACCOUNT,
  VM_LOCKED,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYWRITE,
  VM_READ,
  VM_WRITE,
  Vma,
} from './layout/vma.js';
import { doMunmap } from './munmap.js';
import { mmPopulate } from './populate.js';
import { allocVma, linkVma, mergeVmaBelow, tooManyVmas } from './vmas.js';
import { findVma, vmStartGap } from './vmatree.js';
import { mmapWriteLock, mmapWriteUnlock } from './mmapLock.js';

const HEAP_FLAGS = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_ACCOUNT;

/**
 * System call: moves the end of the heap.
 *
 * @returns the end after the call: the wish, or as before when it cannot be met
 */
export function* sysBrk(cpu: Cpu, wish: Vaddr): Op<Vaddr> {
  yield* cpu.spend(Work.SYSCALL);
  const mm = cpu.mm;
  yield* mmapWriteLock(cpu, mm);
  const brk = yield* cpu.loadWide(mm + Mm.brk);
  const startBrk = yield* cpu.loadWide(mm + Mm.startBrk);
  const result = wish < startBrk ? brk : yield* moveBrk(cpu, mm, brk, wish);
  yield* cpu.storeWide(mm + Mm.brk, result);
  const locked = ((yield* cpu.load(mm + Mm.defFlags)) & VM_LOCKED) !== 0;
  yield* mmapWriteUnlock(cpu, mm);
  const oldEnd = pageAlign(brk);
  if (locked && pageAlign(result) > oldEnd) yield* mmPopulate(cpu, mm, oldEnd, pageAlign(result));
  return result;
}

function* moveBrk(cpu: Cpu, mm: Word, brk: Vaddr, wish: Vaddr): Op<Vaddr> {
  const oldEnd = pageAlign(brk);
  const newEnd = pageAlign(wish);
  if (newEnd === oldEnd) return wish;
  if (newEnd < oldEnd) {
    const heap = yield* findVma(cpu, mm, newEnd);
    // Something else may have been mapped where the heap was.
    if (heap === 0 || (yield* cpu.loadWide(heap + Vma.vmStart)) >= oldEnd) return brk;
    return (yield* doMunmap(cpu, mm, newEnd, oldEnd - newEnd)) < 0 ? brk : wish;
  }
  if (newEnd > TASK_SIZE) return brk;
  const above = yield* findVma(cpu, mm, oldEnd);
  // A page stays free above the heap.
  if (above !== 0 && newEnd + PAGE_SIZE > (yield* vmStartGap(cpu, above))) return brk;
  return (yield* extendHeap(cpu, mm, oldEnd, newEnd)) ? wish : brk;
}

/** Maps more heap, as one with what lies below it; never with what lies above. */
function* extendHeap(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<boolean> {
  const pages = (end - start) * PAGES_PER_BYTE;
  const vmFlags = HEAP_FLAGS | (yield* cpu.load(mm + Mm.defFlags));
  if (!(yield* mayExpandVm(cpu, mm, vmFlags, pages))) return false;
  if (yield* tooManyVmas(cpu, mm)) return false;
  const vma = yield* allocVma(cpu, mm, start, end, vmFlags, 0, (start * PAGES_PER_BYTE) | 0);
  if (vma === 0) return false;
  yield* linkVma(cpu, mm, vma);
  yield* mergeVmaBelow(cpu, mm, vma);
  yield* accountVm(cpu, mm, vmFlags, pages);
  return true;
}
