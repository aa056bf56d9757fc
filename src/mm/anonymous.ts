/**
 * The first touch of anonymous memory (Linux: do_anonymous_page, mm/memory.c; 2.6.10 and V18,
 * patches 3 and 4 of 4).
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { anonVmaPrepare } from './anonvma.js';
import { MmCounter, countEvent, updateMmCounter } from './counters.js';
import {
  ANON_COUNTERS_LOCK,
  LRU_RMAP_INSTALL,
  MOVE_LIMBO,
  MOVE_REWALK,
  PREFAULT,
  RMAP_LRU_INSTALL,
} from './design.js';
import { Mm } from './layout/mm.js';
import { PG_referenced, Page, ZERO_PFN, pageOf } from './layout/page.js';
import { PageState } from './layout/percpu.js';
import { Vma } from './layout/vma.js';
import { delimbo, maybeReloadTlbMm } from './limbo.js';
import { anonWriteStart, anonWriteStop, sectionStart, sectionStop, walkStop } from './locking.js';
import { lruCacheAddActive, putPage } from './lru.js';
import { allocZeroedPage } from './allocpages.js';
import { freeNewPage } from './pagealloc.js';
import { mkDirtyWritable, mkPte, ptepInstall, setPteHigh, updateMmuCache } from './pte.js';
import { pageAddNewAnonRmap, pageRemoveRmap } from './rmap.js';
import { VM_FAULT_MINOR, VM_FAULT_OOM } from './vmfault.js';

/** Reclaim knows of a page before it is installed: what this file must not do, see scenario lru-before-install. */
const PUBLISH_FIRST = LRU_RMAP_INSTALL || RMAP_LRU_INSTALL;

/**
 * A read maps the zero page; a write maps a new page of zeros. The pte was read empty.
 *
 * @returns a VM_FAULT_ code
 * Locks: entered in an atomic section, which it ends.
 */
export function* doAnonymousPage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  write: boolean,
  ptep: Word,
): Op<number> {
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  if (!write) {
    yield* sectionStart(cpu, mm, ptep);
    const here = MOVE_REWALK ? yield* delimbo(cpu, mm, ptep, address) : ptep;
    const mapped = yield* mapZeroPage(cpu, vmFlags, address, here);
    yield* countEvent(cpu, mapped ? PageState.fault_anon_read : PageState.cmpxchg_fail_anon_read);
    yield* sectionStop(cpu, mm, here);
    return VM_FAULT_MINOR;
  }
  yield* walkStop(cpu, mm, ptep);

  if (!(yield* anonVmaPrepare(cpu, vma))) return VM_FAULT_OOM;
  const pfn = yield* allocZeroedPage(cpu);
  if (pfn === 0) return VM_FAULT_OOM;

  if (LRU_RMAP_INSTALL) yield* lruCacheAddActive(cpu, pfn);
  if (PUBLISH_FIRST) yield* pageAddNewAnonRmap(cpu, mm, vma, pfn, address);
  if (RMAP_LRU_INSTALL) yield* lruCacheAddActive(cpu, pfn);
  const locked = yield* anonWriteStart(cpu, mm, address, ptep);
  const here = MOVE_REWALK ? yield* delimbo(cpu, mm, locked, address) : locked;
  if (!(yield* mapNewPage(cpu, mm, vma, vmFlags, address, here, pfn))) {
    yield* anonWriteStop(cpu, mm, here);
    if (PUBLISH_FIRST) yield* withdraw(cpu, mm, pfn);
    else yield* freeNewPage(cpu, pfn);
    yield* countEvent(cpu, PageState.cmpxchg_fail_anon_write);
    return VM_FAULT_MINOR;
  }
  yield* countEvent(cpu, PageState.fault_anon_write);
  if (MOVE_LIMBO) yield* maybeReloadTlbMm(cpu, mm);
  yield* anonWriteStop(cpu, mm, here);
  return VM_FAULT_MINOR;
}

/**
 * Maps the zero page by an empty pte.
 *
 * @returns false where the pte is not empty any more
 * Locks: those of the section that read the pte, see locking.ts.
 */
export function* mapZeroPage(cpu: Cpu, vmFlags: number, address: Vaddr, ptep: Word): Op<boolean> {
  yield* setPteHigh(cpu, ptep, vmFlags);
  const zero = mkPte(ZERO_PFN, vmFlags);
  if (!(yield* ptepInstall(cpu, ptep, 0, zero))) return false;
  updateMmuCache(cpu, address, zero, vmFlags);
  return true;
}

/**
 * Maps a new page, to be written to, by an empty pte, and counts it.
 *
 * @returns false where the pte is not empty any more
 * Locks: those of an anonymous write, see locking.ts.
 */
export function* mapNewPage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  vmFlags: number,
  address: Vaddr,
  ptep: Word,
  pfn: Pfn,
): Op<boolean> {
  const entry = mkDirtyWritable(mkPte(pfn, vmFlags), vmFlags);
  yield* setPteHigh(cpu, ptep, vmFlags);
  if (!(yield* ptepInstall(cpu, ptep, 0, entry))) return false;
  updateMmuCache(cpu, address, entry, vmFlags);
  // Only now: a page on the LRU list can be found by reclaim, which must find it mapped.
  if (ANON_COUNTERS_LOCK) yield* cpu.spinLock(mm + Mm.pageTableLock);
  if (!PUBLISH_FIRST) yield* pageAddNewAnonRmap(cpu, mm, vma, pfn, address);
  yield* updateMmCounter(cpu, mm, MmCounter.rss, 1);
  if (ANON_COUNTERS_LOCK) yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  // A page that is mapped ahead may wait for its first use (V2: SetPageReferenced).
  if (PREFAULT) yield* cpu.or(pageOf(pfn) + Page.flags, PG_referenced);
  if (!PUBLISH_FIRST) yield* lruCacheAddActive(cpu, pfn);
  return true;
}

/** Takes back what reclaim knows of a page that was not installed; whoever lets go of it last frees it. */
function* withdraw(cpu: Cpu, mm: Word, pfn: Pfn): Op<void> {
  yield* pageRemoveRmap(cpu, pfn);
  yield* updateMmCounter(cpu, mm, MmCounter.anonRss, -1);
  yield* putPage(cpu, pfn);
}
