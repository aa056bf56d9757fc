/**
 * Processes that do as they please: random calls and accesses over a small address space. The two
 * builds and the three engines must agree on what they leave, and all must agree with the reference
 * model of contents.
 */
import { Prng } from '../base/prng.js';
import type { Vaddr } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { FRAMES, HUGE_PAGES, PAGE_SIZE, PMD_HUGE } from '../hardware/machine.js';
import { warmCachePage } from '../mm/filemap.js';
import { FILE_MEMORY } from '../mm/layout/file.js';
import { PG_readahead, PG_uptodate } from '../mm/layout/page.js';
import {
  MADV_DOFORK,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_KEEPONFORK,
  MADV_NOHUGEPAGE,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_RANDOM,
  MADV_REMOVE,
  MADV_WILLNEED,
  MADV_WIPEONFORK,
} from '../mm/madvise.js';
import { MCL_CURRENT, MCL_FUTURE, MLOCK_ONFAULT } from '../mm/mlock.js';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_LOCKED,
  MAP_NONBLOCK,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
} from '../mm/mmap.js';
import { MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE } from '../mm/mremap.js';
import { MS_ASYNC, MS_INVALIDATE, MS_SYNC } from '../mm/msync.js';
import { Contents } from '../oracle/contents.js';
import {
  checkedBrk,
  checkedLoad,
  checkedLockAll,
  checkedMadvise,
  checkedMincore,
  checkedMlock,
  checkedMmap,
  checkedMprotect,
  checkedMremap,
  checkedMsync,
  checkedMunlock,
  checkedMunmap,
  checkedRemapFilePages,
  checkedStore,
  checkedTruncate,
  execChecked,
  exitChecked,
  forkChecked,
  openCheckedFile,
  setBrkChecked,
  startChecked,
  switchChecked,
  type CheckedFile,
  type CheckedTask,
  type Checking,
} from './checkedCalls.js';
import { DEVICE_FAILS, MEMORY_FAILS, errorAt } from './report.js';

/** Where most operations happen: 64 pages around a leaf-table boundary of x86. */
const ARENA: Vaddr = 0x4000_0000 - 32 * PAGE_SIZE;
const ARENA_PAGES = 64;
const HEAP: Vaddr = 0x2000_0000;
const HEAP_PAGES = 32;
const STACK_TOP: Vaddr = 0x6000_0000;
/** How far below its top the stack is touched. */
const STACK_PAGES = 20;
/** Mappings reach behind the ends of files. */
const FILE_PAGES = 24;
const MAX_PAGES = 12;
/** Words of a page that are stored to and loaded. */
const PAGE_WORDS_USED = 16;
const MAX_PROCESSES = 4;
/** Three huge pages fit here. Only where frames suffice for some; and then memory may run out. */
const HUGE_ARENA: Vaddr = 0x7000_0000;
const HUGE_ARENA_PAGES = 3 * HUGE_PAGES;
const HAS_HUGE_PAGES = PMD_HUGE !== 0 && FRAMES >= 8 * HUGE_PAGES;

const ADVICE = [
  MADV_DONTNEED,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_FREE,
  MADV_REMOVE,
  MADV_DONTFORK,
  MADV_DOFORK,
  MADV_WIPEONFORK,
  MADV_KEEPONFORK,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_WILLNEED,
  MADV_RANDOM,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
];

/** A run of random operations. */
interface Run extends Checking {
  readonly random: Prng;
  readonly files: readonly CheckedFile[];
  /** All processes, the current one among them. */
  readonly tasks: CheckedTask[];
  /** Addresses that the VM chose for mappings, of whatever process. */
  readonly placed: Vaddr[];
  step: number;
  /** Of all results. */
  checksum: number;
}

/**
 * Runs `count` random operations in processes of its own and ends them, but for the last one when
 * `stay` is set.
 *
 * @param mayFail - NOTHING_FAILS, MEMORY_FAILS or DEVICE_FAILS
 * @returns a checksum of all results, or -1 where there was no memory to begin with
 * @throws InvariantError where the VM and the model of contents disagree
 */
export function* randomOperations(
  cpu: Cpu,
  seed: number,
  count: number,
  stay: number,
  mayFail: number,
): Op<number> {
  const run = yield* runOperations(cpu, seed, count, stay, mayFail);
  return run === undefined ? -1 : run.checksum;
}

/** Does the same, and ends all processes. @returns loads whose values were compared */
export function* checkedOperations(
  cpu: Cpu,
  seed: number,
  count: number,
  mayFail: number,
): Op<number> {
  const run = yield* runOperations(cpu, seed, count, 0, mayFail);
  return run === undefined ? 0 : run.loads;
}

/** @returns undefined where there was no memory to begin with */
function* runOperations(
  cpu: Cpu,
  seed: number,
  count: number,
  stay: number,
  mayFail: number,
): Op<Run | undefined> {
  const contents = new Contents();
  const first = yield* startChecked(cpu, contents, seed);
  const onDevice = yield* openCheckedFile(cpu, FILE_PAGES, 0, true);
  const inMemory = yield* openCheckedFile(cpu, FILE_PAGES, FILE_MEMORY, false);
  if (first === undefined || onDevice === undefined || inMemory === undefined) return undefined;
  const run: Run = {
    contents,
    mayRunOut: mayFail >= MEMORY_FAILS,
    deviceFails: mayFail >= DEVICE_FAILS,
    now: first,
    call: '',
    loads: 0,
    random: new Prng(seed),
    files: [onDevice, inMemory],
    tasks: [first],
    placed: [],
    step: 0,
    checksum: 0,
  };
  try {
    yield* switchChecked(cpu, run, first);
    yield* prepare(cpu, run);
    for (; run.step < count; run.step++) {
      const result = yield* randomOperation(cpu, run);
      run.checksum = (Math.imul(run.checksum, 31) + result) | 0;
    }
    while (run.tasks.length > stay) yield* endProcess(cpu, run);
  } catch (error) {
    throw errorAt(`seed ${seed}, step ${run.step}, ${run.call}`, error);
  }
  return run;
}

/** Gives a new address space a heap and a stack. */
function* prepare(cpu: Cpu, run: Run): Op<void> {
  yield* setBrkChecked(cpu, run, HEAP);
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN;
  yield* checkedMmap(cpu, run, STACK_TOP - PAGE_SIZE, PAGE_SIZE, 3, flags, undefined, 0);
}

/** Ends the current process, and goes on with the last of the others. */
function* endProcess(cpu: Cpu, run: Run): Op<void> {
  yield* exitChecked(cpu, run);
  run.tasks.splice(run.tasks.indexOf(run.now), 1);
  const next = run.tasks.at(-1);
  if (next !== undefined) yield* switchChecked(cpu, run, next);
}

function* randomOperation(cpu: Cpu, run: Run): Op<number> {
  const { random } = run;
  const { page, bytes } = randomRange(run);
  switch (random.below(16)) {
    case 0:
    case 1:
      return yield* randomMmap(cpu, run, page, bytes);
    case 2:
      return yield* randomCall(cpu, run, page, bytes);
    case 3:
      return yield* checkedMprotect(cpu, run, page, bytes, randomProt(random));
    case 4:
      return yield* randomMadvise(cpu, run, page, bytes);
    case 5:
      return yield* randomMremap(cpu, run, page, bytes);
    case 6:
      return yield* randomLife(cpu, run);
    case 7:
      yield* switchChecked(cpu, run, run.tasks[random.below(run.tasks.length)]);
      return 0;
    case 8:
    case 9:
    case 10:
    case 11:
      return yield* checkedStore(cpu, run, page + randomOffset(random), run.step + 1);
    default:
      return yield* checkedLoad(cpu, run, page + randomOffset(random));
  }
}

/** Calls that are made less often. */
function* randomCall(cpu: Cpu, run: Run, page: Vaddr, bytes: number): Op<number> {
  const { random } = run;
  switch (random.below(9)) {
    case 0:
    case 1:
      return yield* checkedMunmap(cpu, run, page, bytes);
    case 2:
      return yield* checkedBrk(cpu, run, HEAP + random.below(HEAP_PAGES) * PAGE_SIZE);
    case 3:
      return yield* randomLock(cpu, run, page, bytes);
    case 4: {
      const flags = [MS_ASYNC, MS_SYNC, MS_SYNC, MS_INVALIDATE][random.below(4)];
      return yield* checkedMsync(cpu, run, page, bytes, flags);
    }
    case 5:
      return yield* checkedMincore(cpu, run, page, bytes);
    case 6: {
      if (run.mayRunOut) return 0;
      const flags = random.below(2) * MAP_NONBLOCK;
      return yield* checkedRemapFilePages(cpu, run, page, bytes, random.below(FILE_PAGES), flags);
    }
    case 7:
      return yield* randomWarm(cpu, run);
    default: {
      const size = random.below(3) === 0 ? random.below(FILE_PAGES) : FILE_PAGES;
      yield* checkedTruncate(cpu, run, run.files[random.below(run.files.length)], size);
      return 0;
    }
  }
}

/** Mostly in the arena, otherwise where a process has its heap, its stack and its other mappings. */
function randomRange({ random, placed }: Run): { page: Vaddr; bytes: number } {
  const bytes = (1 + random.below(MAX_PAGES)) * PAGE_SIZE;
  const where = random.below(12);
  if (where === 0) return { page: HEAP + random.below(HEAP_PAGES) * PAGE_SIZE, bytes };
  if (where === 1) {
    return { page: STACK_TOP - (1 + random.below(STACK_PAGES)) * PAGE_SIZE, bytes };
  }
  if (where === 2 && placed.length > 0) {
    const place = placed[random.below(placed.length)];
    return { page: place + random.below(MAX_PAGES) * PAGE_SIZE, bytes };
  }
  if (where === 3 && HAS_HUGE_PAGES) return randomHugeRange(random);
  return { page: ARENA + random.below(ARENA_PAGES) * PAGE_SIZE, bytes };
}

/** Sometimes all of the arena of huge pages, so that they fit. */
function randomHugeRange(random: Prng): { page: Vaddr; bytes: number } {
  const first = random.below(3) === 0 ? 0 : random.below(HUGE_ARENA_PAGES);
  const pages = random.below(3) === 0 ? 1 + random.below(MAX_PAGES) : HUGE_ARENA_PAGES - first;
  return { page: HUGE_ARENA + first * PAGE_SIZE, bytes: pages * PAGE_SIZE };
}

/** Mostly what can be read and written. */
function randomProt(random: Prng): number {
  return random.below(3) === 0 ? random.below(8) : 3;
}

function* randomMmap(cpu: Cpu, run: Run, page: Vaddr, bytes: number): Op<number> {
  const { random } = run;
  const prot = randomProt(random);
  const sharing = random.below(2) === 0 ? MAP_SHARED : MAP_PRIVATE;
  switch (random.below(6)) {
    case 0: {
      const hint = random.below(2) * page;
      const flags = MAP_ANONYMOUS | sharing;
      return keepPlace(run, yield* checkedMmap(cpu, run, hint, bytes, prot, flags, undefined, 0));
    }
    case 1: {
      const flags = MAP_ANONYMOUS | sharing | randomFlags(random);
      return yield* checkedMmap(cpu, run, page, bytes, prot, flags, undefined, 0);
    }
    case 2:
    case 3: {
      const file = run.files[random.below(run.files.length)];
      const flags = sharing | randomFlags(random);
      return yield* checkedMmap(cpu, run, page, bytes, prot, flags, file, random.below(FILE_PAGES));
    }
    default: {
      const flags = MAP_ANONYMOUS | MAP_PRIVATE | randomFlags(random);
      return yield* checkedMmap(cpu, run, page, bytes, prot, flags, undefined, 0);
    }
  }
}

function* randomMadvise(cpu: Cpu, run: Run, page: Vaddr, bytes: number): Op<number> {
  const advice = ADVICE[run.random.below(ADVICE.length)];
  // Without memory for it, some of a file's pages are zeros and nobody is told which.
  if (advice === MADV_REMOVE && run.mayRunOut) return 0;
  return yield* checkedMadvise(cpu, run, page, bytes, advice);
}

function* randomLock(cpu: Cpu, run: Run, page: Vaddr, bytes: number): Op<number> {
  const { random } = run;
  switch (random.below(6)) {
    case 0:
    case 1:
      return yield* checkedMlock(cpu, run, page, bytes, random.below(2) * MLOCK_ONFAULT);
    case 2:
    case 3:
      return yield* checkedMunlock(cpu, run, page, bytes);
    case 4:
      return yield* checkedLockAll(cpu, run, [MCL_CURRENT, MCL_FUTURE][random.below(2)]);
    default:
      return yield* checkedLockAll(cpu, run, 0);
  }
}

/** An offset in a page. */
function randomOffset(random: Prng): number {
  return 4 * random.below(PAGE_WORDS_USED);
}

/** Where a mapping goes, and whether it is there at once. */
function randomFlags(random: Prng): number {
  const place = random.below(6) === 0 ? MAP_FIXED_NOREPLACE : MAP_FIXED;
  switch (random.below(10)) {
    case 0:
      return place | MAP_LOCKED;
    case 1:
    case 2:
      return place | MAP_POPULATE;
    default:
      return place;
  }
}

function* randomMremap(cpu: Cpu, run: Run, page: Vaddr, bytes: number): Op<number> {
  const { random } = run;
  const to = randomRange(run);
  const flags = random.below(4) === 0 ? 0 : MREMAP_MAYMOVE;
  switch (random.below(8)) {
    case 0:
      // The kernel unlocks all of the mapping that it finds there, however large: so let none be locked.
      yield* checkedLockAll(cpu, run, 0);
      return keepPlace(
        run,
        yield* checkedMremap(cpu, run, page, bytes, bytes, flags | MREMAP_DONTUNMAP, to.page),
      );
    case 1:
    case 2:
      return yield* randomMove(cpu, run, page, bytes, bytes, flags, to.page);
    case 3:
    case 4:
      return yield* randomMove(cpu, run, page, bytes, to.bytes, flags, to.page);
    case 5:
      return keepPlace(run, yield* checkedMremap(cpu, run, page, 0, to.bytes, flags, 0));
    default:
      return keepPlace(run, yield* checkedMremap(cpu, run, page, bytes, to.bytes, flags, 0));
  }
}

/** Moves to a place of the caller's choice. */
function* randomMove(
  cpu: Cpu,
  run: Run,
  page: Vaddr,
  bytes: number,
  newBytes: number,
  flags: number,
  to: Vaddr,
): Op<number> {
  // Of several mappings, some may move before memory runs out: which did shows where nothing was before.
  if (run.mayRunOut && newBytes === bytes) {
    const unmapped = yield* checkedMunmap(cpu, run, to, bytes);
    if (unmapped < 0) return unmapped;
  }
  return yield* checkedMremap(cpu, run, page, bytes, newBytes, flags | MREMAP_FIXED, to);
}

/** Remembers an address that the VM chose. */
function keepPlace({ placed }: Run, result: number): number {
  if (result > HUGE_ARENA + HUGE_ARENA_PAGES * PAGE_SIZE && !placed.includes(result))
    placed.push(result);
  return result;
}

/** Brings a page of a file into the cache before it is touched. */
function* randomWarm(cpu: Cpu, { random, files }: Run): Op<number> {
  const flags = random.below(4) === 0 ? PG_uptodate | PG_readahead : PG_uptodate;
  const { file } = files[random.below(files.length)];
  return (yield* warmCachePage(cpu, file, random.below(FILE_PAGES), flags)) ? 1 : 0;
}

/** Starts a process, ends one, or gives one a new address space. */
function* randomLife(cpu: Cpu, run: Run): Op<number> {
  const { random, tasks } = run;
  const pick = random.below(10);
  if (pick === 0 && tasks.length > 1) {
    yield* endProcess(cpu, run);
    return 2;
  }
  if (pick < 4 && tasks.length < MAX_PROCESSES) {
    const child = yield* forkChecked(cpu, run, run.step);
    if (child === undefined) return 0;
    tasks.push(child);
    if (random.below(2) === 0) yield* switchChecked(cpu, run, child);
    return 3;
  }
  if (pick !== 9 || !(yield* execChecked(cpu, run))) return 0;
  yield* prepare(cpu, run);
  return 1;
}
