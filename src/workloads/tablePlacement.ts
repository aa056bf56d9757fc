/**
 * A process that was started on node 0 and goes on at node 1, to which its page tables have been moved, or its memory,
 * or both, or neither: what it does there to find out what that is worth (SPEC S2).
 *
 * Its data and its leaf tables are taken to be more than the caches hold: each load has its datum from memory, and each
 * miss of the TLB its leaf entry (the machine has `uncachedTables`). The levels above are in the walk cache.
 */
import { InvariantError } from '../base/errors.js';
import { Prng } from '../base/prng.js';
import type { Vaddr, Word } from '../base/units.js';
import { FrameWork, type Cpu, type Op } from '../hardware/cpu.js';
import { wordPfn } from '../hardware/frames.js';
import { ENTRY_WORDS, PAGE_SIZE, entryPfn, pfnNode } from '../hardware/machine.js';
import { walk } from '../hardware/mmu.js';
import { Zone } from '../mm/layout/zone.js';
import { lruAddDrain } from '../mm/lru.js';
import { migrateAnonymous } from '../mm/migratePages.js';
import { migratePageTables } from '../mm/migrateTables.js';
import { drainLocalPages, takePagesOfNode } from '../mm/pagealloc.js';
import { ptepGet } from '../mm/pte.js';
import { switchTo } from '../mm/process.js';
import { isUserFault, loadUser } from '../mm/user.js';
import { loadWord, mapAnonymous, startProcess, storeWord } from './raceSteps.js';
import { seedOf, steadyBase, steadySpan } from './steadyLoad.js';

const OLD_NODE = 0;
const NEW_NODE = 1;

/** What the process has: some pages of data, and room for new memory, of which every so many pages are in use. */
interface Room {
  readonly data: Vaddr;
  readonly pages: number;
  readonly fresh: Vaddr;
  /** Cache lines of leaf entries of the new memory. */
  readonly lines: number;
  readonly pagesPerLine: number;
}

function roomFor(pages: number, lines: number, lineBytes: number): Room {
  const data = steadyBase(0, pages);
  const fresh = data + steadySpan(pages) * PAGE_SIZE;
  return { data, pages, fresh, lines, pagesPerLine: lineBytes / (4 * ENTRY_WORDS) };
}

/** A page of new memory, of those whose entries share a cache line. @param number - in these, below 4 */
function pageOfLine({ fresh, pagesPerLine }: Room, line: number, number: number): Vaddr {
  return fresh + (line * pagesPerLine + number) * PAGE_SIZE;
}

/** Which of them are stored to on the old node, on the new one before anything is timed, and then. */
const BEFORE = 0;
const WARM = 1;
const TIMED = 2;

/**
 * Starts the process, stores to all of its data, and to a page for each cache line of the entries of its new memory.
 *
 * @returns its task
 */
export function* placementStart(
  cpu: Cpu,
  pages: number,
  lines: number,
  lineBytes: number,
): Op<Word> {
  const room = roomFor(pages, lines, lineBytes);
  const task = yield* startProcess(cpu);
  yield* mapAnonymous(cpu, room.data, pages);
  yield* mapAnonymous(cpu, room.fresh, lines * room.pagesPerLine);
  for (let page = 0; page < pages; page++) yield* storeWord(cpu, room.data + page * PAGE_SIZE, 1);
  for (let line = 0; line < lines; line++) {
    yield* storeWord(cpu, pageOfLine(room, line, BEFORE), 1);
  }
  yield* lruAddDrain(cpu);
  yield* switchTo(cpu, 0);
  return task;
}

/**
 * Moves the process's data and tables, as told, to the node of the calling CPU. Where the data are to stay, new memory
 * is to be had on the old node only: all else is taken.
 *
 * @returns 0
 */
export function* placementMove(cpu: Cpu, task: Word, tables: number, data: number): Op<number> {
  yield* switchTo(cpu, task);
  if (data === 1) {
    const { notMigrated } = yield* migrateAnonymous(cpu, cpu.mm, OLD_NODE, NEW_NODE);
    if (notMigrated > 0) throw new InvariantError(`${notMigrated} pages stay, all should move`);
  }
  if (tables === 1) yield* migratePageTables(cpu, cpu.mm, OLD_NODE, NEW_NODE);
  // Among them are frames of the old node, which have just been freed.
  yield* drainLocalPages(cpu);
  if (data === 0) {
    while ((yield* takePagesOfNode(cpu, NEW_NODE, 0, Zone.freeArea, false)) !== 0);
  }
  yield* switchTo(cpu, 0);
  return 0;
}

/**
 * Loads from the data at random, and then stores to new memory, each time to a page whose entry is on another cache
 * line. Notes when each of the two begins and ends. All that is not priced as memory has been touched before.
 *
 * @returns loads that missed the TLB
 */
export function* placementTouch(
  cpu: Cpu,
  task: Word,
  seed: number,
  loads: number,
  pages: number,
  lines: number,
  lineBytes: number,
): Op<number> {
  yield* switchTo(cpu, task);
  const room = roomFor(pages, lines, lineBytes);
  const random = new Prng(seedOf(seed, 0));
  for (let page = 0; page < pages; page++) yield* loadWord(cpu, room.data + page * PAGE_SIZE);
  yield* cpu.note(0);
  const misses = yield* loadAtRandom(cpu, room, random, loads);
  yield* cpu.note(0);
  for (let line = 0; line < lines; line++) {
    yield* storeWord(cpu, pageOfLine(room, line, WARM), 1);
  }
  yield* cpu.note(0);
  for (const line of random.shuffled([...Array(lines).keys()])) {
    yield* storeWord(cpu, pageOfLine(room, line, TIMED), 1);
  }
  yield* cpu.note(0);
  yield* switchTo(cpu, 0);
  return misses;
}

function* loadAtRandom(cpu: Cpu, { data, pages }: Room, random: Prng, loads: number): Op<number> {
  const into = [0];
  let misses = 0;
  for (let load = 0; load < loads; load++) {
    const address = data + random.below(pages) * PAGE_SIZE;
    if (cpu.tlb.lookup(address) === 0) misses++;
    const word = yield* loadUser(cpu, address, into);
    if (isUserFault(word)) throw new InvariantError('a load from a mapped page failed');
    yield* cpu.spendOn(FrameWork.READ_UNCACHED, word);
  }
  return misses;
}

/**
 * Looks where things are: all data, the new memory that was touched last, and all leaf tables.
 *
 * @param tables - 1 if the tables should be on the new node
 * @param data - the same of data and new memory
 * @returns what is elsewhere, in pages and tables
 */
export function* placementCheck(
  cpu: Cpu,
  task: Word,
  tables: number,
  data: number,
  pages: number,
  lines: number,
  lineBytes: number,
): Op<number> {
  yield* switchTo(cpu, task);
  const room = roomFor(pages, lines, lineBytes);
  const addresses: Vaddr[] = [];
  for (let page = 0; page < pages; page++) addresses.push(room.data + page * PAGE_SIZE);
  for (let line = 0; line < lines; line++) {
    addresses.push(pageOfLine(room, line, TIMED));
  }
  let elsewhere = 0;
  for (const address of addresses) {
    const ptep = yield* walk(cpu, address);
    if (pfnNode(wordPfn(ptep)) !== tables) elsewhere++;
    if (pfnNode(entryPfn(yield* ptepGet(cpu, ptep))) !== data) elsewhere++;
  }
  yield* switchTo(cpu, 0);
  return elsewhere;
}
