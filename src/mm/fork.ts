/**
 * fork: a copy of an address space that shares its pages until one side writes (Linux: dup_mmap,
 * kernel/fork.c; copy_page_range, mm/memory.c; 2.6.10 and 6.x).
 */
import { ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import {
  HUGE_SIZE,
  OOM_KILLER,
  PAGE_SIZE,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_WRITE,
  entryPfn,
  pteOffset,
} from '../hardware/machine.js';
import { accountVm } from './accounting.js';
import { anonVmaFork } from './anonvma.js';
import { MmCounter, updateMmCounter } from './counters.js';
import { RELOCATION } from './design.js';
import { copyHugePmd } from './huge.js';
import { MMF_OOM_KILLED, Mm } from './layout/mm.js';
import { ZERO_PFN } from './layout/page.js';
import {
  VM_DONTCOPY,
  VM_LOCKED_MASK,
  VM_NONLINEAR,
  VM_PFNMAP,
  VM_SHARED,
  VM_WIPEONFORK,
  Vma,
} from './layout/vma.js';
import { entryLock, entryUnlock, twoTablesLock, twoTablesUnlock } from './locking.js';
import { pteAlloc } from './pgtable.js';
import { HUGE_LEAF, leafTable, nextSpan } from './pgwalk.js';
import {
  copyPteHigh,
  ptePresent,
  ptepClearBits,
  ptepGet,
  ptepNone,
  ptepSet,
  pteSwap,
  pteToSlot,
} from './pte.js';
import { pteOffsetMapTwo, pteUnmapTwo } from './pteMap.js';
import { createTask, discardTask, mmAlloc, mmPut } from './process.js';
import { getPage, pageAddFileRmap, pageAnon, pageDupAnonRmap } from './rmap.js';
import { swapDuplicate } from './swapfile.js';
import { flushTlbMm } from './tlbflush.js';
import { allocVma, freeVma, linkVma } from './vmas.js';
import { mmapWriteLock, mmapWriteUnlock, vmaStartWrite } from './mmapLock.js';

/** Whether somebody goes through all address spaces: the OOM killer, and who moves page tables. */
const CHILD_IS_FOUND = OOM_KILLER || RELOCATION;

/**
 * System call: makes a process that is a copy of the current one.
 *
 * @param pid - the child's
 * @returns the child's task, or -ENOMEM, and then nothing is left of the child
 */
export function* sysFork(cpu: Cpu, pid: number): Op<Word> {
  yield* cpu.spend(Work.SYSCALL);
  const mm = cpu.mm;
  // Its memory is gone: there is nothing to copy.
  if (OOM_KILLER && ((yield* cpu.readOnce(mm + Mm.flags)) & MMF_OOM_KILLED) !== 0) return -ENOMEM;
  const childMm = yield* mmAlloc(cpu);
  if (childMm === 0) return -ENOMEM;
  const child = yield* createTask(cpu, childMm, pid);
  if (child === 0) {
    yield* mmPut(cpu, childMm);
    return -ENOMEM;
  }
  yield* mmapWriteLock(cpu, mm);
  // Nobody runs in it yet, but whoever goes through all address spaces finds it (Linux: down_write_nested).
  if (CHILD_IS_FOUND) yield* mmapWriteLock(cpu, childMm);
  const copied = yield* dupMmap(cpu, childMm, mm);
  if (CHILD_IS_FOUND) yield* mmapWriteUnlock(cpu, childMm);
  yield* flushTlbMm(cpu, mm);
  yield* mmapWriteUnlock(cpu, mm);
  if (copied) return child;
  yield* discardTask(cpu, child);
  return -ENOMEM;
}

/** Copies the VMAs, and their pages as far as need be. @returns false when memory is full */
function* dupMmap(cpu: Cpu, childMm: Word, mm: Word): Op<boolean> {
  yield* copyLimits(cpu, childMm, mm);
  let vma = yield* cpu.load(mm + Mm.mmap);
  while (vma !== 0) {
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    if ((vmFlags & VM_DONTCOPY) === 0 && !(yield* dupVma(cpu, childMm, mm, vma, vmFlags))) {
      return false;
    }
    vma = yield* cpu.load(vma + Vma.vmNext);
  }
  return true;
}

function* copyLimits(cpu: Cpu, childMm: Word, mm: Word): Op<void> {
  for (const field of [Mm.startBrk, Mm.brk, Mm.mmapBase]) {
    const address = yield* cpu.loadWide(mm + field);
    yield* cpu.storeWide(childMm + field, address);
  }
  for (const field of [Mm.rlimitAs, Mm.rlimitMemlock, Mm.rlimitStack]) {
    const pages = yield* cpu.load(mm + field);
    yield* cpu.store(childMm + field, pages);
  }
}

function* dupVma(cpu: Cpu, childMm: Word, mm: Word, vma: Word, vmFlags: number): Op<boolean> {
  yield* vmaStartWrite(cpu, vma);
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const end = yield* cpu.loadWide(vma + Vma.vmEnd);
  const file = yield* cpu.load(vma + Vma.vmFile);
  const pgoff = yield* cpu.load(vma + Vma.vmPgoff);
  const childFlags = vmFlags & ~VM_LOCKED_MASK;
  const copy = yield* allocVma(cpu, childMm, start, end, childFlags, file, pgoff);
  if (copy === 0) return false;
  const wiped = (vmFlags & VM_WIPEONFORK) !== 0;
  if (!wiped && !(yield* anonVmaFork(cpu, copy, vma))) {
    yield* freeVma(cpu, copy);
    return false;
  }
  yield* linkVma(cpu, childMm, copy);
  yield* accountVm(cpu, childMm, childFlags, (end - start) / PAGE_SIZE);
  // What only the file holds the child can fault in for itself, if it is where one would look for it.
  const anonymous = (yield* cpu.readOnce(vma + Vma.anonVma)) !== 0;
  const copied = anonymous || (vmFlags & (VM_PFNMAP | VM_NONLINEAR)) !== 0;
  if (wiped || !copied) return true;
  return yield* copyPageRange(cpu, childMm, mm, start, end, vmFlags);
}

/** Copies the ptes of a VMA, a leaf table at a time. @returns false when memory is full */
function* copyPageRange(
  cpu: Cpu,
  childMm: Word,
  mm: Word,
  start: Vaddr,
  end: Vaddr,
  vmFlags: number,
): Op<boolean> {
  let address = start;
  while (address < end) {
    const table = yield* leafTable(cpu, mm, address);
    if (table < 0) {
      address = nextSpan(address, -table);
    } else if (table === HUGE_LEAF) {
      if (!(yield* copyHugePmd(cpu, childMm, mm, address))) return false;
      address += HUGE_SIZE;
    } else {
      const target = yield* pteAlloc(cpu, childMm, address, 0);
      if (target === 0) return false;
      const stop = Math.min(end, nextSpan(address, 1));
      const childTable = target - pteOffset(address);
      yield* copyPteRange(cpu, childMm, mm, childTable, table, address, stop, vmFlags);
      address = stop;
    }
  }
  return true;
}

function* copyPteRange(
  cpu: Cpu,
  childMm: Word,
  mm: Word,
  childTable: Word,
  table: Word,
  start: Vaddr,
  end: Vaddr,
  vmFlags: number,
): Op<void> {
  const mapped = yield* pteOffsetMapTwo(cpu, childTable, table);
  yield* twoTablesLock(cpu, childMm, childTable, mm, table);
  for (let address = start; address < end; address += PAGE_SIZE) {
    const offset = pteOffset(address);
    yield* copyPte(cpu, childMm, mapped.one + offset, mapped.other + offset, vmFlags);
  }
  yield* twoTablesUnlock(cpu, childMm, childTable, mm, table);
  yield* pteUnmapTwo(cpu, mapped);
}

function* copyPte(cpu: Cpu, childMm: Word, to: Word, from: Word, vmFlags: number): Op<void> {
  if (yield* ptepNone(cpu, from)) return;
  yield* entryLock(cpu, from);
  yield* entryLock(cpu, to);
  yield* copyLockedPte(cpu, childMm, to, from, vmFlags);
  yield* entryUnlock(cpu, to);
  yield* entryUnlock(cpu, from);
}

/** Copies one pte, and takes write from both if the page is private (Linux: copy_one_pte). */
function* copyLockedPte(cpu: Cpu, childMm: Word, to: Word, from: Word, vmFlags: number): Op<void> {
  let entry = yield* ptepGet(cpu, from);
  if (entry === 0) return;
  yield* copyPteHigh(cpu, to, from);
  const pfn = entryPfn(entry);
  if (pteSwap(entry)) yield* swapDuplicate(cpu, pteToSlot(entry));
  if (!ptePresent(entry) || pfn === ZERO_PFN) {
    yield* ptepSet(cpu, to, entry);
    return;
  }
  if ((vmFlags & VM_SHARED) !== 0) {
    entry &= ~PTE_DIRTY;
  } else if ((entry & PTE_WRITE) !== 0) {
    // The MMU may set bits in the parent's entry at this moment: they stay.
    entry = (yield* ptepClearBits(cpu, from, PTE_WRITE)) & ~PTE_WRITE;
  }
  yield* getPage(cpu, pfn);
  if (yield* pageAnon(cpu, pfn)) {
    yield* pageDupAnonRmap(cpu, pfn);
    yield* updateMmCounter(cpu, childMm, MmCounter.anonRss, 1);
  } else {
    yield* pageAddFileRmap(cpu, pfn);
  }
  if ((vmFlags & VM_PFNMAP) === 0) yield* updateMmCounter(cpu, childMm, MmCounter.rss, 1);
  yield* ptepSet(cpu, to, entry & ~PTE_ACCESSED);
}
