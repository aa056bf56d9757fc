/**
 * Allocations that fail because a test says so: what comes after them is otherwise never seen (Linux:
 * should_failslab, should_fail_alloc_page; lib/fault-inject.c).
 */
import { Prng } from '../base/prng.js';
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { FAIL_ALLOCATIONS } from './design.js';
import { Percpu, percpuOf } from './layout/percpu.js';

/** Odd, so that no two allocations of a run have the same choice. */
const SEED_STEP = 0x9e3779b1;

/** Whether this allocation of a frame, a huge page or a record is to fail. */
export function* shouldFail(cpu: Cpu): Op<boolean> {
  if (!FAIL_ALLOCATIONS) return false;
  const pcpu = percpuOf(cpu.id);
  const after = yield* cpu.load(pcpu + Percpu.failAfter);
  if (after > 0) yield* cpu.store(pcpu + Percpu.failAfter, after - 1);
  return after === 1 || (yield* mayFail(cpu, pcpu));
}

/** The same by probability. */
function* mayFail(cpu: Cpu, pcpu: Word): Op<boolean> {
  const permille = yield* cpu.load(pcpu + Percpu.failPermille);
  if (permille === 0) return false;
  const seed = yield* cpu.load(pcpu + Percpu.failSeed);
  yield* cpu.store(pcpu + Percpu.failSeed, (seed + SEED_STEP) | 0);
  return new Prng(seed).below(1000) < permille;
}
