/**
 * Tasks that walk page tables in high memory at the same time: on one CPU, whose slots they share, or on several, with a
 * pool of few slots. Whoever moves a page must find it where it went.
 */
import { ENOMEM } from '../base/errno.js';
import { InvariantError } from '../base/errors.js';
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { HIGHMEM, NODES, PAGE_SIZE } from '../hardware/machine.js';
import { Percpu, percpuOf } from '../mm/layout/percpu.js';
import { Zone, zoneOf } from '../mm/layout/zone.js';
import { lruAddDrain } from '../mm/lru.js';
import { MAP_FIXED, MAP_SHARED, PROT_READ, PROT_WRITE, sysMmap } from '../mm/mmap.js';
import { MREMAP_FIXED, MREMAP_MAYMOVE, sysMremap } from '../mm/mremap.js';
import { sysMunmap } from '../mm/munmap.js';
import { openFile } from '../mm/pagecache.js';
import { createTask, mmAlloc, switchTo } from '../mm/process.js';
import { procStatm } from '../mm/statm.js';
import { PAGE } from './addressSpaceRaces.js';
import { expectWord, mapAnonymous, storeWord } from './raceSteps.js';

/** Where pages go: another leaf table, which is not there yet. */
const ELSEWHERE: Vaddr = 0x2000_0000;
/** A page beside that which makes the table be there. */
const BESIDE: Vaddr = ELSEWHERE + PAGE_SIZE;
/** What the page of the first process holds; of the next one more. */
const HELD = 7;
/** A page that stays where it is, so that the table stays too. */
const STAYS: Vaddr = PAGE + 8 * PAGE_SIZE;
/** Memory that is there to be used up. */
const HOARD: Vaddr = 0x5000_0000;
/** Pages of a file that nobody maps any more, and that must be written before they can be had. */
const DIRTY_PAGES = 2;

/** How much memory is left for what is to move. */
export const enum Left {
  AMPLE,
  /** None but what must be written to a device first. */
  DIRTY,
  NONE,
}

/**
 * Makes processes with a page each, which holds HELD or a little more, and one that stays. Their tasks follow each other.
 *
 * @param processes - how many
 * @param beside - 1 if the table is there that the pages are to move to
 * @param left - memory, a `Left`
 * @returns the first task
 */
export function* highpteSetup(cpu: Cpu, processes: number, beside: number, left: Left): Op<Word> {
  let first = 0;
  for (let number = 0; number < processes; number++) {
    const task = yield* createTask(cpu, yield* mmAlloc(cpu), number + 1);
    if (number === 0) first = task;
    yield* switchTo(cpu, task);
    yield* mapAnonymous(cpu, PAGE, 1);
    yield* storeWord(cpu, PAGE, HELD + number);
    yield* mapAnonymous(cpu, STAYS, 1);
    yield* storeWord(cpu, STAYS, HELD);
    if (beside === 0) continue;
    yield* mapAnonymous(cpu, BESIDE, 1);
    yield* storeWord(cpu, BESIDE, HELD);
  }
  if (left === Left.DIRTY) yield* leaveDirtyPages(cpu);
  if (left !== Left.AMPLE) yield* useUpMemory(cpu, processes + 1);
  yield* switchTo(cpu, 0);
  return first;
}

/** Writes to pages of a file as the current task, and unmaps them. */
function* leaveDirtyPages(cpu: Cpu): Op<void> {
  const file = yield* openFile(cpu, DIRTY_PAGES, 0);
  const bytes = DIRTY_PAGES * PAGE_SIZE;
  const prot = PROT_READ | PROT_WRITE;
  yield* sysMmap(cpu, PAGE + PAGE_SIZE, bytes, prot, MAP_FIXED | MAP_SHARED, file, 0, 0);
  for (let page = 0; page < DIRTY_PAGES; page++) {
    yield* storeWord(cpu, PAGE + (1 + page) * PAGE_SIZE, HELD);
  }
  yield* sysMunmap(cpu, PAGE + PAGE_SIZE, bytes);
}

/** A process of its own maps all that is free. */
function* useUpMemory(cpu: Cpu, pid: number): Op<void> {
  yield* switchTo(cpu, yield* createTask(cpu, yield* mmAlloc(cpu), pid));
  const room = yield* freeFrames(cpu);
  yield* mapAnonymous(cpu, HOARD, room);
  for (let page = 0; (yield* freeFrames(cpu)) > 0; page++) {
    yield* storeWord(cpu, HOARD + page * PAGE_SIZE, HELD);
  }
  yield* lruAddDrain(cpu);
}

function* freeFrames(cpu: Cpu): Op<number> {
  let free = yield* cpu.load(percpuOf(cpu.id) + Percpu.pcpCount);
  if (HIGHMEM) free += yield* cpu.load(percpuOf(cpu.id) + Percpu.pcpLowCount);
  for (let node = 0; node < NODES; node++) free += yield* cpu.load(zoneOf(node) + Zone.freePages);
  return free;
}

/**
 * Moves a task's page to another leaf table, or finds it where it was if there is no memory for that table.
 *
 * @param number - of the task, from 0
 * @param left - memory, as the setup was told
 * @returns 0
 */
export function* moveElsewhere(cpu: Cpu, task: Word, number: number, left: Left): Op<number> {
  yield* switchTo(cpu, task);
  const flags = MREMAP_MAYMOVE | MREMAP_FIXED;
  const moved = yield* sysMremap(cpu, PAGE, PAGE_SIZE, PAGE_SIZE, flags, ELSEWHERE);
  const expected = left === Left.NONE ? -ENOMEM : ELSEWHERE;
  if (moved !== expected) throw new InvariantError(`mremap returned ${moved}`);
  yield* expectWord(cpu, moved < 0 ? PAGE : ELSEWHERE, HELD + number);
  return 0;
}

/** Counts a task's pages in memory: its own and, of a second thread, what that has at the time. @returns 0 */
export function* countResident(cpu: Cpu, task: Word, least: number, most: number): Op<number> {
  yield* switchTo(cpu, task);
  const resident = yield* procStatm(cpu, cpu.mm);
  if (resident >= least && resident <= most) return 0;
  throw new InvariantError(`${resident} pages are resident, should be ${least} to ${most}`);
}
