/**
 * The page fault, from the trap to the pte (Linux: do_page_fault of arch/i386/mm/fault.c,
 * handle_mm_fault and handle_pte_fault of mm/memory.c; 2.6.10 and V18, patch 3 of 4).
 *
 * Locks: mmap_sem for reading all the way or, in designs that have it, the VMA's lock; page tables as the design
 * says, see locking.ts.
 */
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { OOM_KILLER, PTE_WRITE, pageMask } from '../hardware/machine.js';
import { countEvent } from './counters.js';
import {
  HIGHPTE,
  KMAP_FAULT_ATOMIC,
  MOVE_LIMBO,
  MOVE_REWALK,
  SECTION_LOCK,
  VMA_LOCK,
} from './design.js';
import { doHugePmdAnonymousPage, doHugePmdFault, mayMapHuge } from './huge.js';
import { MMF_OOM_KILLED, Mm, Task } from './layout/mm.js';
import { PageState } from './layout/percpu.js';
import { VM_EXEC, VM_GROWSDOWN, VM_READ, VM_WRITE, Vma } from './layout/vma.js';
import { delimbo, maybeReloadTlbMm } from './limbo.js';
import { pageTableAtomicStart, sectionStart, sectionStop, walkStop } from './locking.js';
import { doNoPage, doNonlinearFault } from './nopage.js';
import { pteAllocMap } from './pgtable.js';
import { pteUnmap } from './pteMap.js';
import { pteMoved, ptePresent, pteSwap, ptepGet, ptepSetAccessFlags } from './pte.js';
import { growStack } from './stack.js';
import { doSwapPage } from './swapin.js';
import { findVma } from './vmatree.js';
import {
  VM_FAULT_FALLBACK,
  VM_FAULT_MAJOR,
  VM_FAULT_MINOR,
  VM_FAULT_OOM,
  VM_FAULT_SIGSEGV,
} from './vmfault.js';
import { waitForMove } from './waitForMove.js';
import { doWpPage } from './wp.js';
import { lockVmaUnderRcu, vmaEndRead } from './mmapLock.js';

/** Bits of the error code that the trap pushes (x86; the kernel's X86_PF_ names). */
export const PF_PROT = 1;
export const PF_WRITE = 2;
export const PF_USER = 4;
export const PF_INSTR = 16;

/**
 * Handles a page fault of the current task.
 *
 * @param errorCode - PF_ bits
 * @returns a VM_FAULT_ code
 */
export function* doPageFault(cpu: Cpu, address: Vaddr, errorCode: number): Op<number> {
  yield* cpu.spend(Work.TRAP_ENTER);
  const mm = cpu.mm;
  const vma = VMA_LOCK ? yield* lockVmaUnderRcu(cpu, mm, address) : 0;
  let result: number;
  if (vma !== 0) {
    result = yield* faultInVma(cpu, mm, vma, address, errorCode);
    yield* vmaEndRead(cpu, vma);
  } else {
    yield* cpu.downRead(mm + Mm.mmapSem);
    const found = yield* findFaultingVma(cpu, mm, address);
    result = found === 0 ? VM_FAULT_SIGSEGV : yield* faultInVma(cpu, mm, found, address, errorCode);
    yield* cpu.upRead(mm + Mm.mmapSem);
  }
  yield* countTaskFault(cpu, result);
  yield* cpu.spend(Work.TRAP_EXIT);
  return result;
}

function* faultInVma(cpu: Cpu, mm: Word, vma: Word, address: Vaddr, errorCode: number): Op<number> {
  if (!(yield* accessAllowed(cpu, vma, errorCode))) return VM_FAULT_SIGSEGV;
  const write = (errorCode & PF_WRITE) !== 0;
  return yield* handleMmFault(cpu, mm, vma, pageMask(address), write);
}

/**
 * The VMA of an address, after a stack that ends above it has grown; 0 if none.
 *
 * Locks: mmap_sem for reading, which is let go for the growth.
 */
function* findFaultingVma(cpu: Cpu, mm: Word, address: Vaddr): Op<Word> {
  for (;;) {
    const vma = yield* findVma(cpu, mm, address);
    if (vma === 0) return 0;
    if ((yield* cpu.loadWide(vma + Vma.vmStart)) <= address) return vma;
    if (((yield* cpu.load(vma + Vma.vmFlags)) & VM_GROWSDOWN) === 0) return 0;
    yield* cpu.upRead(mm + Mm.mmapSem);
    const grown = yield* growStack(cpu, mm, address);
    yield* cpu.downRead(mm + Mm.mmapSem);
    if (!grown) return 0;
  }
}

function* accessAllowed(cpu: Cpu, vma: Word, errorCode: number): Op<boolean> {
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  if ((errorCode & PF_WRITE) !== 0) return (vmFlags & VM_WRITE) !== 0;
  if ((errorCode & PF_INSTR) !== 0) return (vmFlags & VM_EXEC) !== 0;
  return (vmFlags & (VM_READ | VM_WRITE | VM_EXEC)) !== 0;
}

/** Counts a fault that was handled as the current task's (Linux: mm_account_fault). */
export function* countTaskFault(cpu: Cpu, result: number): Op<void> {
  if (result < VM_FAULT_MINOR) return;
  const word = cpu.current + (result === VM_FAULT_MAJOR ? Task.majFlt : Task.minFlt);
  const faults = yield* cpu.load(word);
  yield* cpu.store(word, faults + 1);
}

/**
 * Maps the page of an address.
 *
 * @param address - of the page
 * @returns a VM_FAULT_ code
 */
export function* handleMmFault(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  write: boolean,
): Op<number> {
  yield* countEvent(cpu, PageState.pgfault);
  if (OOM_KILLER && ((yield* cpu.readOnce(mm + Mm.flags)) & MMF_OOM_KILLED) !== 0) {
    return VM_FAULT_OOM;
  }
  if (yield* mayMapHuge(cpu, vma, address)) {
    const result = yield* doHugePmdAnonymousPage(cpu, mm, vma, address, write);
    if (result !== VM_FAULT_FALLBACK) return result;
  }
  for (;;) {
    yield* pageTableAtomicStart(cpu, mm);
    const ptep = yield* pteAllocMap(cpu, mm, address);
    if (ptep === 0) return VM_FAULT_OOM;
    if (ptep > 0) {
      const handled = yield* handlePteFault(cpu, mm, vma, address, write, ptep);
      if (HIGHPTE && !KMAP_FAULT_ATOMIC) yield* pteUnmap(cpu, ptep);
      return handled;
    }
    const result = yield* doHugePmdFault(cpu, mm, vma, address, write, -ptep);
    if (result !== VM_FAULT_FALLBACK) return result;
  }
}

/** Entered in an atomic section, which each branch ends; then the pte is released too. */
function* handlePteFault(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  write: boolean,
  ptep: Word,
): Op<number> {
  const entry = yield* ptepGet(cpu, ptep);
  if (!ptePresent(entry)) {
    if (pteMoved(entry)) {
      yield* walkStop(cpu, mm, ptep);
      yield* waitForMove(cpu, mm, address);
      return VM_FAULT_MINOR;
    }
    if (pteSwap(entry)) return yield* doSwapPage(cpu, mm, vma, address, write, ptep, entry);
    if (entry !== 0) return yield* doNonlinearFault(cpu, mm, vma, address, write, ptep, entry);
    return yield* doNoPage(cpu, mm, vma, address, write, ptep);
  }
  yield* sectionStart(cpu, mm, ptep);
  const here = MOVE_REWALK ? yield* delimbo(cpu, mm, ptep, address) : ptep;
  if (SECTION_LOCK && (yield* ptepGet(cpu, here)) !== entry) {
    yield* sectionStop(cpu, mm, here);
    return VM_FAULT_MINOR;
  }
  if (write && (entry & PTE_WRITE) === 0) {
    return yield* doWpPage(cpu, mm, vma, address, here, entry);
  }
  // Another CPU was faster.
  const updated = yield* ptepSetAccessFlags(cpu, address, here, entry, write);
  if (MOVE_LIMBO) yield* maybeReloadTlbMm(cpu, mm);
  yield* sectionStop(cpu, mm, here);
  if (updated === entry) yield* countEvent(cpu, PageState.spurious_page_faults);
  return VM_FAULT_MINOR;
}
