/**
 * Threads that map, unmap, protect and use the same memory at once, in one process or in several
 * that map the same files.
 *
 * Every thread has a word of its own in each page and stores to no other, and no value twice. So it
 * knows what it may find there, whatever the others do:
 *
 *   memory                     a load of the own word gives
 *   stack, which stays         what was stored last
 *   shared files               what was stored last: a page keeps it while it is not mapped
 *   private memory, heap       what was stored last there, or 0 where the page was dropped since:
 *                              and then 0 for ever, since nothing may come back
 *   memory that is moved       0, or anything that was stored to such memory
 *
 * A forked child is the thread's alone: what it finds there once it finds again, and what it stores
 * the parent never sees.
 *
 * Nobody stores to the first words, by which pages of files can be told from each other.
 */
import { EFAULT, ENOMEM } from '../base/errno.js';
import { InvariantError } from '../base/errors.js';
import { Prng } from '../base/prng.js';
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { filePageWord } from '../hardware/device.js';
import { PAGES_PER_BYTE, PAGE_SIZE } from '../hardware/machine.js';
import { sysBrk } from '../mm/brk.js';
import { openFile } from '../mm/pagecache.js';
import { sysFork } from '../mm/fork.js';
import { FILE_MEMORY, File } from '../mm/layout/file.js';
import { RECORD_WORDS } from '../mm/layout/slab.js';
import { MADV_DONTNEED, sysMadvise } from '../mm/madvise.js';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_GROWSDOWN,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  sysMmap,
} from '../mm/mmap.js';
import { MREMAP_FIXED, MREMAP_MAYMOVE, sysMremap } from '../mm/mremap.js';
import { sysMprotect } from '../mm/mprotect.js';
import { sysMunmap } from '../mm/munmap.js';
import { createTask, exitTask, mmAlloc, setBrk, switchTo } from '../mm/process.js';
import { isUserFault, loadUser, storeUser, userFault } from '../mm/user.js';
import { VM_FAULT_OOM, VM_FAULT_SIGBUS, VM_FAULT_SIGSEGV, vmFaultName } from '../mm/vmfault.js';
import { DEVICE_FAILS, MEMORY_FAILS, called, contentsError, errorAt } from './report.js';

/** What a thread may find at its own word. */
type Keeping = 'last' | 'last or fresh' | 'any or fresh';

/** Memory that is used in one way. */
interface Region {
  readonly base: Vaddr;
  readonly pages: number;
  readonly keeping: Keeping;
  /** Which of the files is mapped, page for page; -1 for none. */
  readonly file: number;
  readonly shared: boolean;
}

/** Where the memory of a process is, by use. */
interface Regions {
  readonly heap: Region;
  readonly stack: Region;
  readonly moved: Region;
  /** Where calls change what is mapped. */
  readonly arenas: readonly Region[];
  readonly all: readonly Region[];
}

const HEAP: Vaddr = 0x2000_0000;
const STACK_TOP: Vaddr = 0x6000_0000;
const STACK_PAGES = 20;
/** In the middle of the arena is a leaf-table boundary of x86. */
const ARENA_MIDDLE: Vaddr = 0x4000_0000;

/** @param pages - of each region but the stack */
function regionsOf(pages: number): Regions {
  const arena = ARENA_MIDDLE - Math.floor(pages / 2) * PAGE_SIZE;
  // Regions of the arena lie apart, so that no two of them become one mapping.
  const stride = (pages + 1) * PAGE_SIZE;
  const own = { pages, file: -1, shared: false };
  const shared = { pages, keeping: 'last', shared: true } as const;
  const heap: Region = { ...own, base: HEAP, keeping: 'last or fresh' };
  const moved: Region = { ...own, base: arena + 3 * stride, keeping: 'any or fresh' };
  const stack: Region = {
    ...own,
    base: STACK_TOP - STACK_PAGES * PAGE_SIZE,
    pages: STACK_PAGES,
    keeping: 'last',
  };
  const arenas: Region[] = [
    { ...own, base: arena, keeping: 'last or fresh', file: 0 },
    { ...shared, base: arena + stride, file: 1 },
    { ...shared, base: arena + 2 * stride, file: 2 },
    moved,
  ];
  return { heap, stack, moved, arenas, all: [...arenas, heap, stack] };
}

/** FILE_ bits of the files that regions map. */
const FILE_FLAGS = [0, 0, FILE_MEMORY];
/** The first word that is a thread's own. */
const FIRST_OWN_WORD = 2;
/** A call is about this part of a region at most. */
const PART = 3 / 8;

/** Of how many loads one is followed by a fork. */
const FORK_EVERY = 40;
const CHILD_PAGES = 8;

/** A thread, and what it knows. */
interface SharedThread {
  readonly task: Word;
  readonly regions: Regions;
  readonly random: Prng;
  /** Of all threads that share memory, in this process or others. */
  readonly number: number;
  readonly files: readonly Word[];
  readonly mayRunOut: boolean;
  readonly deviceFails: boolean;
  /** What it stored last, by page, where nothing has dropped it since. */
  readonly stored: Map<Vaddr, number>;
  /** All that it stored to memory that is moved. */
  readonly moved: Set<number>;
  /** A child's is its parent's. */
  readonly progress: Progress;
}

interface Progress {
  step: number;
  /** Values stored, so that none is stored twice. */
  values: number;
  /** The last call, for the report of what is wrong. */
  call: string;
}

/**
 * Opens the files that are mapped.
 *
 * @param pages - of each file, and of each region but the stack
 * @returns the first; the others' records follow it
 */
export function* sharedFiles(cpu: Cpu, pages: number): Op<Word> {
  const first = yield* openFile(cpu, pages, FILE_FLAGS[0]);
  for (const flags of FILE_FLAGS.slice(1)) yield* openFile(cpu, pages, flags);
  return first;
}

/** Starts a process for threads to run `sharedOperations` in. @returns its first task */
export function* sharedStart(cpu: Cpu): Op<Word> {
  const mm = yield* mmAlloc(cpu);
  const first = yield* createTask(cpu, mm, 1);
  yield* switchTo(cpu, first);
  yield* setBrk(cpu, HEAP);
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN;
  yield* sysMmap(cpu, STACK_TOP - PAGE_SIZE, PAGE_SIZE, 3, flags, 0, 0, 0);
  return first;
}

/**
 * Does random operations as one thread, beside others that do the same.
 *
 * @param number - of the thread: no other that shares memory with it has the same
 * @param firstFile - as `sharedFiles` gave it
 * @param mayFail - NOTHING_FAILS, MEMORY_FAILS or DEVICE_FAILS
 * @returns loads that found what the thread had stored
 * @throws InvariantError where a load finds what it may not
 */
export function* sharedOperations(
  cpu: Cpu,
  task: Word,
  seed: number,
  count: number,
  number: number,
  firstFile: Word,
  mayFail: number,
): Op<number> {
  yield* switchTo(cpu, task);
  const pages = yield* cpu.load(firstFile + File.size);
  const progress: Progress = { step: 0, values: 0, call: '' };
  const thread: SharedThread = {
    task,
    regions: regionsOf(pages),
    random: new Prng(seed),
    number,
    files: FILE_FLAGS.map((_, place) => firstFile + place * RECORD_WORDS.file),
    mayRunOut: mayFail >= MEMORY_FAILS,
    deviceFails: mayFail >= DEVICE_FAILS,
    stored: new Map(),
    moved: new Set(),
    progress,
  };
  let found = 0;
  try {
    for (; progress.step < count; progress.step++) {
      if (yield* sharedOperation(cpu, thread)) found++;
    }
  } catch (error) {
    throw errorAt(`seed ${seed}, step ${progress.step}, thread ${number}, ${progress.call}`, error);
  }
  return found;
}

/** @returns whether it was a load that found what the thread had stored */
function* sharedOperation(cpu: Cpu, thread: SharedThread): Op<boolean> {
  const { random, regions } = thread;
  const operation = random.below(16);
  if (operation < 8) {
    const region = regions.all[random.below(regions.all.length)];
    const page = region.base + random.below(region.pages) * PAGE_SIZE;
    if (operation < 3) yield* storeOwn(cpu, thread, region, page);
    else if (operation < 7) return yield* loadOwn(cpu, thread, region, page);
    else if (random.below(FORK_EVERY) === 0) yield* runChild(cpu, thread);
    else yield* loadStamp(cpu, thread, region, page);
    return false;
  }
  const region = regions.arenas[random.below(regions.arenas.length)];
  const first = random.below(region.pages);
  const page = region.base + first * PAGE_SIZE;
  const most = Math.min(region.pages * PART, region.pages - first);
  const bytes = (1 + random.below(most)) * PAGE_SIZE;
  const prot = random.below(3) === 0 ? random.below(8) : 3;
  switch (operation) {
    case 8:
    case 9:
    case 10:
      yield* mapAgain(cpu, thread, region, page, bytes, prot);
      break;
    case 11:
      thread.progress.call = called('munmap', page, bytes);
      expectResult(thread, yield* sysMunmap(cpu, page, bytes), [0]);
      forget(thread, region, page, bytes);
      break;
    case 12:
    case 13:
      thread.progress.call = called('mprotect', page, bytes, prot);
      expectResult(thread, yield* sysMprotect(cpu, page, bytes, prot), [0, -ENOMEM]);
      break;
    case 14:
      if (region === regions.moved) yield* moveWithin(cpu, thread, page, bytes);
      else yield* resizeInPlace(cpu, thread, region, page, bytes);
      break;
    default:
      if (random.below(2) === 0) {
        yield* resizeHeap(cpu, thread);
      } else {
        thread.progress.call = called('madvise', page, bytes, MADV_DONTNEED);
        const result = yield* sysMadvise(cpu, page, bytes, MADV_DONTNEED);
        expectResult(thread, result, [0, -ENOMEM]);
        forget(thread, region, page, bytes);
      }
  }
  return false;
}

function* storeOwn(cpu: Cpu, thread: SharedThread, region: Region, page: Vaddr): Op<void> {
  const value = ownValue(thread);
  const address = ownAddress(thread, page);
  thread.progress.call = called('store', address, value);
  const result = yield* storeUser(cpu, address, value);
  if (isUserFault(result)) return expectFault(thread, region, userFault(result));
  thread.stored.set(page, value);
  if (region === thread.regions.moved) thread.moved.add(value);
}

/** @returns whether the page still held what was stored */
function* loadOwn(cpu: Cpu, thread: SharedThread, region: Region, page: Vaddr): Op<boolean> {
  const into = [0];
  const address = ownAddress(thread, page);
  thread.progress.call = called('load', address);
  const result = yield* loadUser(cpu, address, into);
  if (isUserFault(result)) {
    expectFault(thread, region, userFault(result));
    return false;
  }
  const [value] = into;
  const last = thread.stored.get(page) ?? 0;
  const fresh = value === 0 && region.keeping !== 'last';
  const any = region.keeping === 'any or fresh' && thread.moved.has(value);
  if (value !== last && !fresh && !any) {
    throw contentsError(`contents: got ${value}, expected ${region.keeping}: ${last}`);
  }
  if (value === 0) thread.stored.delete(page);
  return value !== 0;
}

/** Loads one of the words that nobody stores to. */
function* loadStamp(cpu: Cpu, thread: SharedThread, region: Region, page: Vaddr): Op<void> {
  const word = thread.random.below(FIRST_OWN_WORD);
  const into = [0];
  thread.progress.call = called('load', page + 4 * word);
  const result = yield* loadUser(cpu, page + 4 * word, into);
  if (isUserFault(result)) return expectFault(thread, region, userFault(result));
  const onDevice = region.file >= 0 && FILE_FLAGS[region.file] === 0;
  const index = (page - region.base) * PAGES_PER_BYTE;
  const stamp = onDevice ? filePageWord(thread.files[region.file], index, word) : 0;
  const [value] = into;
  if (value !== stamp && (region.shared || value !== 0)) {
    throw contentsError(`contents: got ${value}, expected ${stamp}`);
  }
}

/** Forks, and uses private memory in the child, where nobody else does. */
function* runChild(cpu: Cpu, parent: SharedThread): Op<void> {
  parent.progress.call = called('fork', parent.number);
  const task = yield* sysFork(cpu, parent.number);
  if (task <= 0) return expectResult(parent, task, []);
  yield* switchTo(cpu, task);
  const child = { ...parent, task, stored: new Map(parent.stored), moved: new Set(parent.moved) };
  const regions = parent.regions.all.filter(({ shared }) => !shared);
  for (let count = 0; count < CHILD_PAGES; count++) {
    const region = regions[child.random.below(regions.length)];
    const page = region.base + child.random.below(region.pages) * PAGE_SIZE;
    yield* loadOwn(cpu, child, region, page);
    yield* expectToStay(cpu, child, page);
    yield* storeOwn(cpu, child, region, page);
    yield* expectToStay(cpu, child, page);
  }
  yield* exitTask(cpu);
  yield* switchTo(cpu, parent.task);
}

/** In memory that nobody else uses, what was stored or loaded last is still there. */
function* expectToStay(cpu: Cpu, thread: SharedThread, page: Vaddr): Op<void> {
  const into = [0];
  if (isUserFault(yield* loadUser(cpu, ownAddress(thread, page), into))) return;
  const last = thread.stored.get(page);
  if (last !== undefined && into[0] !== last) {
    throw contentsError(`contents: got ${into[0]} in the child, expected ${last}`);
  }
}

/** Maps a part of a region anew. */
function* mapAgain(
  cpu: Cpu,
  thread: SharedThread,
  region: Region,
  page: Vaddr,
  bytes: number,
  prot: number,
): Op<void> {
  const { random } = thread;
  // Private memory is sometimes that of a file, sometimes not.
  const anonymous = !region.shared && (region.file < 0 || random.below(3) > 0);
  const file = anonymous ? 0 : thread.files[region.file];
  const pgoff = anonymous ? 0 : (page - region.base) * PAGES_PER_BYTE;
  const populate = random.below(4) === 0 ? MAP_POPULATE : 0;
  const sharing = region.shared ? MAP_SHARED : MAP_PRIVATE;
  const flags = MAP_FIXED | sharing | populate | (anonymous ? MAP_ANONYMOUS : 0);
  thread.progress.call = called('mmap', page, bytes, prot, flags, file, pgoff);
  const result = yield* sysMmap(cpu, page, bytes, prot, flags, file, pgoff, 0);
  expectResult(thread, result, [page]);
  if (result === page) forget(thread, region, page, bytes);
}

function* moveWithin(cpu: Cpu, thread: SharedThread, page: Vaddr, bytes: number): Op<void> {
  const { random } = thread;
  const { moved } = thread.regions;
  const newBytes = (1 + random.below(moved.pages * PART)) * PAGE_SIZE;
  const last = moved.pages - newBytes * PAGES_PER_BYTE;
  const to = moved.base + random.below(last + 1) * PAGE_SIZE;
  if (to < page + bytes && page < to + newBytes) return;
  const flags = MREMAP_MAYMOVE | MREMAP_FIXED;
  thread.progress.call = called('mremap', page, bytes, newBytes, flags, to);
  const result = yield* sysMremap(cpu, page, bytes, newBytes, flags, to);
  expectResult(thread, result, [to, -EFAULT]);
}

function* resizeInPlace(
  cpu: Cpu,
  thread: SharedThread,
  region: Region,
  page: Vaddr,
  bytes: number,
): Op<void> {
  const room = region.base + region.pages * PAGE_SIZE - page;
  const newBytes = (1 + thread.random.below(room * PAGES_PER_BYTE)) * PAGE_SIZE;
  thread.progress.call = called('mremap', page, bytes, newBytes);
  const result = yield* sysMremap(cpu, page, bytes, newBytes, 0, 0);
  expectResult(thread, result, [page, -EFAULT, -ENOMEM]);
  if (result === page) forget(thread, region, page + newBytes, bytes - newBytes);
}

function* resizeHeap(cpu: Cpu, thread: SharedThread): Op<void> {
  const { heap } = thread.regions;
  const end = heap.base + thread.random.below(heap.pages) * PAGE_SIZE;
  thread.progress.call = called('brk', end);
  const result = yield* sysBrk(cpu, end);
  // Where there is no memory for it, the answer is where another thread has put the end.
  if (result === end) forget(thread, heap, end, heap.base + heap.pages * PAGE_SIZE - end);
  else if (!thread.mayRunOut) expectResult(thread, result, [end]);
}

/** What was stored in a range that this thread unmapped is gone for certain, but for shared memory. */
function forget({ stored }: SharedThread, region: Region, start: Vaddr, bytes: number): void {
  if (region.shared) return;
  for (let page = start; page < start + bytes; page += PAGE_SIZE) stored.delete(page);
}

/** A value that no thread has stored before. */
function ownValue({ progress, number }: SharedThread): number {
  return ++progress.values * 256 + number;
}

function ownAddress({ number }: SharedThread, page: Vaddr): Vaddr {
  return page + 4 * (FIRST_OWN_WORD + number);
}

function expectResult(thread: SharedThread, result: number, expected: readonly number[]): void {
  if (expected.includes(result) || (thread.mayRunOut && result === -ENOMEM)) return;
  throw new InvariantError(`got ${result}, expected ${expected.join(' or ')}`);
}

/** Others unmap and protect, but not the stack. */
function expectFault(thread: SharedThread, region: Region, fault: number): void {
  if (thread.mayRunOut && fault === VM_FAULT_OOM) return;
  if (thread.deviceFails && fault === VM_FAULT_SIGBUS) return;
  if (fault === VM_FAULT_SIGSEGV && (region !== thread.regions.stack || thread.mayRunOut)) return;
  throw new InvariantError(`got ${vmFaultName(fault)}`);
}
