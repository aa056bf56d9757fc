/**
 * Memory that page tables are to leave (Biro, April 2008): frames that are taken off-line, and blocks that tables alone
 * keep from being whole. Nothing is kept for it where a table is made: whose one is, is found by a look at all address
 * spaces.
 */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { FRAMES } from '../hardware/machine.js';
import { RESERVED_FRAMES } from './boot.js';
import { freeTable, type GoneTable } from './freepgtables.js';
import { Mm } from './layout/mm.js';
import { PG_table, Page, pageOf } from './layout/page.js';
import { Slab, TABLES } from './layout/slab.js';
import { moveTables } from './migrateTables.js';
import { drainLocalPages } from './pagealloc.js';
import { mmPut } from './process.js';
import type { Move, Moved } from './relocate.js';
import { allocTableFrom } from './tableSource.js';

/**
 * Moves all page tables out of a range of frames, spare ones too. What is free there is not taken for them.
 *
 * @param end - one past the last
 */
export function* moveTablesOutOf(cpu: Cpu, start: Pfn, end: Pfn): Op<Moved> {
  const taken: GoneTable[] = [];
  const moved = yield* moveTablesOfAll(cpu, {
    wants: (pfn) => pfn >= start && pfn < end,
    source: { refused: { start, end, taken } },
  });
  for (const { pfn, level } of taken) yield* freeTable(cpu, pfn, level);
  return moved;
}

/** Moves the page tables of all address spaces, spare ones too. Locks: none. */
export function* moveTablesOfAll(cpu: Cpu, move: Move): Op<Moved> {
  const total: Moved = { moved: 0, skipped: 0, noMemory: false };
  let mm = yield* getNextMm(cpu, 0);
  while (mm !== 0) {
    const { moved, skipped, noMemory } = yield* moveTables(cpu, mm, move);
    total.moved += moved;
    total.skipped += skipped;
    total.noMemory ||= noMemory;
    if (!noMemory) total.moved += yield* moveSpareTables(cpu, mm, move);
    const next = yield* getNextMm(cpu, mm);
    yield* mmPut(cpu, mm);
    mm = next;
  }
  return total;
}

/** Takes a use of the first address space behind one, or of the first. @returns it, or 0 where there is none */
export function* getNextMm(cpu: Cpu, after: Word): Op<Word> {
  const { slab, base, record } = TABLES.mm;
  const end = yield* cpu.readOnce(slab + Slab.fresh);
  for (let mm = after === 0 ? base : after + record; mm < end; mm += record) {
    if (yield* mmgetNotZero(cpu, mm)) return mm;
  }
  return 0;
}

/** Takes a use of an address space that has any (Linux: mmget_not_zero). @returns whether it did */
function* mmgetNotZero(cpu: Cpu, mm: Word): Op<boolean> {
  for (;;) {
    const users = yield* cpu.readOnce(mm + Mm.mmUsers);
    if (users === 0) return false;
    if (yield* cpu.cas(mm + Mm.mmUsers, users, users + 1)) return true;
  }
}

/** Gives spare tables of huge pages other frames: nothing leads to them but the list. @returns how many */
function* moveSpareTables(cpu: Cpu, mm: Word, move: Move): Op<number> {
  const wanted = yield* countSpareTables(cpu, mm, move);
  let moved = 0;
  while (moved < wanted) {
    const to = yield* allocTableFrom(cpu, move.source, 0);
    if (to === 0) break;
    const from = yield* replaceSpareTable(cpu, mm, move, to);
    yield* freeTable(cpu, from === 0 ? to : from, 0);
    if (from === 0) break;
    moved++;
  }
  return moved;
}

function* countSpareTables(cpu: Cpu, mm: Word, move: Move): Op<number> {
  let wanted = 0;
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  for (
    let table = yield* cpu.load(mm + Mm.spareTables);
    table !== 0;
    table = yield* cpu.load(pageOf(table) + Page.lruNext)
  ) {
    if (move.wants(table, 0)) wanted++;
  }
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  return wanted;
}

/** Puts a table in the place of a wanted one. @returns that, or 0 where there is none any more */
function* replaceSpareTable(cpu: Cpu, mm: Word, move: Move, to: Pfn): Op<Pfn> {
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const link = yield* findSpareTable(cpu, mm, move);
  let from = 0;
  if (link !== 0) {
    from = yield* cpu.load(link);
    const next = yield* cpu.load(pageOf(from) + Page.lruNext);
    yield* cpu.store(pageOf(to) + Page.lruNext, next);
    yield* cpu.store(pageOf(from) + Page.lruNext, 0);
    yield* cpu.store(link, to);
  }
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  return from;
}

/** @returns the word that leads to a wanted spare table, or 0. Locks: page_table_lock */
function* findSpareTable(cpu: Cpu, mm: Word, move: Move): Op<Word> {
  let link = mm + Mm.spareTables;
  for (;;) {
    const table = yield* cpu.load(link);
    if (table === 0) return 0;
    if (move.wants(table, 0)) return link;
    link = pageOf(table) + Page.lruNext;
  }
}

/**
 * Makes a block of 2^order frames free that page tables alone keep from it: the one with the fewest.
 *
 * @returns its first frame, or 0 where there is none, or it could not be freed
 */
export function* defragment(cpu: Cpu, order: number): Op<Pfn> {
  yield* drainLocalPages(cpu);
  const frames = 2 ** order;
  let best = 0;
  let fewest = frames + 1;
  for (let first = frames; first + frames <= FRAMES; first += frames) {
    const tables = yield* tablesAlone(cpu, first, frames);
    if (tables > 0 && tables < fewest) {
      best = first;
      fewest = tables;
    }
  }
  if (best < RESERVED_FRAMES) return 0;
  yield* moveTablesOutOf(cpu, best, best + frames);
  yield* drainLocalPages(cpu);
  return (yield* tablesAlone(cpu, best, frames)) === 0 ? best : 0;
}

/** @returns tables in a block of which all else is free; -1 where anything else is in use. */
function* tablesAlone(cpu: Cpu, first: Pfn, frames: number): Op<number> {
  let tables = 0;
  for (let pfn = first; pfn < first + frames; pfn++) {
    if ((yield* cpu.readOnce(pageOf(pfn) + Page.refcount)) === 0) continue;
    if (((yield* cpu.readOnce(pageOf(pfn) + Page.flags)) & PG_table) === 0) return -1;
    tables++;
  }
  return tables;
}
