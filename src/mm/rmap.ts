/**
 * Claims of page-table entries on frames, and the way back from a frame of a file to the entries
 * (Linux: mm/rmap.c). mm/anonvma.ts has the way back from anonymous pages.
 */
import { InvariantError } from '../base/errors.js';
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { HUGE_PAGES, PAGES_PER_BYTE } from '../hardware/machine.js';
import { MmCounter, updateMmCounter } from './counters.js';
import {
  PAGE_MAPPING_ANON,
  PG_anon_exclusive,
  PG_head,
  PG_tail,
  Page,
  hugeMapcount,
  pageOf,
} from './layout/page.js';
import { AnonVma, Vma } from './layout/vma.js';

/** What `page.index` of a page at an address of a VMA is (Linux: linear_page_index). */
export function* linearPageIndex(cpu: Cpu, vma: Word, address: Vaddr): Op<number> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const pgoff = yield* cpu.load(vma + Vma.vmPgoff);
  return (pgoff + (address - start) * PAGES_PER_BYTE) | 0;
}

/**
 * Adds the first pte's claim on an anonymous frame, and counts it (Linux: page_add_anon_rmap;
 * page_add_new_anon_rmap since 2.6.18).
 *
 * Locks: that of the pte or, in V18, none. Plain stores will do: the frame is new and not yet on
 * the LRU list, and only this pte leads to it.
 */
export function* pageAddNewAnonRmap(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  pfn: Pfn,
  address: Vaddr,
): Op<void> {
  const page = pageOf(pfn);
  const anonVma = yield* cpu.readOnce(vma + Vma.anonVma);
  const index = yield* linearPageIndex(cpu, vma, address);
  yield* cpu.writeOnce(page + Page.flags, PG_anon_exclusive);
  yield* cpu.writeOnce(page + Page.mapping, anonVma + PAGE_MAPPING_ANON);
  yield* cpu.store(page + Page.index, index);
  yield* cpu.writeOnce(page + Page.mapcount, 1);
  yield* updateMmCounter(cpu, mm, MmCounter.anonRss, 1);
}

/**
 * Adds a pte's claim on an anonymous frame that others may map too, as swap-in does, and counts it
 * (Linux: page_add_anon_rmap). What is not this pte's alone belongs to the whole family.
 *
 * Locks: the pte's and the page's.
 */
export function* pageAddAnonRmap(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  pfn: Pfn,
  address: Vaddr,
  exclusive: boolean,
): Op<void> {
  const page = pageOf(pfn);
  if ((yield* cpu.add(page + Page.mapcount, 1)) === 0) {
    const own = yield* cpu.readOnce(vma + Vma.anonVma);
    const anonVma = exclusive ? own : yield* cpu.load(own + AnonVma.root);
    const index = yield* linearPageIndex(cpu, vma, address);
    yield* cpu.store(page + Page.index, index);
    yield* cpu.writeOnce(page + Page.mapping, anonVma + PAGE_MAPPING_ANON);
  }
  yield* updateMmCounter(cpu, mm, MmCounter.anonRss, 1);
}

/**
 * Adds the claim of a forked child's pte on an anonymous frame, which is not its parent's alone any more
 * (Linux: folio_try_dup_anon_rmap_pte).
 */
export function* pageDupAnonRmap(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* cpu.add(pageOf(pfn) + Page.mapcount, 1);
  yield* cpu.and(pageOf(pfn) + Page.flags, ~PG_anon_exclusive);
}

/**
 * Lets an anonymous frame that only one pte maps belong to that pte's VMA alone (Linux:
 * folio_move_anon_rmap and SetPageAnonExclusive).
 */
export function* pageMoveAnonRmap(cpu: Cpu, vma: Word, pfn: Pfn): Op<void> {
  const anonVma = yield* cpu.readOnce(vma + Vma.anonVma);
  yield* cpu.writeOnce(pageOf(pfn) + Page.mapping, anonVma + PAGE_MAPPING_ANON);
  yield* cpu.or(pageOf(pfn) + Page.flags, PG_anon_exclusive);
}

/**
 * Whether one pte alone maps an anonymous frame, and nothing else leads to it. With mmap_sem held for
 * reading nothing can add another: only fork does. (Linux 2.6.10 asks page_count; a page that waits
 * in a pagevec is then copied for nothing. Later kernels ask what this asks.)
 */
export function* pageMappedOnce(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const page = pageOf(pfn);
  if ((yield* cpu.readOnce(page + Page.mapcount)) !== 1) return false;
  const flags = yield* cpu.readOnce(page + Page.flags);
  if ((flags & (PG_head | PG_tail)) === 0) return true;
  return (yield* cpu.readOnce(hugeMapcount(pfn & -HUGE_PAGES))) === 0;
}

/** The frame that counts the references to a frame: the first of its huge page, or itself. */
export function* compoundHead(cpu: Cpu, pfn: Pfn): Op<Pfn> {
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  return (flags & PG_tail) === 0 ? pfn : pfn & -HUGE_PAGES;
}

/** Takes a reference (Linux: get_page). */
export function* getPage(cpu: Cpu, pfn: Pfn): Op<void> {
  const head = yield* compoundHead(cpu, pfn);
  yield* cpu.add(pageOf(head) + Page.refcount, 1);
}

/** Takes a reference to a frame that has others (Linux: get_page_unless_zero). @returns whether it did */
export function* getPageUnlessZero(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const refcount = pageOf(pfn) + Page.refcount;
  for (;;) {
    const count = yield* cpu.readOnce(refcount);
    if (count === 0) return false;
    if (yield* cpu.cas(refcount, count, count + 1)) return true;
  }
}

/** Adds a pte's claim on a frame of a file (Linux: page_add_file_rmap). */
export function* pageAddFileRmap(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* cpu.add(pageOf(pfn) + Page.mapcount, 1);
}

/** Whether a frame is anonymous memory (Linux: PageAnon). */
export function* pageAnon(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const mapping = yield* cpu.readOnce(pageOf(pfn) + Page.mapping);
  return (mapping & PAGE_MAPPING_ANON) !== 0;
}

/**
 * Drops a pte's claim on a frame (Linux: page_remove_rmap).
 *
 * @returns claims left, in ptes
 * Locks: the caller holds page_table_lock and has cleared the pte.
 * @throws InvariantError when the frame was not mapped: our bug, never the guest's
 */
export function* pageRemoveRmap(cpu: Cpu, pfn: Pfn): Op<number> {
  const left = (yield* cpu.add(pageOf(pfn) + Page.mapcount, -1)) - 1;
  if (left < 0) throw new InvariantError(`page.mapcount: frame ${pfn} unmapped twice (${left})`);
  return left;
}
