/**
 * A process that does as it pleases: random calls and touches over a small address space. The two
 * builds and the three engines must agree on what it leaves.
 */
import { Prng } from '../base/prng.js';
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { sysBrk } from '../mm/brk.js';
import { openFile, warmCachePage } from '../mm/filemap.js';
import { PG_readahead, PG_uptodate } from '../mm/layout/page.js';
import { VM_GROWSDOWN } from '../mm/layout/vma.js';
import { MADV_DONTNEED, sysMadvise } from '../mm/madvise.js';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  sysMmap,
} from '../mm/mmap.js';
import { MREMAP_MAYMOVE, sysMremap } from '../mm/mremap.js';
import { sysMprotect } from '../mm/mprotect.js';
import { sysMunmap } from '../mm/munmap.js';
import { createTask, execMm, exitTask, mmAlloc, setBrk, switchTo } from '../mm/process.js';
import { loadUser, storeUser } from '../mm/user.js';

/** Where the operations happen: 64 pages around a leaf-table boundary of x86. */
const ARENA: Vaddr = 0x4000_0000 - 32 * PAGE_SIZE;
const ARENA_PAGES = 64;
const HEAP: Vaddr = 0x2000_0000;
const STACK_TOP: Vaddr = 0x6000_0000;
const FILE_PAGES = 24;

/** Cases of `randomOperation`. */
const OPERATIONS = 16;
const EXEC = 12;

/**
 * Runs `count` random operations in a new process and ends it, but for its last address space when
 * `stay` is set.
 *
 * @returns a checksum of all results
 */
export function* randomOperations(cpu: Cpu, seed: number, count: number, stay: number): Op<number> {
  const mm = yield* mmAlloc(cpu);
  if (mm === 0) return -1;
  const task = yield* createTask(cpu, mm, seed);
  if (task === 0) return -1;
  yield* switchTo(cpu, task);
  const file = yield* openFile(cpu, FILE_PAGES, 0);
  yield* prepare(cpu);
  const random = new Prng(seed);
  let checksum = 0;
  for (let step = 0; step < count; step++) {
    const result = yield* randomOperation(cpu, random, file, random.below(OPERATIONS));
    checksum = (Math.imul(checksum, 31) + result) | 0;
  }
  if (stay === 0) yield* exitTask(cpu);
  return checksum;
}

/** Starts a process for threads to run `sharedOperations` in. @returns its first task */
export function* sharedStart(cpu: Cpu): Op<Word> {
  const mm = yield* mmAlloc(cpu);
  const first = yield* createTask(cpu, mm, 1);
  yield* switchTo(cpu, first);
  yield* prepare(cpu);
  return first;
}

/** Does random operations as one thread of a process, beside others that do the same. */
export function* sharedOperations(cpu: Cpu, task: Word, seed: number, count: number): Op<number> {
  yield* switchTo(cpu, task);
  const file = yield* openFile(cpu, FILE_PAGES, 0);
  const random = new Prng(seed);
  for (let step = 0; step < count; step++) {
    const operation = random.below(OPERATIONS);
    // exec would take this thread out of the process.
    if (operation !== EXEC) yield* randomOperation(cpu, random, file, operation);
  }
  return 0;
}

function* prepare(cpu: Cpu): Op<void> {
  yield* setBrk(cpu, HEAP);
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  yield* sysMmap(cpu, STACK_TOP - PAGE_SIZE, PAGE_SIZE, 3, flags, 0, 0, VM_GROWSDOWN);
}

function* randomOperation(cpu: Cpu, random: Prng, file: Word, operation: number): Op<number> {
  const page = ARENA + random.below(ARENA_PAGES) * PAGE_SIZE;
  const bytes = (1 + random.below(12)) * PAGE_SIZE;
  const prot = random.below(8);
  switch (operation) {
    case 0:
    case 1: {
      const populate = random.below(4) === 0 ? MAP_POPULATE : 0;
      const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | populate;
      return yield* sysMmap(cpu, page, bytes, prot, flags, 0, 0, 0);
    }
    case 2: {
      const flags = (random.below(3) === 0 ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED;
      return yield* sysMmap(cpu, page, bytes, prot, flags, file, random.below(FILE_PAGES), 0);
    }
    case 3:
      return yield* sysMmap(cpu, 0, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS, 0, 0, 0);
    case 4:
      return yield* sysMunmap(cpu, page, bytes);
    case 5:
      return yield* sysMprotect(cpu, page, bytes, prot);
    case 6:
      return yield* sysMadvise(cpu, page, bytes, MADV_DONTNEED);
    case 7:
      return yield* sysBrk(cpu, HEAP + random.below(32) * PAGE_SIZE);
    case 8:
      return yield* sysMremap(
        cpu,
        page,
        bytes,
        (1 + random.below(12)) * PAGE_SIZE,
        MREMAP_MAYMOVE,
        0,
      );
    case 9: {
      const flags = random.below(4) === 0 ? PG_uptodate | PG_readahead : PG_uptodate;
      return (yield* warmCachePage(cpu, file, random.below(FILE_PAGES), flags)) ? 1 : 0;
    }
    case 10:
      return yield* storeUser(cpu, STACK_TOP - (1 + random.below(20)) * PAGE_SIZE, 7);
    case 11:
      return yield* storeUser(cpu, HEAP + random.below(32) * PAGE_SIZE, 9);
    case EXEC:
      if (random.below(40) !== 0) return 0;
      if (yield* execMm(cpu)) yield* prepare(cpu);
      return 1;
    case 13:
    case 14: {
      const into = [0];
      yield* loadUser(cpu, page + 4 * random.below(16), into);
      return into[0];
    }
    default:
      return yield* storeUser(cpu, page + 4 * random.below(16), random.below(1000));
  }
}
