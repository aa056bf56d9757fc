/**
 * Page misses with as little beside them as can be: threads of one process each map memory, read each page of it once,
 * which maps the zero page, write to a few, and unmap it. Hardly a page is zeroed: what is left is the fault path.
 */
import { Prng } from '../base/prng.js';
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { switchTo } from '../mm/process.js';
import { loadPage, mapAt, seedOf, steadyBase, storePage, unmapAt } from './steadyLoad.js';

/** Pages of a mapping, and of how many one is written to. */
export const PAGE_MISS_PAGES = 32;
const WRITTEN_OF = 16;

/** Does so as often as told. @returns pages touched */
export function* pageMiss(
  cpu: Cpu,
  task: Word,
  seed: number,
  thread: number,
  rounds: number,
): Op<number> {
  yield* switchTo(cpu, task);
  const random = new Prng(seedOf(seed, thread));
  const base = steadyBase(thread, PAGE_MISS_PAGES);
  for (let round = 0; round < rounds; round++) {
    yield* mapAt(cpu, base, PAGE_MISS_PAGES);
    for (let page = 0; page < PAGE_MISS_PAGES; page++) {
      const address = base + page * PAGE_SIZE;
      if (page % WRITTEN_OF === WRITTEN_OF - 1) yield* storePage(cpu, random, address);
      else yield* loadPage(cpu, random, address);
    }
    yield* unmapAt(cpu, base, PAGE_MISS_PAGES);
  }
  return rounds * PAGE_MISS_PAGES;
}
