/**
 * A process moves to another node, with its memory (Linux: migrate_pages, mm/mempolicy.c and mm/migrate.c): the
 * anonymous pages that it alone has, and its page tables. What others have too, what is in the swap cache or in use by
 * somebody this moment, and huge pages stay.
 *
 * A page moves as a table does: its pte says so meanwhile. Until the flush other CPUs may store to the page; then it is
 * copied, and who faulted goes on in the new one.
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import {
  PAGE_SIZE,
  PFN_MASK,
  PTE_MOVED,
  entryPfn,
  pfnBits,
  pfnNode,
  pteOffset,
} from '../hardware/machine.js';
import { PTE_LOCK_MM } from './design.js';
import { Mm } from './layout/mm.js';
import {
  LRU_NONE,
  PG_anon_exclusive,
  PG_dirty,
  PG_head,
  PG_lazyfree,
  PG_locked,
  PG_referenced,
  PG_swapcache,
  PG_tail,
  PG_uptodate,
  Page,
  ZERO_PFN,
  pageOf,
} from './layout/page.js';
import { Vma } from './layout/vma.js';
import { Zone, zoneOf } from './layout/zone.js';
import { leafTableMapLock, leafTableUnmapUnlock } from './leafLock.js';
import { addToList, delFromList, lruAddDrain, putPage } from './lru.js';
import { migratePageTables } from './migrateTables.js';
import { freeNewPage, setNewReferences, takePagesOfNode } from './pagealloc.js';
import { nextSpan } from './pgwalk.js';
import { ptePresent, ptepExchange, ptepGet, ptepSet } from './pte.js';
import type { Moved } from './relocate.js';
import { getPage, pageAnon } from './rmap.js';
import { flushTlbPage } from './tlbflush.js';

/** What an anonymous page is that its frame is not. */
const KEPT_FLAGS = PG_anon_exclusive | PG_referenced | PG_lazyfree | PG_dirty | PG_uptodate;

/** What became of a process's pages on a node. */
interface MigratedPages {
  pages: number;
  /** Pages that stay there. */
  notMigrated: number;
}

/** What became of its memory there. */
export interface Migrated extends MigratedPages {
  readonly tables: Moved;
}

/** Moves what an address space has on one node to another, in designs with MOVE_MARKS. Locks: none. */
export function* migratePages(cpu: Cpu, mm: Word, from: number, to: number): Op<Migrated> {
  yield* cpu.spend(Work.SYSCALL);
  const pages = yield* migrateAnonymous(cpu, mm, from, to);
  return { ...pages, tables: yield* migratePageTables(cpu, mm, from, to) };
}

/**
 * The same of its anonymous pages alone, as Linux does it: the tables stay behind.
 *
 * Locks: none; takes mmap_sem for reading.
 */
export function* migrateAnonymous(cpu: Cpu, mm: Word, from: number, to: number): Op<MigratedPages> {
  const counts = { pages: 0, notMigrated: 0 };
  yield* lruAddDrain(cpu);
  yield* cpu.downRead(mm + Mm.mmapSem);
  let vma = yield* cpu.load(mm + Mm.mmap);
  while (vma !== 0) {
    const start = yield* cpu.loadWide(vma + Vma.vmStart);
    const end = yield* cpu.loadWide(vma + Vma.vmEnd);
    yield* migrateRange(cpu, mm, start, end, from, to, counts);
    vma = yield* cpu.load(vma + Vma.vmNext);
  }
  yield* cpu.upRead(mm + Mm.mmapSem);
  return counts;
}

function* migrateRange(
  cpu: Cpu,
  mm: Word,
  start: Vaddr,
  end: Vaddr,
  from: number,
  to: number,
  counts: MigratedPages,
): Op<void> {
  for (let address = start; address < end;) {
    const locked = yield* leafTableMapLock(cpu, mm, address);
    const { table, mapped } = locked;
    if (table <= 0) {
      address = nextSpan(address, Math.max(1, -table));
      continue;
    }
    const entry = yield* ptepGet(cpu, mapped + pteOffset(address));
    const pfn = ptePresent(entry) ? entryPfn(entry) : ZERO_PFN;
    const wanted = pfn !== ZERO_PFN && pfnNode(pfn) === from;
    if (wanted) yield* getPage(cpu, pfn);
    yield* leafTableUnmapUnlock(cpu, mm, locked);
    if (wanted) {
      if (yield* migratePage(cpu, mm, address, pfn, to)) counts.pages++;
      else counts.notMigrated++;
      yield* putPage(cpu, pfn);
    }
    address += PAGE_SIZE;
  }
}

/**
 * Moves a page that a pte was seen to map.
 *
 * @returns whether it could
 * Locks: mmap_sem for reading; the caller has a reference to the page.
 */
function* migratePage(cpu: Cpu, mm: Word, address: Vaddr, pfn: Pfn, node: number): Op<boolean> {
  const flags = pageOf(pfn) + Page.flags;
  if (((yield* cpu.readOnce(flags)) & (PG_head | PG_tail)) !== 0) return false;
  const to = yield* takePagesOfNode(cpu, node, 0, Zone.freeArea, false);
  if (to === 0) return false;
  yield* setNewReferences(cpu, to, 0, 1);
  // Reclaim has a page locked while it is at it, and has taken it off its list before.
  const locked = yield* cpu.tryLockBit(flags, PG_locked);
  const list = locked ? yield* isolate(cpu, pfn) : LRU_NONE;
  const moved = list !== LRU_NONE && (yield* movePage(cpu, mm, address, pfn, to));
  if (list !== LRU_NONE) yield* putOnList(cpu, moved ? to : pfn, list);
  if (locked) yield* cpu.unlockBit(flags, PG_locked);
  // Its own reference, till now: whoever has zapped the pte since must not have freed what goes on a list.
  if (moved) yield* putPage(cpu, to);
  else yield* freeNewPage(cpu, to, 1);
  return moved;
}

/**
 * Copies a page to another frame and lets its pte lead there, unless anybody else has the page.
 *
 * @returns whether it did
 * Locks: the page's; takes those of the pte, and page_table_lock, for which who meets the mark waits.
 */
function* movePage(cpu: Cpu, mm: Word, address: Vaddr, pfn: Pfn, to: Pfn): Op<boolean> {
  const locked = yield* leafTableMapLock(cpu, mm, address);
  if (locked.table <= 0) return false;
  const ptep = locked.mapped + pteOffset(address);
  const now = yield* ptepGet(cpu, ptep);
  const alone = ptePresent(now) && entryPfn(now) === pfn && (yield* isAlone(cpu, pfn));
  if (alone) {
    if (!PTE_LOCK_MM) yield* cpu.spinLock(mm + Mm.pageTableLock);
    const entry = yield* ptepExchange(cpu, ptep, PTE_MOVED);
    yield* flushTlbPage(cpu, mm, address);
    yield* cpu.copyPage(frameOf(to), frameOf(pfn));
    yield* takeOver(cpu, pfn, to);
    yield* ptepSet(cpu, ptep, (entry & ~PFN_MASK) | pfnBits(to));
    if (!PTE_LOCK_MM) yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  }
  yield* leafTableUnmapUnlock(cpu, mm, locked);
  return alone;
}

/** Whether one pte and the caller have a page, and nobody else. */
function* isAlone(cpu: Cpu, pfn: Pfn): Op<boolean> {
  if (!(yield* pageAnon(cpu, pfn))) return false;
  if (((yield* cpu.readOnce(pageOf(pfn) + Page.flags)) & PG_swapcache) !== 0) return false;
  if ((yield* cpu.readOnce(pageOf(pfn) + Page.mapcount)) !== 1) return false;
  return (yield* cpu.readOnce(pageOf(pfn) + Page.refcount)) === 2;
}

/** Makes a new frame what a page is: the pte's claim goes from the old one to it. */
function* takeOver(cpu: Cpu, from: Pfn, to: Pfn): Op<void> {
  const old = pageOf(from);
  const page = pageOf(to);
  const flags = yield* cpu.readOnce(old + Page.flags);
  const mapping = yield* cpu.readOnce(old + Page.mapping);
  const index = yield* cpu.load(old + Page.index);
  yield* cpu.writeOnce(page + Page.flags, flags & KEPT_FLAGS);
  yield* cpu.writeOnce(page + Page.mapping, mapping);
  yield* cpu.store(page + Page.index, index);
  yield* cpu.writeOnce(page + Page.mapcount, 1);
  yield* getPage(cpu, to);
  yield* cpu.writeOnce(old + Page.mapcount, 0);
  yield* cpu.add(old + Page.refcount, -1);
}

/** Takes a page off its LRU list. @returns which that was; LRU_NONE where it is on none */
function* isolate(cpu: Cpu, pfn: Pfn): Op<number> {
  const zone = zoneOf(pfnNode(pfn));
  yield* cpu.spinLock(zone + Zone.lruLock);
  const list = yield* cpu.load(pageOf(pfn) + Page.lru);
  if (list !== LRU_NONE) yield* delFromList(cpu, zone, pfn);
  yield* cpu.spinUnlock(zone + Zone.lruLock);
  return list;
}

function* putOnList(cpu: Cpu, pfn: Pfn, list: number): Op<void> {
  const zone = zoneOf(pfnNode(pfn));
  yield* cpu.spinLock(zone + Zone.lruLock);
  yield* addToList(cpu, zone, pfn, list);
  yield* cpu.spinUnlock(zone + Zone.lruLock);
}
