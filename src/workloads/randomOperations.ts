/**
 * Processes that do as they please: random calls and accesses over a small address space. The two
 * builds and the three engines must agree on what they leave, and all must agree with the reference
 * model of contents.
 */
import { Prng } from '../base/prng.js';
import type { Vaddr } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { warmCachePage } from '../mm/filemap.js';
import { FILE_MEMORY } from '../mm/layout/file.js';
import { PG_readahead, PG_uptodate } from '../mm/layout/page.js';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_LOCKED,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
} from '../mm/mmap.js';
import { MREMAP_FIXED, MREMAP_MAYMOVE } from '../mm/mremap.js';
import { Contents } from '../oracle/contents.js';
import {
  checkedBrk,
  checkedDontNeed,
  checkedLoad,
  checkedMmap,
  checkedMprotect,
  checkedMremap,
  checkedMunmap,
  checkedStore,
  execChecked,
  exitChecked,
  openCheckedFile,
  setBrkChecked,
  startChecked,
  switchChecked,
  type CheckedFile,
  type CheckedTask,
  type Checking,
} from './checkedCalls.js';
import { errorAt } from './report.js';

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

/** A run of random operations. */
interface Run extends Checking {
  readonly random: Prng;
  readonly files: readonly CheckedFile[];
  /** All processes, the current one among them. */
  readonly tasks: CheckedTask[];
  /** Addresses that the VM chose for mappings, of whatever process. */
  readonly placed: Vaddr[];
  step: number;
}

/**
 * Runs `count` random operations in processes of its own and ends them, but for the last one when
 * `stay` is set.
 *
 * @param mayRunOut - 1 where the machine is so small that memory may be full
 * @returns a checksum of all results, or -1 where there was no memory to begin with
 * @throws InvariantError where the VM and the model of contents disagree
 */
export function* randomOperations(
  cpu: Cpu,
  seed: number,
  count: number,
  stay: number,
  mayRunOut: number,
): Op<number> {
  const contents = new Contents();
  const first = yield* startChecked(cpu, contents, seed);
  const onDevice = yield* openCheckedFile(cpu, FILE_PAGES, 0, true);
  const inMemory = yield* openCheckedFile(cpu, FILE_PAGES, FILE_MEMORY, false);
  if (first === undefined || onDevice === undefined || inMemory === undefined) return -1;
  const run: Run = {
    contents,
    mayRunOut: mayRunOut !== 0,
    now: first,
    call: '',
    random: new Prng(seed),
    files: [onDevice, inMemory],
    tasks: [first],
    placed: [],
    step: 0,
  };
  let checksum = 0;
  try {
    yield* switchChecked(cpu, run, first);
    yield* prepare(cpu, run);
    for (; run.step < count; run.step++) {
      const result = yield* randomOperation(cpu, run);
      checksum = (Math.imul(checksum, 31) + result) | 0;
    }
    while (run.tasks.length > stay) yield* endProcess(cpu, run);
  } catch (error) {
    throw errorAt(`seed ${seed}, step ${run.step}, ${run.call}`, error);
  }
  return checksum;
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
  const page = randomPage(run);
  const bytes = (1 + random.below(MAX_PAGES)) * PAGE_SIZE;
  const prot = random.below(3) === 0 ? random.below(8) : 3;
  switch (random.below(24)) {
    case 0:
    case 1: {
      const flags = MAP_PRIVATE | MAP_ANONYMOUS | randomFlags(random);
      return yield* checkedMmap(cpu, run, page, bytes, prot, flags, undefined, 0);
    }
    case 2:
    case 3: {
      const flags = (random.below(2) === 0 ? MAP_SHARED : MAP_PRIVATE) | randomFlags(random);
      const file = run.files[random.below(run.files.length)];
      const pgoff = random.below(FILE_PAGES);
      return yield* checkedMmap(cpu, run, page, bytes, prot, flags, file, pgoff);
    }
    case 4: {
      const hint = random.below(2) * page;
      const flags = MAP_PRIVATE | MAP_ANONYMOUS;
      return keepPlace(run, yield* checkedMmap(cpu, run, hint, bytes, prot, flags, undefined, 0));
    }
    case 5:
      return yield* checkedMunmap(cpu, run, page, bytes);
    case 6:
    case 7:
      return yield* checkedMprotect(cpu, run, page, bytes, prot);
    case 8:
      return yield* checkedDontNeed(cpu, run, page, bytes);
    case 9:
      return yield* checkedBrk(cpu, run, HEAP + random.below(HEAP_PAGES) * PAGE_SIZE);
    case 10:
    case 11:
      return yield* randomMremap(cpu, run, page, bytes);
    case 12:
      return yield* randomWarm(cpu, run);
    case 13:
      return yield* randomLife(cpu, run);
    case 14: {
      yield* switchChecked(cpu, run, run.tasks[random.below(run.tasks.length)]);
      return 0;
    }
    case 15:
    case 16:
    case 17:
    case 18:
      return yield* checkedStore(cpu, run, page + randomOffset(random), run.step + 1);
    default:
      return yield* checkedLoad(cpu, run, page + randomOffset(random));
  }
}

/** Mostly in the arena, otherwise where a process has its heap, its stack and its other mappings. */
function randomPage({ random, placed }: Run): Vaddr {
  const where = random.below(10);
  if (where === 0) return HEAP + random.below(HEAP_PAGES) * PAGE_SIZE;
  if (where === 1) return STACK_TOP - (1 + random.below(STACK_PAGES)) * PAGE_SIZE;
  if (where === 2 && placed.length > 0) {
    return placed[random.below(placed.length)] + random.below(MAX_PAGES) * PAGE_SIZE;
  }
  return ARENA + random.below(ARENA_PAGES) * PAGE_SIZE;
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
  const newBytes = (1 + random.below(MAX_PAGES)) * PAGE_SIZE;
  const to = ARENA + random.below(ARENA_PAGES) * PAGE_SIZE;
  const flags = random.below(4) === 0 ? 0 : MREMAP_MAYMOVE;
  const fixed = random.below(2) === 0 ? MREMAP_FIXED : 0;
  return keepPlace(run, yield* checkedMremap(cpu, run, page, bytes, newBytes, flags | fixed, to));
}

/** Remembers an address that the VM chose. */
function keepPlace({ placed }: Run, result: number): number {
  if (result > STACK_TOP && !placed.includes(result)) placed.push(result);
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
  if (pick < 3 && tasks.length < MAX_PROCESSES) {
    const started = yield* startChecked(cpu, run.contents, run.step);
    if (started === undefined) return 0;
    tasks.push(started);
    yield* switchChecked(cpu, run, started);
    yield* prepare(cpu, run);
    return 3;
  }
  if (pick !== 9 || !(yield* execChecked(cpu, run))) return 0;
  yield* prepare(cpu, run);
  return 1;
}
