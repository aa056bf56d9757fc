/**
 * What two tasks can do to one page, each as a program for a CPU. Whoever has acted looks at the page: what it stored
 * it must find again unless the other may lawfully have taken that away, it must not find what another process stored,
 * and never what nobody stored. Each task stores to a word of its own.
 */
import { InvariantError } from '../base/errors.js';
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { hostTakeFrames } from '../hardware/host.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { Access } from '../hardware/mmu.js';
import { sysFork } from '../mm/fork.js';
import { TABLES } from '../mm/layout/slab.js';
import { MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT, MADV_REMOVE, sysMadvise } from '../mm/madvise.js';
import { migrateAnonymous } from '../mm/migratePages.js';
import { ALL_TABLES, moveTables } from '../mm/migrateTables.js';
import { sysMincore } from '../mm/mincore.js';
import { sysMlock } from '../mm/mlock.js';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  sysMmap,
} from '../mm/mmap.js';
import { sysMprotect } from '../mm/mprotect.js';
import { MREMAP_FIXED, MREMAP_MAYMOVE, sysMremap } from '../mm/mremap.js';
import { MS_SYNC, sysMsync } from '../mm/msync.js';
import { sysMunmap } from '../mm/munmap.js';
import { exitTask, switchTo } from '../mm/process.js';
import { sysRemapFilePages } from '../mm/remapFilePages.js';
import { truncateFile } from '../mm/truncate.js';
import { isUserFault, loadUser, storeUser, touchUser } from '../mm/user.js';
import { BEFORE, PAGE, TARGET } from './addressSpaceRaces.js';
import { HELD_WORD, PairKind, heldBefore, isForked, isSharedFile } from './pairSetup.js';
import { contentsError } from './report.js';

/** What an operation may do to another thread that acts on the page. To another process it does nothing. */
export const enum PairEffect {
  /** The mapping goes: the page cannot be touched, and calls fail that need one. */
  UNMAPS = 1,
  /** The file loses the page: it cannot be touched. */
  CUTS = 2,
  /** Another page is mapped there. */
  MAPS = 4,
  /** What the page held gives way to zeros. */
  EMPTIES = 8,
  /** The page cannot be stored to. */
  DENIES = 16,
  /** The page can be stored to where it could not. */
  ALLOWS = 32,
  /** Calls are refused that take the page away. */
  LOCKS = 64,
}

/** Who acts: the first task or the second, on what, beside what. */
interface Acting {
  /** 0 or 1. */
  readonly side: number;
  readonly kind: PairKind;
  /** What the other may do: PairEffect bits. */
  readonly other: number;
}

/** What a task must find that looks at the page: in the word that nobody stores to, in its own, or in both. */
interface Expected {
  readonly held?: readonly number[];
  readonly own?: number;
}

/** In another leaf table, with the same entry there as the page in its own. */
const ELSEWHERE: Vaddr = 0x2000_0000;
/** The file of the kinds that have one: its record is the first on a fresh machine. */
const FILE: Word = TABLES.file.base;
/** Pids of children; the two tasks, and the child that may be one of them, come before. */
const FIRST_CHILD = 3;

/** A load. */
export function* pairRead(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  yield* look(cpu, acting, PAGE, untouched(acting));
  return 0;
}

/** A store. */
export function* pairWrite(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const own = yield* storeOwnWord(cpu, acting);
  yield* look(cpu, acting, PAGE, { ...untouched(acting), own });
  return 0;
}

export function* pairMunmap(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const result = yield* sysMunmap(cpu, PAGE, PAGE_SIZE);
  if (result < 0) throw new InvariantError(`munmap returned ${result}`);
  yield* expectAbsent(cpu, acting);
  return 0;
}

/**
 * Unmaps the page, whose table goes with it, and stores to new memory at the same place of another table: what was
 * just freed is what is handed out next.
 */
export function* pairMunmapMmap(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  yield* begin(cpu, task, told);
  yield* sysMunmap(cpu, PAGE, PAGE_SIZE);
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  yield* sysMmap(cpu, ELSEWHERE, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, 0, 0, 0);
  const stored = yield* storeUser(cpu, ELSEWHERE + HELD_WORD, BEFORE + 1);
  if (isUserFault(stored)) throw new InvariantError('a store to a mapped page failed');
  return 0;
}

/** Maps other memory in the page's place. */
export function* pairMmap(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  const mapped = yield* sysMmap(cpu, PAGE, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, 0, 0, 0);
  if (mapped !== PAGE) throw new InvariantError(`mmap returned ${mapped}`);
  yield* look(cpu, acting, PAGE, { held: [0] });
  return 0;
}

export function* pairMremap(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const target = TARGET + acting.side * PAGE_SIZE;
  const flags = MREMAP_MAYMOVE | MREMAP_FIXED;
  const moved = yield* sysMremap(cpu, PAGE, PAGE_SIZE, PAGE_SIZE, flags, target);
  if (!succeeded(acting, 'mremap', moved)) return 0;
  const there = { ...acting, other: acting.other & ~PairEffect.UNMAPS };
  yield* look(cpu, there, target, untouched(acting));
  yield* expectAbsent(cpu, acting);
  return 0;
}

/** Takes write permission away, and sees that it is gone. */
export function* pairMprotect(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const result = yield* sysMprotect(cpu, PAGE, PAGE_SIZE, PROT_READ);
  if (!succeeded(acting, 'mprotect', result)) return 0;
  const stored = yield* storeUser(cpu, PAGE, BEFORE + 1);
  if (!isUserFault(stored) && !may(acting, PairEffect.MAPS | PairEffect.ALLOWS)) {
    throw new InvariantError('a store to a read-only mapping succeeded');
  }
  if (isUserFault(stored)) yield* look(cpu, acting, PAGE, untouched(acting));
  return 0;
}

/** Takes write permission away and gives it back. */
export function* pairMprotectTwice(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const denied = yield* sysMprotect(cpu, PAGE, PAGE_SIZE, PROT_READ);
  const allowed = yield* sysMprotect(cpu, PAGE, PAGE_SIZE, PROT_READ | PROT_WRITE);
  if (!succeeded(acting, 'mprotect', Math.min(denied, allowed))) return 0;
  const own = yield* storeOwnWord(cpu, acting);
  yield* look(cpu, acting, PAGE, { own });
  return 0;
}

/** Forks, and stores afterwards: in private memory the child must not see it. */
export function* pairFork(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const child = yield* sysFork(cpu, FIRST_CHILD + acting.side);
  if (child < 0) throw new InvariantError(`fork returned ${child}`);
  const stored = yield* storeOwnWord(cpu, acting);
  yield* switchTo(cpu, child);
  const own = isSharedFile(acting.kind) ? stored : 0;
  yield* look(cpu, acting, PAGE, { ...untouched(acting), own });
  return 0;
}

/** Ends the thread, and its process where that was the last one. */
export function* pairExit(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  yield* begin(cpu, task, told);
  yield* exitTask(cpu);
  return 0;
}

/** Moves all page tables of the process to other frames. */
export function* pairRelocate(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  yield* moveTables(cpu, cpu.mm, ALL_TABLES);
  yield* look(cpu, acting, PAGE, untouched(acting));
  return 0;
}

/**
 * Stores to the page and moves it, where nobody else has it, from node 0 to node 1; page tables stay. As a daemon would:
 * for a flush of the address space nobody waits for this CPU meanwhile.
 */
export function* pairMigrate(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const own = yield* storeOwnWord(cpu, acting);
  const { mm } = cpu;
  yield* switchTo(cpu, 0);
  yield* migrateAnonymous(cpu, mm, 0, 1);
  yield* switchTo(cpu, task);
  yield* look(cpu, acting, PAGE, { ...untouched(acting), own });
  return 0;
}

/** Has the page taken out of memory. */
export function* pairPageout(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const result = yield* sysMadvise(cpu, PAGE, PAGE_SIZE, MADV_PAGEOUT);
  succeeded(acting, 'madvise', result);
  yield* look(cpu, acting, PAGE, untouched(acting));
  return 0;
}

export function* pairDontneed(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const result = yield* sysMadvise(cpu, PAGE, PAGE_SIZE, MADV_DONTNEED);
  const expected = untouched(acting);
  const emptied = succeeded(acting, 'madvise', result) && acting.kind < PairKind.FILE;
  yield* look(cpu, acting, PAGE, emptied ? { held: [0] } : expected);
  return 0;
}

/** Gives the contents away, and stores: what is stored afterwards is kept. */
export function* pairFree(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const result = yield* sysMadvise(cpu, PAGE, PAGE_SIZE, MADV_FREE);
  succeeded(acting, 'madvise', result);
  const own = yield* storeOwnWord(cpu, acting);
  yield* look(cpu, acting, PAGE, { own });
  return 0;
}

export function* pairMlock(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const result = yield* sysMlock(cpu, PAGE, PAGE_SIZE, 0);
  succeeded(acting, 'mlock', result);
  yield* look(cpu, acting, PAGE, untouched(acting));
  return 0;
}

export function* pairMincore(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  succeeded(acting, 'mincore', yield* sysMincore(cpu, PAGE, PAGE_SIZE, []));
  return 0;
}

/** Stores, and has it written back. */
export function* pairMsync(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const own = yield* storeOwnWord(cpu, acting);
  succeeded(acting, 'msync', yield* sysMsync(cpu, PAGE, PAGE_SIZE, MS_SYNC));
  yield* look(cpu, acting, PAGE, { own });
  return 0;
}

/** Cuts the file off. */
export function* pairTruncate(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  yield* truncateFile(cpu, FILE, 0);
  yield* expectAbsent(cpu, acting);
  return 0;
}

/** Punches a hole into the file: MADV_REMOVE. */
export function* pairRemove(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const result = yield* sysMadvise(cpu, PAGE, PAGE_SIZE, MADV_REMOVE);
  const removed = succeeded(acting, 'madvise', result);
  yield* look(cpu, acting, PAGE, removed ? { held: [0] } : untouched(acting));
  return 0;
}

/** Has another page of the file, which holds zeros, mapped in the page's place. */
export function* pairRemapFilePages(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  const result = yield* sysRemapFilePages(cpu, PAGE, PAGE_SIZE, 0, 1, 0);
  const remapped = succeeded(acting, 'remap_file_pages', result);
  yield* look(cpu, acting, PAGE, remapped ? { held: [0] } : untouched(acting));
  return 0;
}

/** The host takes what is volatile, from wherever the task runs. */
export function* pairHost(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  yield* begin(cpu, task, told);
  yield* hostTakeFrames(cpu, Infinity, false);
  return 0;
}

/** The same, and a load, which is a discard fault if the page was mapped. */
export function* pairHostTouch(cpu: Cpu, task: Word, ...told: number[]): Op<number> {
  const acting = yield* begin(cpu, task, told);
  yield* hostTakeFrames(cpu, Infinity, false);
  yield* look(cpu, acting, PAGE, untouched(acting));
  return 0;
}

function* begin(cpu: Cpu, task: Word, [side, kind, other]: number[]): Op<Acting> {
  yield* switchTo(cpu, task);
  return { side, kind, other };
}

function may({ other }: Acting, effects: number): boolean {
  return (other & effects) !== 0;
}

/** What a task finds that has changed nothing. */
function untouched({ kind }: Acting): Expected {
  return { held: [heldBefore(kind)] };
}

/** Whether a call succeeded, which it must unless the other has taken the mapping away or locked it. */
function succeeded(acting: Acting, call: string, result: number): boolean {
  if (result >= 0) return true;
  if (may(acting, PairEffect.UNMAPS | PairEffect.CUTS | PairEffect.LOCKS | PairEffect.MAPS)) {
    return false;
  }
  throw new InvariantError(`${call} returned ${result}`);
}

/** Where in the page a task's own word is, in bytes. */
function ownWord(side: number): number {
  return HELD_WORD + 4 * (1 + side);
}

function ownValue(side: number): number {
  return BEFORE + 4 + side;
}

/** @returns what the task's word holds now: 0 where the store could not be made, lawfully */
function* storeOwnWord(cpu: Cpu, acting: Acting): Op<number> {
  const { side } = acting;
  const stored = yield* storeUser(cpu, PAGE + ownWord(side), ownValue(side));
  if (!isUserFault(stored)) return ownValue(side);
  if (may(acting, PairEffect.UNMAPS | PairEffect.CUTS | PairEffect.DENIES)) return 0;
  throw new InvariantError('a store to a mapped page failed');
}

/** Looks at a page: what a search has to try grows with every load, so only words that tell something are loaded. */
function* look(cpu: Cpu, acting: Acting, page: Vaddr, { held, own }: Expected): Op<void> {
  const { side, kind } = acting;
  if (held !== undefined) yield* expectWord(cpu, acting, page + HELD_WORD, held);
  if (own !== undefined) yield* expectWord(cpu, acting, page + ownWord(side), [own]);
  if (isForked(kind)) yield* expectWord(cpu, acting, page + ownWord(1 - side), [0]);
}

function* expectWord(
  cpu: Cpu,
  acting: Acting,
  address: Vaddr,
  lawful: readonly number[],
): Op<void> {
  const into = [0];
  const loaded = yield* loadUser(cpu, address, into);
  if (isUserFault(loaded)) {
    if (may(acting, PairEffect.UNMAPS | PairEffect.CUTS)) return;
    throw new InvariantError('a load from a mapped page failed');
  }
  const emptied = into[0] === 0 && may(acting, PairEffect.EMPTIES);
  if (emptied || lawful.includes(into[0])) return;
  const where = `0x${address.toString(16)}`;
  throw contentsError(`${where} holds ${into[0]}, should hold ${lawful.join(' or ')}`);
}

/** What the task has unmapped or cut off cannot be touched, unless the other has mapped something there. */
function* expectAbsent(cpu: Cpu, acting: Acting): Op<void> {
  const touched = yield* touchUser(cpu, PAGE, Access.READ);
  if (isUserFault(touched) || may(acting, PairEffect.MAPS)) return;
  throw new InvariantError('a page that was unmapped can be touched');
}
