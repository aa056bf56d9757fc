/**
 * Faults beside calls that change the address space: threads of one process each map a little memory, write to it, and
 * unmap it. So there are always some that want mmap_sem for writing among those that have it for reading.
 */
import { Prng } from '../base/prng.js';
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { switchTo } from '../mm/process.js';
import { mapAt, seedOf, steadyBase, storePage, unmapAt } from './steadyLoad.js';

/** Pages of a mapping. */
export const UNMAP_MIX_PAGES = 16;

/** Does so as often as told. @returns pages touched */
export function* unmapMix(
  cpu: Cpu,
  task: Word,
  seed: number,
  thread: number,
  rounds: number,
): Op<number> {
  yield* switchTo(cpu, task);
  const random = new Prng(seedOf(seed, thread));
  const base = steadyBase(thread, UNMAP_MIX_PAGES);
  for (let round = 0; round < rounds; round++) {
    yield* mapAt(cpu, base, UNMAP_MIX_PAGES);
    for (let page = 0; page < UNMAP_MIX_PAGES; page++) {
      yield* storePage(cpu, random, base + page * PAGE_SIZE);
    }
    yield* unmapAt(cpu, base, UNMAP_MIX_PAGES);
  }
  return rounds * UNMAP_MIX_PAGES;
}
