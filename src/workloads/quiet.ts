/** What is done between runs, when nothing else runs, so that what is left can be looked at. */
import type { Cpu, Op } from '../hardware/cpu.js';
import { lruAddDrain } from '../mm/lru.js';

/** Lets go of the pages that a CPU has in its batches. */
export function* drainCpu(cpu: Cpu): Op<number> {
  yield* lruAddDrain(cpu);
  return 0;
}
