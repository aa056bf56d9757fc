/**
 * The page-fault test without its beginning and its end: threads of one process touch new memory, a page at a time,
 * in order. All of it is one mapping, as in the documents' test, or each thread has a mapping of its own.
 */
import { Prng } from '../base/prng.js';
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { createTask, mmAlloc, switchTo } from '../mm/process.js';
import { expectTrue, mapAt, seedOf, steadyBase, steadySpan, storePage } from './steadyLoad.js';

/**
 * Starts a process whose threads have `pages` each.
 *
 * @param mappings - one for all threads, or as many as there are threads; or none
 * @returns the first task
 */
export function* steadyTouchStart(
  cpu: Cpu,
  threads: number,
  pages: number,
  mappings: number,
): Op<Word> {
  const mm = yield* mmAlloc(cpu);
  const task = yield* createTask(cpu, mm, 1);
  expectTrue(task !== 0, 'the first task');
  yield* switchTo(cpu, task);
  const length = mappings === 1 ? threads * steadySpan(pages) : pages;
  for (let mapping = 0; mapping < mappings; mapping++) {
    yield* mapAt(cpu, steadyBase(mapping, pages), length);
  }
  return task;
}

/** Touches a run of a thread's pages. @returns pages touched */
export function* steadyTouch(
  cpu: Cpu,
  task: Word,
  seed: number,
  thread: number,
  pages: number,
  first: number,
  length: number,
): Op<number> {
  yield* switchTo(cpu, task);
  const random = new Prng(seedOf(seed, thread));
  const base = steadyBase(thread, pages);
  for (let page = first; page < first + length; page++) {
    yield* storePage(cpu, random, base + page * PAGE_SIZE);
  }
  return length;
}
