/** mprotect (Linux: sys_mprotect and change_pte_range, mm/mprotect.c; 2.6.10 and V18, patch 1). */
import { EINVAL, ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import {
  ENTRY_WORDS,
  PAGE_SIZE,
  PTE_DIRTY,
  PTE_WRITE,
  entryPfn,
  pageAlign,
  pageMask,
  pteOffset,
} from '../hardware/machine.js';
import { ATOMIC_INSTALL } from './design.js';
import { Mm } from './layout/mm.js';
import { Page, ZERO_PFN, pageOf } from './layout/page.js';
import {
  VM_ACCESS,
  VM_ACCOUNT,
  VM_SHARED,
  VM_WRITE,
  Vma,
  isPrivateWritable,
} from './layout/vma.js';
import {
  leafTable,
  nextSpan,
  pteModify,
  ptePresent,
  ptepGetAndClear,
  setPteHigh,
} from './pgtable.js';
import { pageAnon } from './rmap.js';
import { flushTlbMm } from './tlbflush.js';
import { findVma, mergeVma, splitAtEnds } from './vmas.js';

/**
 * System call: changes the permissions of a range.
 *
 * @param prot - PROT_ bits
 * @returns 0 or a negative errno
 */
export function* sysMprotect(cpu: Cpu, address: Vaddr, length: number, prot: number): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  const end = address + pageAlign(length);
  if (address !== pageMask(address) || length < 0) return -EINVAL;
  if (length === 0) return 0;
  const mm = cpu.mm;
  yield* cpu.downWrite(mm + Mm.mmapSem);
  const result = yield* mprotectRange(cpu, mm, address, end, prot & VM_ACCESS);
  yield* cpu.upWrite(mm + Mm.mmapSem);
  return result;
}

function* mprotectRange(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr, prot: number): Op<number> {
  if (!(yield* splitAtEnds(cpu, mm, start, end))) return -ENOMEM;
  let covered = start;
  while (covered < end) {
    const vma = yield* findVma(cpu, mm, covered);
    if (vma === 0 || (yield* cpu.loadWide(vma + Vma.vmStart)) > covered) return -ENOMEM;
    covered = yield* cpu.loadWide(vma + Vma.vmEnd);
    yield* mprotectFixup(cpu, mm, vma, prot);
  }
  return 0;
}

/** Changes one whole VMA (Linux: mprotect_fixup). */
function* mprotectFixup(cpu: Cpu, mm: Word, vma: Word, prot: number): Op<void> {
  const oldFlags = yield* cpu.load(vma + Vma.vmFlags);
  let vmFlags = (oldFlags & ~VM_ACCESS) | prot;
  if (vmFlags === oldFlags) return;
  if (isPrivateWritable(vmFlags)) {
    vmFlags |= VM_ACCOUNT;
  } else if ((oldFlags & VM_WRITE) !== 0 && (yield* releasesAccount(cpu, vma))) {
    vmFlags &= ~VM_ACCOUNT;
  }
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const end = yield* cpu.loadWide(vma + Vma.vmEnd);
  yield* cpu.store(vma + Vma.vmFlags, vmFlags);
  yield* changeProtection(cpu, mm, start, end, vmFlags);
  yield* mergeVma(cpu, mm, vma);
}

/** A private mapping that loses write gives its commit charge back while nothing was written. */
function* releasesAccount(cpu: Cpu, vma: Word): Op<boolean> {
  const file = yield* cpu.load(vma + Vma.vmFile);
  return file === 0 && (yield* cpu.readOnce(vma + Vma.anonVma)) === 0;
}

/** Changes the ptes of a range, then flushes the TLBs. */
function* changeProtection(
  cpu: Cpu,
  mm: Word,
  start: Vaddr,
  end: Vaddr,
  vmFlags: number,
): Op<void> {
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  let address = start;
  while (address < end) {
    const table = yield* leafTable(cpu, mm, address);
    if (table <= 0) {
      address = nextSpan(address, -table);
      continue;
    }
    const stop = Math.min(end, nextSpan(address, 1));
    for (; address < stop; address += PAGE_SIZE) {
      yield* changePte(cpu, table + pteOffset(address), vmFlags);
    }
  }
  yield* flushTlbMm(cpu, mm);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
}

/**
 * The MMU may set accessed and dirty at any moment: a compare-exchange that is tried again keeps
 * them (V18), and so does taking the entry away first (2.6.10).
 */
function* changePte(cpu: Cpu, ptep: Word, vmFlags: number): Op<void> {
  for (;;) {
    const entry = yield* cpu.readOnce(ptep);
    if (!ptePresent(entry)) return;
    const write = yield* mayWriteAtOnce(cpu, entry, vmFlags);
    if (ENTRY_WORDS === 2) yield* setPteHigh(cpu, ptep, vmFlags);
    if (ATOMIC_INSTALL) {
      if (yield* cpu.cas(ptep, entry, pteModify(entry, vmFlags) | write)) return;
    } else {
      const taken = yield* ptepGetAndClear(cpu, ptep);
      yield* cpu.writeOnce(ptep, pteModify(taken, vmFlags) | write);
      return;
    }
  }
}

/**
 * PTE_WRITE where a write need not fault first: the page is anonymous and mapped here alone (Linux:
 * can_change_pte_writable, 5.19), or a shared mapping's page was writable or dirty before.
 */
function* mayWriteAtOnce(cpu: Cpu, entry: number, vmFlags: number): Op<number> {
  if ((vmFlags & VM_WRITE) === 0) return 0;
  if ((vmFlags & VM_SHARED) !== 0) return (entry & PTE_DIRTY) !== 0 ? PTE_WRITE : 0;
  const pfn = entryPfn(entry);
  if (pfn === ZERO_PFN || !(yield* pageAnon(cpu, pfn))) return 0;
  return (yield* cpu.readOnce(pageOf(pfn) + Page.mapcount)) === 1 ? PTE_WRITE : 0;
}
