/**
 * What the guest tells its host of its frames (guest page hinting: include/linux/page-states.h and mm/page-states.c of
 * the patches; Schwidefsky, Franke and Raj, 28 June 2007). hardware/hostStates.ts has the word that tells it.
 *
 * A page may be volatile if it is in the page cache or in the swap cache, as it is on the device, and nobody in the
 * kernel is at work on what it holds. Who that is, the patches infer from counts: all references are those of the
 * cache, of the ptes, and those that the caller knows of. Ours counts them in the very word that tells the state.
 *
 * Who looks whether a page may be volatile reads its word first. Whoever needs it stable says first why (PG_dirty, a
 * reference) and then changes the word: so an exchange that was decided before fails. (The patches have a bit in the
 * page for that, PG_state_change, on which one waits for the other.)
 */
import { InvariantError } from '../base/errors.js';
import type { Pfn } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import {
  HOST_BUSY,
  HOST_CHANGE,
  HOST_DIRTY,
  HOST_GONE,
  HOST_PIN,
  HOST_PINS,
  HOST_POTENTIALLY_VOLATILE,
  HOST_STABLE,
  HOST_STATE,
  HOST_UNUSED,
  HOST_VOLATILE,
  hostState,
} from '../hardware/hostStates.js';
import { countEvent } from './counters.js';
import { HINTS_COUNTED, HINTS_PINNED } from './design.js';
import {
  PG_cache,
  PG_dirty,
  PG_discarded,
  PG_locked,
  PG_mappedtodisk,
  PG_swapcache,
  PG_writable,
  Page,
  pageOf,
} from './layout/page.js';
import { PageState } from './layout/percpu.js';

/** What a word becomes: another state, some of its bits, and one change more. */
function changed(word: number, state: number, keep: number): number {
  return ((word & -HOST_CHANGE) + HOST_CHANGE) | (word & keep) | state;
}

/** A frame is free: the host may have it. Nobody has a reference to it (page_set_unused). */
export function* pageSetUnused(cpu: Cpu, pfn: Pfn): Op<void> {
  for (;;) {
    const word = yield* cpu.readOnce(hostState(pfn));
    if ((word & HOST_PINS) !== 0) throw new InvariantError(`page[${pfn}] is free and held stable`);
    const next = changed(word, HOST_UNUSED, HOST_GONE | HOST_BUSY);
    if (yield* cpu.cas(hostState(pfn), word, next)) break;
  }
  yield* countEvent(cpu, PageState.page_set_unused);
}

/** A frame is handed out: if the host has taken it, it gives another in its place (page_set_stable). */
export function* pageSetStable(cpu: Cpu, pfn: Pfn): Op<void> {
  for (;;) {
    const word = yield* cpu.readOnce(hostState(pfn));
    if ((word & HOST_BUSY) !== 0) {
      yield* cpu.lockBit(hostState(pfn), HOST_BUSY);
      yield* cpu.unlockBit(hostState(pfn), HOST_BUSY);
      continue;
    }
    if (yield* cpu.cas(hostState(pfn), word, changed(word, HOST_STABLE, 0))) break;
  }
  yield* countEvent(cpu, PageState.page_set_stable);
}

/**
 * Makes a page stable, which keeps what makes it so: a flag or, in the patches, the caller's reference
 * (page_make_stable).
 *
 * @returns false where the host has taken it: then it is to be discarded
 */
export function* pageMakeStable(cpu: Cpu, pfn: Pfn): Op<boolean> {
  return yield* makeStable(cpu, pfn, 0);
}

/** The same until the caller, who has a reference, lets go of it: for who reads or writes what the page holds. */
export function* pageHoldStable(cpu: Cpu, pfn: Pfn): Op<boolean> {
  return yield* makeStable(cpu, pfn, HINTS_PINNED ? HOST_PIN : 0);
}

function* makeStable(cpu: Cpu, pfn: Pfn, pin: number): Op<boolean> {
  for (;;) {
    const word = yield* cpu.readOnce(hostState(pfn));
    if ((word & HOST_GONE) !== 0) return false;
    const next = changed(word, HOST_STABLE, HOST_DIRTY | HOST_PINS) + pin;
    if (yield* cpu.cas(hostState(pfn), word, next)) break;
  }
  yield* countEvent(cpu, PageState.page_make_stable);
  return true;
}

/** Lets go of a page that was held stable. The caller has a reference. In the patches to drop that is all there is to it. */
export function* pageLetGo(cpu: Cpu, pfn: Pfn): Op<void> {
  if (!HINTS_PINNED) return;
  yield* cpu.add(hostState(pfn), -HOST_PIN);
  yield* pageMakeVolatile(cpu, pfn, 0);
}

/** What a page held is as it is on the device, from now on: what programs have stored is in it. Held stable meanwhile. */
export function* hostMarkClean(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* cpu.and(hostState(pfn), ~HOST_DIRTY);
}

/**
 * Makes a page volatile if nothing speaks against it; potentially so if a pte may be writable (page_make_volatile).
 *
 * @param offset - references that the caller knows of, the cache's among them, but for those of ptes; not counted by ours
 */
export function* pageMakeVolatile(cpu: Cpu, pfn: Pfn, offset: number): Op<void> {
  const word = yield* cpu.readOnce(hostState(pfn));
  if ((word & HOST_GONE) !== 0) return;
  if (HINTS_PINNED && ((word & HOST_PINS) !== 0 || (word & HOST_STATE) !== HOST_STABLE)) return;
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  if (!flagsAllow(flags)) return;
  if (HINTS_COUNTED && !(yield* countsAllow(cpu, pfn, offset))) return;
  const state = (flags & PG_writable) !== 0 ? HOST_POTENTIALLY_VOLATILE : HOST_VOLATILE;
  if (yield* cpu.cas(hostState(pfn), word, changed(word, state, HOST_DIRTY))) {
    yield* countEvent(cpu, PageState.page_make_volatile);
  }
}

/** Whether a page is in a cache, as it is on the device (check_bits). Who has its lock may be at work on it. */
function flagsAllow(flags: number): boolean {
  if ((flags & (PG_dirty | PG_discarded)) !== 0) return false;
  if (HINTS_COUNTED && (flags & PG_locked) !== 0) return false;
  return (flags & PG_mappedtodisk) !== 0 && (flags & (PG_cache | PG_swapcache)) !== 0;
}

/** Whether nobody has a reference that is not accounted for, and the cache still has its own (check_counts). */
function* countsAllow(cpu: Cpu, pfn: Pfn, offset: number): Op<boolean> {
  if ((yield* cpu.readOnce(pageOf(pfn) + Page.mapping)) === 0) return false;
  const mapcount = yield* cpu.readOnce(pageOf(pfn) + Page.mapcount);
  const refcount = yield* cpu.readOnce(pageOf(pfn) + Page.refcount);
  return mapcount + offset === refcount;
}

/**
 * Before a page of the swap cache is mapped writable: from now on the host has to see whether it was stored to
 * (page_check_writable).
 *
 * @returns false where the host has taken the page
 */
export function* pageCheckWritable(cpu: Cpu, pfn: Pfn): Op<boolean> {
  yield* cpu.or(pageOf(pfn) + Page.flags, PG_writable);
  for (;;) {
    const word = yield* cpu.readOnce(hostState(pfn));
    if ((word & HOST_GONE) !== 0) return false;
    const now = word & HOST_STATE;
    const state = now === HOST_VOLATILE ? HOST_POTENTIALLY_VOLATILE : now;
    const next = changed(word, state, HOST_DIRTY | HOST_PINS);
    if (yield* cpu.cas(hostState(pfn), word, next)) break;
  }
  yield* countEvent(cpu, PageState.page_check_writable);
  return true;
}

/** Whether the host has taken a page. */
export function* pageGone(cpu: Cpu, pfn: Pfn): Op<boolean> {
  return ((yield* cpu.readOnce(hostState(pfn))) & HOST_GONE) !== 0;
}
