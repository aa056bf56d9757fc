/**
 * A write to a page that is mapped read-only (Linux: do_wp_page, mm/memory.c; 2.6.10 and V18,
 * patch 3 of 4).
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { HINTING } from '../hardware/hostStates.js';
import { SWAP_SLOTS, entryPfn } from '../hardware/machine.js';
import { anonVmaPrepare } from './anonvma.js';
import { MmCounter, countEvent, updateMmCounter } from './counters.js';
import { pageDiscard } from './discard.js';
import {
  MOVE_REWALK,
  SECTION_LOCK,
  WALK_LOCK,
  WP_HOLD,
  WP_LOCK_AND_HOLD,
  WP_TRY_HOLD,
} from './design.js';
import {
  PG_anon_exclusive,
  PG_dirty,
  PG_head,
  PG_locked,
  PG_swapcache,
  PG_tail,
  Page,
  ZERO_PFN,
  pageOf,
} from './layout/page.js';
import { PageState } from './layout/percpu.js';
import { VM_SHARED, Vma } from './layout/vma.js';
import { delimbo } from './limbo.js';
import { pteLock, pteOffsetMapLock, pteUnlock, pteUnmapUnlock, sectionStop } from './locking.js';
import { lruCacheAddActive, pageCacheRelease, putPage } from './lru.js';
import { allocPage, allocZeroedPage } from './allocpages.js';
import { freeNewPage } from './pagealloc.js';
import { pageCheckWritable, pageHoldStable, pageLetGo, pageMakeStable } from './pageStates.js';
import { mkDirtyWritable, mkPte, ptepGet, ptepInstall, ptepReuse, setPteHigh } from './pte.js';
import {
  getPage,
  getPageUnlessZero,
  pageAddNewAnonRmap,
  pageAnon,
  pageMappedOnce,
  pageMoveAnonRmap,
  pageRemoveRmap,
} from './rmap.js';
import { freePageAndSwapCache, onlyUserOfSwap } from './swapstate.js';
import { flushTlbPage } from './tlbflush.js';
import { VM_FAULT_MINOR, VM_FAULT_OOM } from './vmfault.js';

/** Whether what is decided here is decided under the lock of the pte. */
const LOCKED = WALK_LOCK || SECTION_LOCK || WP_LOCK_AND_HOLD;
/** Whether the page that is copied is held meanwhile. */
const HELD = WP_HOLD || WP_LOCK_AND_HOLD || WP_TRY_HOLD;

/**
 * Makes a shared page writable, reuses a page that nobody else maps, or copies.
 *
 * @param entry - the pte as read: present, not writable
 * @returns a VM_FAULT_ code
 * Locks: entered in a section on the pte, which it ends.
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
    yield* sectionStop(cpu, mm, ptep);
    yield* makeSharedWritable(cpu, mm, address, ptep, entry, vmFlags);
    return VM_FAULT_MINOR;
  }
  if (WP_LOCK_AND_HOLD) {
    yield* pteLock(cpu, mm, ptep);
    if ((yield* ptepGet(cpu, ptep)) !== entry) {
      yield* pteUnlock(cpu, mm, ptep);
      return VM_FAULT_MINOR;
    }
  }
  if (yield* mayReuse(cpu, oldPfn)) {
    if (HINTING && !(yield* allowsWrites(cpu, oldPfn))) {
      yield* getPage(cpu, oldPfn);
      yield* decided(cpu, mm, ptep);
      yield* pageDiscard(cpu, oldPfn);
      return VM_FAULT_MINOR;
    }
    if (LOCKED) yield* pageMoveAnonRmap(cpu, vma, oldPfn);
    if (yield* ptepReuse(cpu, ptep, entry, vmFlags)) cpu.tlb.drop(address);
    yield* decided(cpu, mm, ptep);
    return VM_FAULT_MINOR;
  }
  const held = HELD && oldPfn !== ZERO_PFN;
  if (held && !WP_TRY_HOLD) yield* getPage(cpu, oldPfn);
  yield* decided(cpu, mm, ptep);
  if (!LOCKED && (yield* reuseUnderLock(cpu, mm, vma, address, ptep, entry))) return VM_FAULT_MINOR;
  if (held && WP_TRY_HOLD && !(yield* tryHold(cpu, mm, ptep, entry))) return VM_FAULT_MINOR;
  if (HINTING && held && !(yield* pageHoldStable(cpu, oldPfn))) {
    yield* pageDiscard(cpu, oldPfn);
    return VM_FAULT_MINOR;
  }
  const result = yield* copyPage(cpu, mm, vma, address, ptep, entry);
  if (HINTING && held) yield* pageLetGo(cpu, oldPfn);
  if (held) yield* pageCacheRelease(cpu, oldPfn);
  return result;
}

/**
 * Tells the host of a page of the swap cache that is about to be mapped writable.
 *
 * @returns false where the host has it already
 * Locks: the pte's.
 */
function* allowsWrites(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  return (flags & PG_swapcache) === 0 || (yield* pageCheckWritable(cpu, pfn));
}

/**
 * Takes a reference to the page of a pte without a lock. The frame may be free by now, and whoever reclaims a page
 * first takes it out of its ptes and then looks for references: so if the pte is the same after the reference was
 * taken, it is one to the page that the pte maps. Of huge pages the first frame counts the references, and which that
 * is may change: the lock tells.
 *
 * @returns whether it did; else the pte has changed
 */
function* tryHold(cpu: Cpu, mm: Word, ptep: Word, entry: number): Op<boolean> {
  const pfn = entryPfn(entry);
  if (((yield* cpu.readOnce(pageOf(pfn) + Page.flags)) & (PG_head | PG_tail)) !== 0) {
    yield* pteLock(cpu, mm, ptep);
    const same = (yield* ptepGet(cpu, ptep)) === entry;
    if (same) yield* getPage(cpu, pfn);
    yield* pteUnlock(cpu, mm, ptep);
    return same;
  }
  if (!(yield* getPageUnlessZero(cpu, pfn))) return false;
  if ((yield* ptepGet(cpu, ptep)) === entry) return true;
  yield* putPage(cpu, pfn);
  return false;
}

/** Ends the section in which the pte was looked at. */
function* decided(cpu: Cpu, mm: Word, ptep: Word): Op<void> {
  if (WP_LOCK_AND_HOLD) yield* pteUnlock(cpu, mm, ptep);
  else yield* sectionStop(cpu, mm, ptep);
}

/**
 * Where no lock is held, a page that another pte mapped once can be told to be this one's alone only under the lock:
 * until then it may be swapped out and be anyone's.
 *
 * @returns whether it was reused, or the pte has changed
 */
function* reuseUnderLock(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  ptep: Word,
  entry: number,
): Op<boolean> {
  const pfn = entryPfn(entry);
  if (pfn === ZERO_PFN || (yield* cpu.readOnce(pageOf(pfn) + Page.mapcount)) !== 1) return false;
  yield* pteLock(cpu, mm, ptep);
  const same = (yield* ptepGet(cpu, ptep)) === entry;
  const reuse = same && (yield* pageAnon(cpu, pfn)) && (yield* mayReuseShared(cpu, pfn));
  if (reuse) {
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    yield* pageMoveAnonRmap(cpu, vma, pfn);
    if (yield* ptepReuse(cpu, ptep, entry, vmFlags)) cpu.tlb.drop(address);
  }
  yield* pteUnlock(cpu, mm, ptep);
  return reuse || !same;
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
  found: Word,
  entry: number,
  vmFlags: number,
): Op<void> {
  const pfn = entryPfn(entry);
  let gone = false;
  const locked = yield* pteOffsetMapLock(cpu, mm, address, found);
  const ptep = MOVE_REWALK ? yield* delimbo(cpu, mm, locked, address) : locked;
  if ((yield* ptepGet(cpu, ptep)) === entry) {
    yield* cpu.or(pageOf(pfn) + Page.flags, PG_dirty);
    gone = HINTING && !(yield* pageMakeStable(cpu, pfn));
    if (gone) yield* getPage(cpu, pfn);
    // The MMU may have set a bit since.
    else if (yield* ptepReuse(cpu, ptep, entry, vmFlags)) cpu.tlb.drop(address);
  }
  yield* pteUnmapUnlock(cpu, mm, ptep);
  if (gone) yield* pageDiscard(cpu, pfn);
}

/** Whether an anonymous page is known to be the faulting pte's alone or, under the lock, turns out to be. */
function* mayReuse(cpu: Cpu, pfn: Pfn): Op<boolean> {
  if (pfn === ZERO_PFN || !(yield* pageAnon(cpu, pfn))) return false;
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  if ((flags & PG_anon_exclusive) !== 0) return true;
  return LOCKED && (yield* mayReuseShared(cpu, pfn));
}

/**
 * Whether one pte alone has a page that several had. Who brings it back from swap, or takes it there, holds its
 * lock; if somebody does, a copy will do.
 *
 * Locks: the pte's.
 */
function* mayReuseShared(cpu: Cpu, pfn: Pfn): Op<boolean> {
  if (!(yield* pageMappedOnce(cpu, pfn))) return false;
  if (SWAP_SLOTS === 0) return true;
  const flags = pageOf(pfn) + Page.flags;
  if (!(yield* cpu.tryLockBit(flags, PG_locked))) return false;
  const alone = (yield* pageMappedOnce(cpu, pfn)) && (yield* onlyUserOfSwap(cpu, pfn));
  yield* cpu.unlockBit(flags, PG_locked);
  return alone;
}

/**
 * Whether a page that was held while it was copied has become the pte's alone. Then another thread may have stored to
 * it where it is; and had it taken out and brought back, so that the pte holds again what it held (scenario
 * copy-unheld). 2.6.10 needs no such question: it reuses no page that anybody holds.
 *
 * Locks: the pte's.
 */
function* becameExclusive(cpu: Cpu, pfn: Pfn): Op<boolean> {
  return ((yield* cpu.readOnce(pageOf(pfn) + Page.flags)) & PG_anon_exclusive) !== 0;
}

/** Breaks the sharing: copies the page with no lock held, and installs the copy if nothing moved. */
function* copyPage(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  found: Word,
  entry: number,
): Op<number> {
  if (!(yield* anonVmaPrepare(cpu, vma))) return VM_FAULT_OOM;
  const oldPfn = entryPfn(entry);
  const fromZero = oldPfn === ZERO_PFN;
  const newPfn = fromZero ? yield* allocZeroedPage(cpu) : yield* allocPage(cpu);
  if (newPfn === 0) return VM_FAULT_OOM;
  if (!fromZero) {
    // Interrupts are on in a fault: who flushes what this CPU maps need not wait until it has ended.
    yield* cpu.interrupts();
    yield* copyOld(cpu, newPfn, oldPfn);
  }

  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const copy = mkDirtyWritable(mkPte(newPfn, vmFlags), vmFlags);
  const locked = yield* pteOffsetMapLock(cpu, mm, address, found);
  const ptep = MOVE_REWALK ? yield* delimbo(cpu, mm, locked, address) : locked;
  yield* setPteHigh(cpu, ptep, vmFlags);
  const stale = HELD && !fromZero && (yield* becameExclusive(cpu, oldPfn));
  if (stale || !(yield* ptepInstall(cpu, ptep, entry, copy))) {
    yield* pteUnmapUnlock(cpu, mm, ptep);
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
  yield* pteUnmapUnlock(cpu, mm, ptep);
  if (!fromZero) yield* freePageAndSwapCache(cpu, oldPfn);
  return VM_FAULT_MINOR;
}

/** Without a reference the page may have gone, and be anything by now: then the pte has changed, says the mail. */
function* copyOld(cpu: Cpu, to: Pfn, from: Pfn): Op<void> {
  if (HELD) yield* cpu.copyPage(frameOf(to), frameOf(from));
  else yield* cpu.copyPageOnce(frameOf(to), frameOf(from));
}
