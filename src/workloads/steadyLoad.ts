/**
 * What the loads of `minorfault scale` have in common: threads that do the same over and over, a page at a time, so
 * that faults a second can be counted while all CPUs are at work. A load notes the number of its CPU for each page.
 */
import { InvariantError } from '../base/errors.js';
import type { Prng } from '../base/prng.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { LEVEL_ENTRIES, PAGE_SIZE } from '../hardware/machine.js';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  sysMmap,
} from '../mm/mmap.js';
import { sysMunmap } from '../mm/munmap.js';
import { isUserFault, loadUser, storeUser, userFault } from '../mm/user.js';
import { vmFaultName } from '../mm/vmfault.js';
import { PFT_BASE } from './pft.js';

/**
 * Where a thread's memory begins: each has leaf tables of its own, as where each touches gigabytes.
 *
 * @param thread - from 0
 * @param pages - that a thread has
 */
export function steadyBase(thread: number, pages: number): Vaddr {
  return PFT_BASE + thread * steadySpan(pages) * PAGE_SIZE;
}

/** Pages from the start of one thread's memory to the next one's: one more than it has, so that no two touch. */
export function steadySpan(pages: number): number {
  const [entries] = LEVEL_ENTRIES;
  return Math.ceil((pages + 1) / entries) * entries;
}

/** Maps private memory at a given address. */
export function* mapAt(cpu: Cpu, address: Vaddr, pages: number): Op<void> {
  const prot = PROT_READ | PROT_WRITE;
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  const mapped = yield* sysMmap(cpu, address, pages * PAGE_SIZE, prot, flags, 0, 0, 0);
  expectTrue(mapped === address, 'mmap');
}

export function* unmapAt(cpu: Cpu, address: Vaddr, pages: number): Op<void> {
  expectTrue((yield* sysMunmap(cpu, address, pages * PAGE_SIZE)) === 0, 'munmap');
}

/** Stores to a page after some work in user mode, and notes it. */
export function* storePage(cpu: Cpu, random: Prng, address: Vaddr): Op<void> {
  yield* userWork(cpu, random);
  const stored = yield* storeUser(cpu, address, 1);
  if (isUserFault(stored)) throw new InvariantError(`store: ${vmFaultName(userFault(stored))}`);
  yield* cpu.note(cpu.id);
}

/** Loads from a page after some work in user mode, and notes it. */
export function* loadPage(cpu: Cpu, random: Prng, address: Vaddr): Op<void> {
  yield* userWork(cpu, random);
  const into = [0];
  const loaded = yield* loadUser(cpu, address, into);
  if (isUserFault(loaded)) throw new InvariantError(`load: ${vmFaultName(userFault(loaded))}`);
  yield* cpu.note(cpu.id);
}

/** Work.USER as often as chance has it, once on average: so that CPUs do not go in step. */
function* userWork(cpu: Cpu, random: Prng): Op<void> {
  for (let times = random.below(3); times > 0; times--) yield* cpu.spend(Work.USER);
}

/** Random numbers of one thread's own. */
export function seedOf(seed: number, thread: Word): number {
  return Math.imul(seed, 65_537) + thread;
}

/** Machines are made large enough: nothing may fail. */
export function expectTrue(holds: boolean, what: string): void {
  if (!holds) throw new InvariantError(`scale: ${what}: it is not so`);
}
