/**
 * The multi-task load behind the AIM7 table of the mail of 31 March 2005 (SPEC 1.14): processes that grow their
 * heap, map and unmap, write files, fork and protect, many at once on a few CPUs.
 *
 * What AIM7 does: one parent forks a number of tasks, which wait until all are there and then start together. Each
 * task has the same jobs as all others, some of every kind, in a random order of its own, and exits after the last.
 * There are 53 kinds; those that the VM sees are page and heap tests, fork and exec, shared memory, and files that
 * are created, copied and synced.
 *
 * What ours stands for: the tasks are forked from one parent and start together; their jobs, JOBS, are what such
 * tests ask of a VM, in an order that the seed gives. Each CPU takes turns among its tasks, a job at a time, so that
 * all of them are alive together. Where AIM7 writes files by calls, ours maps them shared and has them written back.
 *
 * Ours has a second thread in each task, which AIM7's have not: it reads the task's data on another CPU while the
 * first thread does its jobs, mprotect of that data among them. An entry that is taken away for a moment shows only
 * to another CPU that runs the same address space: with one thread a task neither form of the change could be told
 * from the other. So CPUs stand in pairs, which take each turn together, as a gang scheduler has it. No two threads
 * touch an untouched page together: that would be a spurious fault for the second of them under every design.
 *
 * A task's memory, in pages from BASE. One leaf table of any architecture holds all of it:
 *
 *   | 0 data, as the parent wrote it | 64 heap | 128 mapping of a job | 192 mapping of the file |
 */
import { InvariantError } from '../base/errors.js';
import { Prng } from '../base/prng.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { CPUS, PAGE_SIZE } from '../hardware/machine.js';
import { sysBrk } from '../mm/brk.js';
import { readCachePage, warmCachePage } from '../mm/filemap.js';
import { sysFork } from '../mm/fork.js';
import { Task } from '../mm/layout/mm.js';
import { PG_uptodate } from '../mm/layout/page.js';
import { putPage } from '../mm/lru.js';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
  sysMmap,
} from '../mm/mmap.js';
import { sysMprotect } from '../mm/mprotect.js';
import { MS_SYNC, sysMsync } from '../mm/msync.js';
import { sysMunmap } from '../mm/munmap.js';
import { openFile } from '../mm/pagecache.js';
import { createTask, exitTask, mmAlloc, setBrk, switchTo } from '../mm/process.js';
import { isUserFault, loadUser, storeUser, userFault } from '../mm/user.js';
import { vmFaultName } from '../mm/vmfault.js';

const BASE: Vaddr = 0x4000_0000;
const DATA_PAGES = 16;
const HEAP: Vaddr = BASE + 64 * PAGE_SIZE;
const MAPPING: Vaddr = BASE + 128 * PAGE_SIZE;
const FILE_MAPPING: Vaddr = BASE + 192 * PAGE_SIZE;
/** All tasks write to one file, which is cached. Behind it is a page for each pair of CPUs, where they meet. */
const FILE_PAGES = 64;
/** The words of such a page that count the turns of the two CPUs. The device's stamp comes first. */
const TURN_WORDS: Word = 4;

/** How much a job does, in pages touched. */
const HEAP_PAGES = 12;
const MAPPED_PAGES = 12;
const FILE_MAPPED_PAGES = 6;
const CHILD_PAGES = 4;
/** Times that a job protects its data and allows writes again. */
const PROTECTIONS = 6;
/** Loads by a job that computes, and by a task's second thread beside each job of the first. */
const COMPUTE_READS = 48;
const SECOND_READS = 160;
/** Work in user mode beside a touch, as often as Work.USER. */
const USER_WORK = 4;

/** What the parent writes to the first word of a data page, with the page's number added; it stays. */
const STAMP = 1000;
/** Where a task stores in a data page, in bytes from its start. */
const STORED_AT = 4;

/** Pairs of CPUs; the last may be one CPU. */
const PAIRS = Math.ceil(CPUS / 2);

const enum Job {
  COMPUTE,
  HEAP,
  MAP,
  FILE,
  FORK,
  PROTECT,
}

/** What each task does, as AIM7's mix: the same for all tasks, in an order of each one's own. */
const JOBS: readonly Job[] = [
  Job.COMPUTE,
  Job.COMPUTE,
  Job.HEAP,
  Job.HEAP,
  Job.MAP,
  Job.MAP,
  Job.FILE,
  Job.FILE,
  Job.FORK,
  Job.PROTECT,
];

/** Jobs that each task does. */
const JOBS_PER_TASK = JOBS.length;

/** What a pair of CPUs, or a CPU alone, does in turn: both run the same task at a time. */
interface Share {
  /** Whether another CPU takes the turns too. */
  readonly paired: boolean;
  /** In a pair: the words that count this CPU's turns and the other's. */
  readonly ownTurns: Word;
  readonly otherTurns: Word;
  readonly threads: readonly TaskThread[];
}

/** A thread of a task. */
interface TaskThread {
  readonly task: Word;
  /** Of the task, from 0. */
  readonly number: number;
  readonly random: Prng;
  /** In the order in which they are to be done; none for a second thread. */
  readonly jobs: readonly Job[];
}

/** Opens the file that tasks write to and CPUs meet in, all of it cached. @returns the file */
export function* multitaskFile(cpu: Cpu): Op<Word> {
  const pages = FILE_PAGES + PAIRS;
  const file = yield* openFile(cpu, pages, 0);
  for (let index = 0; index < pages; index++) {
    expectTrue(yield* warmCachePage(cpu, file, index, PG_uptodate), 'the file is cached');
  }
  return file;
}

/** Starts the process that tasks are forked from. @returns its task */
export function* multitaskParent(cpu: Cpu): Op<Word> {
  const mm = yield* mmAlloc(cpu);
  const task = yield* createTask(cpu, mm, 1);
  yield* switchTo(cpu, task);
  yield* setBrk(cpu, HEAP);
  yield* mapFixed(cpu, BASE, DATA_PAGES, MAP_PRIVATE | MAP_ANONYMOUS, 0, 0);
  for (let page = 0; page < DATA_PAGES; page++) {
    yield* storeAt(cpu, BASE + page * PAGE_SIZE, STAMP + page);
  }
  return task;
}

/** Forks a task of one thread so far, as the parent. @param number - from 0 @returns the thread */
export function* multitaskFork(cpu: Cpu, parent: Word, number: number): Op<Word> {
  yield* switchTo(cpu, parent);
  return yield* forkTask(cpu, pidOf(number));
}

/** Gives a task its second thread. @param first - the first @returns the second */
export function* multitaskThread(cpu: Cpu, first: Word, number: number): Op<Word> {
  const mm = yield* cpu.load(first + Task.mm);
  const second = yield* createTask(cpu, mm, pidOf(number));
  expectTrue(second !== 0, 'clone');
  return second;
}

/**
 * Runs the threads that are this CPU's, a job each in turn, until all have ended. Notes the number of a task as
 * each of its threads ends.
 *
 * @param records - of all tasks: a task's first thread, its second, the next task's first
 * @returns jobs done
 */
export function* multitaskShare(
  cpu: Cpu,
  file: Word,
  seed: number,
  ...records: number[]
): Op<number> {
  const page = FILE_PAGES + pairOf(cpu.id);
  const pfn = yield* readCachePage(cpu, file, page, PG_uptodate);
  const share = shareOf(cpu.id, frameOf(pfn) + TURN_WORDS, seed, records);
  // Both CPUs have taken as many turns in all runs before this one.
  let turns = yield* cpu.readOnce(share.ownTurns);
  let done = 0;
  for (let turn = 0; turn < JOBS_PER_TASK; turn++) {
    for (const thread of share.threads) {
      if (share.paired) yield* meet(cpu, share, ++turns);
      if (yield* takeTurn(cpu, thread, turn, file)) done++;
    }
  }
  yield* putPage(cpu, pfn);
  return done;
}

/** Waits until the other CPU of the pair has come to a turn too. */
function* meet(cpu: Cpu, { ownTurns, otherTurns }: Share, turn: number): Op<void> {
  yield* cpu.wakeUp(ownTurns);
  for (;;) {
    const other = yield* cpu.readOnce(otherTurns);
    if (other >= turn) return;
    yield* cpu.sleepOn(otherTurns, other);
  }
}

/** Lets a thread run for one of the task's jobs, and exit after the last. @returns whether it did the job */
function* takeTurn(cpu: Cpu, thread: TaskThread, turn: number, file: Word): Op<boolean> {
  yield* switchTo(cpu, thread.task);
  const first = turn < thread.jobs.length;
  if (first) yield* doJob(cpu, thread, thread.jobs[turn], file);
  else yield* readData(cpu, thread, SECOND_READS);
  if (turn + 1 === JOBS_PER_TASK) {
    yield* exitTask(cpu);
    yield* cpu.note(thread.number);
  }
  return first;
}

function pairOf(cpu: number): number {
  return cpu >> 1;
}

/**
 * What a CPU has to do: of every PAIRS-th task the first thread or the second, by turns; both where it has no
 * partner.
 *
 * @param turns - word of the first CPU's turns in the pair's page; the other's follows
 */
function shareOf(cpu: number, turns: Word, seed: number, records: readonly Word[]): Share {
  const side = cpu % 2;
  const paired = (cpu ^ 1) < CPUS;
  const threads: TaskThread[] = [];
  let swapped = 0;
  for (let number = pairOf(cpu); 2 * number < records.length; number += PAIRS) {
    for (const second of paired ? [side ^ swapped] : [0, 1]) {
      const task = records[2 * number + second];
      const random = new Prng(seed * 65_536 + 2 * number + second);
      threads.push({ task, number, random, jobs: second ? [] : random.shuffled(JOBS) });
    }
    swapped ^= 1;
  }
  return { paired, ownTurns: turns + side, otherTurns: turns + (side ^ 1), threads };
}

/** The parent has 1. Children of tasks have their task's. */
function pidOf(number: number): number {
  return number + 2;
}

function* doJob(cpu: Cpu, thread: TaskThread, job: Job, file: Word): Op<void> {
  switch (job) {
    case Job.COMPUTE:
      return yield* readData(cpu, thread, COMPUTE_READS);
    case Job.HEAP:
      return yield* growHeap(cpu);
    case Job.MAP:
      return yield* mapPrivate(cpu);
    case Job.FILE:
      return yield* writeFile(cpu, thread, file);
    case Job.FORK:
      return yield* forkChild(cpu, thread);
    case Job.PROTECT:
      return yield* protectData(cpu, thread);
  }
}

/** Loads from data pages in no order, with work between. */
function* readData(cpu: Cpu, { random }: TaskThread, times: number): Op<void> {
  for (let time = 0; time < times; time++) yield* loadStamp(cpu, random.below(DATA_PAGES));
}

/** Takes heap, uses it, and gives it back. */
function* growHeap(cpu: Cpu): Op<void> {
  const end = HEAP + HEAP_PAGES * PAGE_SIZE;
  expectTrue((yield* sysBrk(cpu, end)) === end, 'brk');
  for (let address = HEAP; address < end; address += PAGE_SIZE) yield* storeAt(cpu, address, 1);
  expectTrue((yield* sysBrk(cpu, HEAP)) === HEAP, 'brk back');
}

/** Maps private memory, reads half of it, writes to all, and unmaps it. */
function* mapPrivate(cpu: Cpu): Op<void> {
  yield* mapFixed(cpu, MAPPING, MAPPED_PAGES, MAP_PRIVATE | MAP_ANONYMOUS, 0, 0);
  for (let page = 0; page < MAPPED_PAGES; page++) {
    const address = MAPPING + page * PAGE_SIZE;
    if (page % 2 === 0) expectTrue((yield* loadAt(cpu, address)) === 0, 'new memory is zeros');
    yield* storeAt(cpu, address, page);
  }
  yield* unmap(cpu, MAPPING, MAPPED_PAGES);
}

/** Maps a part of the file shared, writes to it, has the first page written back, and writes to that again. */
function* writeFile(cpu: Cpu, { number, random }: TaskThread, file: Word): Op<void> {
  const first = random.below(FILE_PAGES - FILE_MAPPED_PAGES + 1);
  yield* mapFixed(cpu, FILE_MAPPING, FILE_MAPPED_PAGES, MAP_SHARED, file, first);
  for (let page = 0; page < FILE_MAPPED_PAGES; page++) {
    yield* storeAt(cpu, FILE_MAPPING + page * PAGE_SIZE, number);
  }
  expectTrue((yield* sysMsync(cpu, FILE_MAPPING, PAGE_SIZE, MS_SYNC)) === 0, 'msync');
  yield* storeAt(cpu, FILE_MAPPING, number);
  yield* unmap(cpu, FILE_MAPPING, FILE_MAPPED_PAGES);
}

/** Forks a child that writes to a part of the data, and exits; then writes itself. */
function* forkChild(cpu: Cpu, { task, number, random }: TaskThread): Op<void> {
  const child = yield* forkTask(cpu, pidOf(number));
  yield* switchTo(cpu, child);
  const first = random.below(DATA_PAGES - CHILD_PAGES + 1);
  for (let page = first; page < first + CHILD_PAGES; page++) {
    yield* storeAt(cpu, BASE + page * PAGE_SIZE + STORED_AT, -1);
    yield* loadStamp(cpu, page);
  }
  yield* exitTask(cpu);
  yield* switchTo(cpu, task);
  yield* storeData(cpu, first, number);
}

/** Protects the data against writes and allows them again, several times, as the second thread reads it. */
function* protectData(cpu: Cpu, { number, random }: TaskThread): Op<void> {
  for (let time = 0; time < PROTECTIONS; time++) {
    yield* protect(cpu, PROT_READ);
    yield* loadStamp(cpu, random.below(DATA_PAGES));
    yield* protect(cpu, PROT_READ | PROT_WRITE);
    yield* storeData(cpu, random.below(DATA_PAGES), number);
  }
}

function* protect(cpu: Cpu, prot: number): Op<void> {
  expectTrue((yield* sysMprotect(cpu, BASE, DATA_PAGES * PAGE_SIZE, prot)) === 0, 'mprotect');
}

/** Stores to a data page as its task: what is found there afterwards is the task's own. */
function* storeData(cpu: Cpu, page: number, number: number): Op<void> {
  const address = BASE + page * PAGE_SIZE + STORED_AT;
  yield* storeAt(cpu, address, number);
  expectTrue((yield* loadAt(cpu, address)) === number, 'a task finds what it stored');
}

/** Loads what the parent wrote, which nobody overwrites. */
function* loadStamp(cpu: Cpu, page: number): Op<void> {
  expectTrue((yield* loadAt(cpu, BASE + page * PAGE_SIZE)) === STAMP + page, 'data is as written');
}

function* storeAt(cpu: Cpu, address: Vaddr, value: number): Op<void> {
  yield* userWork(cpu);
  const stored = yield* storeUser(cpu, address, value);
  if (isUserFault(stored)) throw new InvariantError(`store: ${vmFaultName(userFault(stored))}`);
}

function* loadAt(cpu: Cpu, address: Vaddr): Op<number> {
  yield* userWork(cpu);
  const into = [0];
  const loaded = yield* loadUser(cpu, address, into);
  if (isUserFault(loaded)) throw new InvariantError(`load: ${vmFaultName(userFault(loaded))}`);
  return into[0];
}

function* userWork(cpu: Cpu): Op<void> {
  for (let time = 0; time < USER_WORK; time++) yield* cpu.spend(Work.USER);
}

function* mapFixed(
  cpu: Cpu,
  address: Vaddr,
  pages: number,
  flags: number,
  file: Word,
  pgoff: number,
): Op<void> {
  const prot = PROT_READ | PROT_WRITE;
  const bytes = pages * PAGE_SIZE;
  const mapped = yield* sysMmap(cpu, address, bytes, prot, flags | MAP_FIXED, file, pgoff, 0);
  expectTrue(mapped === address, 'mmap');
}

function* unmap(cpu: Cpu, address: Vaddr, pages: number): Op<void> {
  expectTrue((yield* sysMunmap(cpu, address, pages * PAGE_SIZE)) === 0, 'munmap');
}

/** @returns the child's task */
function* forkTask(cpu: Cpu, pid: number): Op<Word> {
  const task = yield* sysFork(cpu, pid);
  expectTrue(task > 0, 'fork');
  return task;
}

/** Machines are made large enough: nothing may fail. */
function expectTrue(holds: boolean, what: string): void {
  if (!holds) throw new InvariantError(`multitask: ${what}: it is not so`);
}
