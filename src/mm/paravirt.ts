/**
 * Where a hypervisor is told of page tables that move (Linux: paravirt_alloc_pte and paravirt_release_pte, and their
 * like of each level). One that keeps a translated copy of each table, or that must have tables mapped read-only, would
 * do so here; on the bare machine the calls are counted by level, and no more.
 */
import type { Pfn } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { Percpu, percpuOf } from './layout/percpu.js';

/** A table of a page in size, and its level, as a hypervisor is told of it. */
export interface PinnedTable {
  readonly pfn: Pfn;
  readonly level: number;
}

/** A table is about to be hung in: nothing leads to it yet. */
export function* pinTable(cpu: Cpu, { level }: PinnedTable): Op<void> {
  yield* count(cpu, Percpu.tablesPinned + level);
}

/** A table is about to be freed: nothing leads to it any more. */
export function* unpinTable(cpu: Cpu, { level }: PinnedTable): Op<void> {
  yield* count(cpu, Percpu.tablesUnpinned + level);
}

function* count(cpu: Cpu, field: number): Op<void> {
  const word = percpuOf(cpu.id) + field;
  const calls = yield* cpu.load(word);
  yield* cpu.store(word, calls + 1);
}
