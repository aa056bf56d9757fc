/**
 * Processes that fork all the time, one on each CPU: a child writes to a part of its memory, which copies it, and exits;
 * its parent writes to the same pages, which are its own again.
 */
import { Prng } from '../base/prng.js';
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { sysFork } from '../mm/fork.js';
import { createTask, exitTask, mmAlloc, switchTo } from '../mm/process.js';
import { expectTrue, mapAt, seedOf, storePage } from './steadyLoad.js';
import { PFT_BASE } from './pft.js';

/** Pages of a parent, and how many of them are written to in each round, by the child and then by the parent. */
export const FORK_HEAVY_PAGES = 32;
const WRITTEN_PAGES = 16;
/** Pages noted in a round. */
export const FORK_HEAVY_NOTES = 2 * WRITTEN_PAGES;

/** Starts the process of this CPU, all of whose pages it has written to. @returns its task */
export function* forkHeavyStart(cpu: Cpu, seed: number, thread: number): Op<Word> {
  const mm = yield* mmAlloc(cpu);
  const task = yield* createTask(cpu, mm, thread + 1);
  expectTrue(task !== 0, 'the first task');
  yield* switchTo(cpu, task);
  yield* mapAt(cpu, PFT_BASE, FORK_HEAVY_PAGES);
  yield* writePages(cpu, new Prng(seedOf(seed, thread)), FORK_HEAVY_PAGES);
  return task;
}

/** Forks as often as told. @returns pages written to */
export function* forkHeavy(
  cpu: Cpu,
  task: Word,
  seed: number,
  thread: number,
  rounds: number,
): Op<number> {
  const random = new Prng(seedOf(seed, thread));
  for (let round = 0; round < rounds; round++) {
    yield* switchTo(cpu, task);
    const child = yield* sysFork(cpu, thread + 1);
    expectTrue(child > 0, 'fork');
    yield* switchTo(cpu, child);
    yield* writePages(cpu, random, WRITTEN_PAGES);
    yield* exitTask(cpu);
    yield* switchTo(cpu, task);
    yield* writePages(cpu, random, WRITTEN_PAGES);
  }
  return rounds * FORK_HEAVY_NOTES;
}

function* writePages(cpu: Cpu, random: Prng, pages: number): Op<void> {
  for (let page = 0; page < pages; page++) {
    yield* storePage(cpu, random, PFT_BASE + page * PAGE_SIZE);
  }
}
