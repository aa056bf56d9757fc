/** mprotect (Linux: sys_mprotect and change_pte_range, mm/mprotect.c; 2.6.10 and V18, patch 1). */
import { EACCES, EINVAL, ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import {
  ADDRESSES,
  PAGE_SIZE,
  PTE_DIRTY,
  PTE_WRITE,
  entryPfn,
  pageAlign,
  pageMask,
  pteOffset,
} from '../hardware/machine.js';
import { HINTING } from '../hardware/hostStates.js';
import { PTE_EXCHANGE, PTE_READ_MODIFY_WRITE } from './design.js';
import { Mm } from './layout/mm.js';
import { PG_anon_exclusive, PG_swapcache, Page, pageOf } from './layout/page.js';
import {
  VM_ACCESS,
  VM_ACCOUNT,
  VM_GROWSDOWN,
  VM_LOCKED,
  VM_NORESERVE,
  VM_SHARED,
  VM_WRITE,
  Vma,
} from './layout/vma.js';
import { entryLock, entryUnlock, ptesLock, ptesUnlock } from './locking.js';
import { HUGE_LEAF, findPmd, leafTable, nextSpan } from './pgwalk.js';
import { pteOffsetMap, pteUnmap } from './pteMap.js';
import {
  pteModify,
  ptePresent,
  ptepGet,
  ptepGetAndClear,
  ptepInstall,
  ptepNone,
  ptepSet,
  setPteHigh,
} from './pte.js';
import { flushTlbMm } from './tlbflush.js';
import { populateVma } from './populate.js';
import { modifyVma } from './vmas.js';
import { findVma } from './vmatree.js';
import { mmapWriteLock, mmapWriteUnlock } from './mmapLock.js';
import { isFileMemory } from './pagecache.js';
import { pageCheckWritable } from './pageStates.js';

/** Bits that the call knows beside VM_ACCESS (include/uapi/asm-generic/mman-common.h); the first does nothing. */
const PROT_SEM = 0x8;
/** The change extends to the start of a VMA that grows down, or to the end of one that grows up. */
const PROT_GROWSDOWN = 0x100_0000;
const PROT_GROWSUP = 0x200_0000;
/** VM_MAYREAD is VM_READ shifted by this, and so are the other two. */
const MAY_SHIFT = 4;

/**
 * System call: changes the permissions of a range.
 *
 * @param prot - PROT_ bits
 * @returns 0 or a negative errno; what lies before the hole or the VMA that refuses has changed
 */
export function* sysMprotect(cpu: Cpu, address: Vaddr, length: number, prot: number): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  const grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
  if (grows === (PROT_GROWSDOWN | PROT_GROWSUP)) return -EINVAL;
  if (address !== pageMask(address)) return -EINVAL;
  if (length === 0) return 0;
  const end = address + pageAlign(length);
  if (end >= ADDRESSES) return -ENOMEM;
  if ((prot & ~(VM_ACCESS | PROT_SEM | grows)) !== 0) return -EINVAL;
  const mm = cpu.mm;
  yield* mmapWriteLock(cpu, mm);
  const start = grows === 0 ? address : yield* grownStart(cpu, mm, address, end, grows);
  const result = start < 0 ? start : yield* mprotectRange(cpu, mm, start, end, prot & VM_ACCESS);
  yield* mmapWriteUnlock(cpu, mm);
  return result;
}

/** Where a change begins that extends over a whole stack; or a negative errno. Nothing grows up here. */
function* grownStart(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr, grows: number): Op<Vaddr> {
  const vma = yield* findVma(cpu, mm, start);
  if (vma === 0) return -ENOMEM;
  const vmStart = yield* cpu.loadWide(vma + Vma.vmStart);
  if (vmStart >= (grows === PROT_GROWSDOWN ? end : start + 1)) return -ENOMEM;
  const growsDown = ((yield* cpu.load(vma + Vma.vmFlags)) & VM_GROWSDOWN) !== 0;
  return grows === PROT_GROWSDOWN && growsDown ? vmStart : -EINVAL;
}

function* mprotectRange(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr, prot: number): Op<number> {
  let covered = start;
  while (covered < end) {
    const vma = yield* findVma(cpu, mm, covered);
    if (vma === 0 || (yield* cpu.loadWide(vma + Vma.vmStart)) > covered) return -ENOMEM;
    const stop = Math.min(end, yield* cpu.loadWide(vma + Vma.vmEnd));
    const error = yield* mprotectFixup(cpu, mm, vma, covered, stop, prot);
    if (error < 0) return error;
    covered = stop;
  }
  return 0;
}

/** Changes a part of a VMA (Linux: mprotect_fixup). @returns 0 or a negative errno */
function* mprotectFixup(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  start: Vaddr,
  end: Vaddr,
  prot: number,
): Op<number> {
  const oldFlags = yield* cpu.load(vma + Vma.vmFlags);
  let vmFlags = (oldFlags & ~VM_ACCESS) | prot;
  if ((vmFlags & ~(vmFlags >>> MAY_SHIFT) & VM_ACCESS) !== 0) return -EACCES;
  if (vmFlags === oldFlags) return 0;
  if ((vmFlags & VM_WRITE) !== 0) {
    if ((oldFlags & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE)) === 0)
      vmFlags |= VM_ACCOUNT;
  } else if ((oldFlags & VM_ACCOUNT) !== 0 && (yield* releasesAccount(cpu, vma))) {
    vmFlags &= ~VM_ACCOUNT;
  }
  const changed = yield* modifyVma(cpu, mm, vma, start, end, vmFlags);
  if (changed === 0) return -ENOMEM;
  yield* changeProtection(cpu, mm, changed, start, end, vmFlags);
  // Locked memory is present, and its own as soon as it may be written.
  const wasLocked = (oldFlags & (VM_WRITE | VM_SHARED | VM_LOCKED)) === VM_LOCKED;
  if (wasLocked && (vmFlags & VM_WRITE) !== 0) yield* populateVma(cpu, mm, changed, start, end);
  return 0;
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
  vma: Word,
  start: Vaddr,
  end: Vaddr,
  vmFlags: number,
): Op<void> {
  const file = yield* cpu.load(vma + Vma.vmFile);
  const unnoticed = file !== 0 && (yield* isFileMemory(cpu, file));
  let address = start;
  while (address < end) {
    const table = yield* leafTable(cpu, mm, address);
    if (table < 0) {
      address = nextSpan(address, -table);
      continue;
    }
    if (table === HUGE_LEAF) {
      // All of it is in the range: where a VMA ends, its entry was split.
      const pmdp = yield* findPmd(cpu, mm, address);
      yield* cpu.spinLock(mm + Mm.pageTableLock);
      yield* changePte(cpu, pmdp, vmFlags, unnoticed);
      yield* cpu.spinUnlock(mm + Mm.pageTableLock);
      address = nextSpan(address, 1);
      continue;
    }
    const stop = Math.min(end, nextSpan(address, 1));
    const mapped = yield* pteOffsetMap(cpu, table);
    yield* ptesLock(cpu, mm, table);
    for (; address < stop; address += PAGE_SIZE) {
      yield* changePte(cpu, mapped + pteOffset(address), vmFlags, unnoticed);
    }
    yield* ptesUnlock(cpu, mm, table);
    yield* pteUnmap(cpu, mapped);
  }
  yield* flushTlbMm(cpu, mm);
}

function* changePte(cpu: Cpu, ptep: Word, vmFlags: number, unnoticed: boolean): Op<void> {
  if (yield* ptepNone(cpu, ptep)) return;
  yield* entryLock(cpu, ptep);
  yield* changeLockedPte(cpu, ptep, vmFlags, unnoticed);
  yield* entryUnlock(cpu, ptep);
}

/**
 * The MMU may set accessed and dirty at any moment: a compare-exchange that is tried again keeps
 * them (V18), and so does taking the entry away first (2.6.10).
 */
function* changeLockedPte(cpu: Cpu, ptep: Word, vmFlags: number, unnoticed: boolean): Op<void> {
  for (;;) {
    const entry = yield* ptepGet(cpu, ptep);
    if (!ptePresent(entry)) return;
    const write = yield* mayWriteAtOnce(cpu, entry, vmFlags, unnoticed);
    yield* setPteHigh(cpu, ptep, vmFlags);
    if (PTE_EXCHANGE) {
      if (yield* ptepInstall(cpu, ptep, entry, pteModify(entry, vmFlags) | write)) return;
    } else if (PTE_READ_MODIFY_WRITE) {
      yield* ptepSet(cpu, ptep, pteModify(entry, vmFlags) | write);
      return;
    } else {
      const taken = yield* ptepGetAndClear(cpu, ptep);
      yield* ptepSet(cpu, ptep, pteModify(taken, vmFlags) | write);
      return;
    }
  }
}

/**
 * PTE_WRITE where a write need not fault first: the page is anonymous and this pte's alone (Linux:
 * can_change_pte_writable, 5.19), or a shared mapping's page is dirty already.
 *
 * @param unnoticed - whether writes to the shared file need no notice at all
 */
function* mayWriteAtOnce(cpu: Cpu, entry: number, vmFlags: number, unnoticed: boolean): Op<number> {
  if ((vmFlags & VM_WRITE) === 0) return 0;
  if ((vmFlags & VM_SHARED) !== 0) return unnoticed || (entry & PTE_DIRTY) !== 0 ? PTE_WRITE : 0;
  const pfn = entryPfn(entry);
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  if ((flags & PG_anon_exclusive) === 0) return 0;
  const hinted = HINTING && (flags & PG_swapcache) !== 0;
  return hinted && !(yield* pageCheckWritable(cpu, pfn)) ? 0 : PTE_WRITE;
}
