/**
 * A write to a page that is mapped read-only (Linux: do_wp_page, mm/memory.c; 2.6.10 and V18,
 * patch 3 of 4).
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { entryPfn } from '../hardware/machine.js';
import { anonVmaPrepare } from './anonvma.js';
import { MmCounter, countEvent, updateMmCounter } from './counters.js';
import { WP_HOLD, WP_LOCK_AND_HOLD } from './design.js';
import { Mm } from './layout/mm.js';
import { PG_anon_exclusive, PG_dirty, Page, ZERO_PFN, pageOf } from './layout/page.js';
import { PageState } from './layout/percpu.js';
import { VM_SHARED, Vma } from './layout/vma.js';
import { pageTableAtomicStop } from './locking.js';
import { lruCacheAddActive, putPage } from './lru.js';
import { allocPage, allocZeroedPage, freeNewPage } from './pagealloc.js';
import { mkDirtyWritable, mkPte, ptepInstall, ptepReuse, setPteHigh } from './pgtable.js';
import {
  getPage,
  pageAddNewAnonRmap,
  pageAnon,
  pageMappedOnce,
  pageMoveAnonRmap,
  pageRemoveRmap,
} from './rmap.js';
import { flushTlbPage } from './tlbflush.js';
import { VM_FAULT_MINOR, VM_FAULT_OOM } from './vmfault.js';

/**
 * Makes a shared page writable, reuses a page that nobody else maps, or copies.
 *
 * @param entry - the pte as read: present, not writable
 * @returns a VM_FAULT_ code
 * Locks: entered in an atomic section, which it ends.
 */
export function* doWpPage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  ptep: Word,
  entry: number,
): Op<number> {
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const oldPfn = entryPfn(entry);
  if ((vmFlags & VM_SHARED) !== 0) {
    yield* pageTableAtomicStop(cpu, mm);
    yield* makeSharedWritable(cpu, mm, address, ptep, entry, vmFlags);
    return VM_FAULT_MINOR;
  }
  if (yield* mayReuse(cpu, oldPfn)) {
    yield* pageMoveAnonRmap(cpu, vma, oldPfn);
    if (yield* ptepReuse(cpu, ptep, entry, vmFlags)) cpu.tlb.drop(address);
    yield* pageTableAtomicStop(cpu, mm);
    return VM_FAULT_MINOR;
  }

  let hold = WP_HOLD && oldPfn !== ZERO_PFN;
  if (hold) yield* getPage(cpu, oldPfn);
  yield* pageTableAtomicStop(cpu, mm);
  if (WP_LOCK_AND_HOLD && oldPfn !== ZERO_PFN) {
    hold = yield* holdIfStillMapped(cpu, mm, ptep, entry, oldPfn);
    if (!hold) return VM_FAULT_MINOR;
  }
  const result = yield* copyPage(cpu, mm, vma, address, ptep, entry);
  if (hold) yield* putPage(cpu, oldPfn);
  return result;
}

/**
 * Notices the first write to a shared page since it was last written back, and allows more (Linux: wp_page_shared).
 * Under the lock in every design: who writes the page back first takes its mark away and then, under the lock,
 * write permission. By compare-exchange alone a pte that it has just seen read-only could become writable,
 * with the mark already gone (scenario msync-fault).
 */
function* makeSharedWritable(
  cpu: Cpu,
  mm: Word,
  address: Vaddr,
  ptep: Word,
  entry: number,
  vmFlags: number,
): Op<void> {
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  if ((yield* cpu.readOnce(ptep)) === entry) {
    yield* cpu.or(pageOf(entryPfn(entry)) + Page.flags, PG_dirty);
    // The MMU may have set a bit since.
    if (yield* ptepReuse(cpu, ptep, entry, vmFlags)) cpu.tlb.drop(address);
  }
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
}

/** Takes a reference while the lock keeps the pte, and with it the page, where it was read. */
function* holdIfStillMapped(cpu: Cpu, mm: Word, ptep: Word, entry: number, pfn: Pfn): Op<boolean> {
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const same = (yield* cpu.readOnce(ptep)) === entry;
  if (same) yield* getPage(cpu, pfn);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  return same;
}

/** Whether an anonymous page is the faulting pte's alone. */
function* mayReuse(cpu: Cpu, pfn: Pfn): Op<boolean> {
  if (pfn === ZERO_PFN || !(yield* pageAnon(cpu, pfn))) return false;
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  return (flags & PG_anon_exclusive) !== 0 || (yield* pageMappedOnce(cpu, pfn));
}

/** Breaks the sharing: copies the page with no lock held, and installs the copy if nothing moved. */
function* copyPage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  ptep: Word,
  entry: number,
): Op<number> {
  if (!(yield* anonVmaPrepare(cpu, vma))) return VM_FAULT_OOM;
  const oldPfn = entryPfn(entry);
  const fromZero = oldPfn === ZERO_PFN;
  const newPfn = fromZero ? yield* allocZeroedPage(cpu) : yield* allocPage(cpu);
  if (newPfn === 0) return VM_FAULT_OOM;
  if (!fromZero) yield* cpu.copyPage(frameOf(newPfn), frameOf(oldPfn));

  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const copy = mkDirtyWritable(mkPte(newPfn, vmFlags), vmFlags);
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  yield* setPteHigh(cpu, ptep, vmFlags);
  if (!(yield* ptepInstall(cpu, ptep, entry, copy))) {
    yield* cpu.spinUnlock(mm + Mm.pageTableLock);
    yield* freeNewPage(cpu, newPfn);
    return VM_FAULT_MINOR;
  }
  yield* flushTlbPage(cpu, mm, address);
  if (fromZero) {
    yield* updateMmCounter(cpu, mm, MmCounter.rss, 1);
  } else {
    if (yield* pageAnon(cpu, oldPfn)) yield* updateMmCounter(cpu, mm, MmCounter.anonRss, -1);
    yield* pageRemoveRmap(cpu, oldPfn);
  }
  yield* pageAddNewAnonRmap(cpu, mm, vma, newPfn, address);
  yield* lruCacheAddActive(cpu, newPfn);
  yield* countEvent(cpu, PageState.fault_cow);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  if (!fromZero) yield* putPage(cpu, oldPfn);
  return VM_FAULT_MINOR;
}
