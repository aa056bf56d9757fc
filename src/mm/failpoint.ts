/**
 * Allocations that fail because a test says so: what comes after them is otherwise never seen (Linux:
 * should_failslab, should_fail_alloc_page; lib/fault-inject.c).
 */
import type { Cpu, Op } from '../hardware/cpu.js';
import { FAIL_ALLOCATIONS } from './design.js';
import { Percpu, percpuOf } from './layout/percpu.js';

/** Whether this allocation of a frame, a huge page or a record is to fail. */
export function* shouldFail(cpu: Cpu): Op<boolean> {
  if (!FAIL_ALLOCATIONS) return false;
  const word = percpuOf(cpu.id) + Percpu.failAfter;
  const after = yield* cpu.load(word);
  if (after === 0) return false;
  yield* cpu.store(word, after - 1);
  return after === 1;
}
