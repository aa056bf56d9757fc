/** Two threads of a process touch new pages in sequence, so that faults map pages ahead of them. */
import { InvariantError } from '../base/errors.js';
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import type { Access } from '../hardware/mmu.js';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  sysMmap,
} from '../mm/mmap.js';
import { createTask, mmAlloc, switchTo } from '../mm/process.js';
import { isUserFault, loadUser, storeUser, touchUser } from '../mm/user.js';
import { contentsError } from './report.js';

const RUN: Vaddr = 0x4000_0000;
/** The word of a page that the setup stores to. Behind it each CPU has one of its own. */
const SETUP_WORD = 0;
/** What the setup stores. */
const BEFORE = 7;

/**
 * Makes a process with an untouched mapping and two threads, whose tasks follow each other. The second stores to a
 * page; then the first touches pages from the start, in sequence.
 *
 * @param pages - of the mapping
 * @param touched - pages that the first touches
 * @param written - the page that the second stores to; -1 for none
 * @returns the first task
 */
export function* prefaultSetup(
  cpu: Cpu,
  pages: number,
  touched: number,
  access: Access,
  written: number,
): Op<Word> {
  const mm = yield* mmAlloc(cpu);
  const first = yield* createTask(cpu, mm, 1);
  const second = yield* createTask(cpu, mm, 2);
  yield* switchTo(cpu, second);
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  yield* sysMmap(cpu, RUN, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, 0, 0, 0);
  if (written >= 0) yield* storeUser(cpu, wordOf(written, SETUP_WORD), BEFORE);
  yield* switchTo(cpu, first);
  for (let page = 0; page < touched; page++) {
    yield* touchUser(cpu, wordOf(page, SETUP_WORD), access);
  }
  yield* switchTo(cpu, 0);
  return first;
}

/** Stores to a run of pages as a task, each to a word that no other CPU uses, and must find it all. @returns 0 */
export function* storePages(cpu: Cpu, task: Word, first: number, pages: number): Op<number> {
  yield* switchTo(cpu, task);
  const own = 1 + cpu.id;
  for (let page = first; page < first + pages; page++) {
    const stored = yield* storeUser(cpu, wordOf(page, own), 1 + page);
    if (isUserFault(stored)) throw new InvariantError(`a store to page ${page} failed`);
  }
  for (let page = first; page < first + pages; page++) {
    yield* expectWord(cpu, page, own, 1 + page);
  }
  return 0;
}

/**
 * Loads from a run of pages as a task, and must find what the setup left there.
 *
 * @param written - the page that the setup stored to; -1 for none
 * @returns 0
 */
export function* loadPages(
  cpu: Cpu,
  task: Word,
  first: number,
  pages: number,
  written: number,
): Op<number> {
  yield* switchTo(cpu, task);
  for (let page = first; page < first + pages; page++) {
    yield* expectWord(cpu, page, SETUP_WORD, page === written ? BEFORE : 0);
  }
  return 0;
}

function wordOf(page: number, word: number): Vaddr {
  return RUN + page * PAGE_SIZE + word * 4;
}

function* expectWord(cpu: Cpu, page: number, word: number, value: number): Op<void> {
  const into = [0];
  const loaded = yield* loadUser(cpu, wordOf(page, word), into);
  if (isUserFault(loaded)) throw new InvariantError(`a load from page ${page} failed`);
  if (into[0] === value) return;
  throw contentsError(`page ${page} holds ${into[0]}, should hold ${value}`);
}
