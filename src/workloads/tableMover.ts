/** A daemon that keeps moving what it can of every process, while others use it. */
import type { Cpu, Op } from '../hardware/cpu.js';
import { NODES } from '../hardware/machine.js';
import { CpuLine, cpuLine } from '../hardware/memory.js';
import { getNextMm, moveTablesOfAll } from '../mm/memoryOffline.js';
import { migratePages } from '../mm/migratePages.js';
import { ALL_TABLES } from '../mm/migrateTables.js';
import { mmPut } from '../mm/process.js';

/**
 * Moves all page tables to other frames, and then, where there are nodes, the memory of each process to the next: so
 * often, or until it is told to stop.
 *
 * @returns tables and pages that moved
 */
export function* tableMover(cpu: Cpu, passes: number): Op<number> {
  const line = cpuLine(cpu.id);
  let total = 0;
  for (let pass = 0; ; pass++) {
    const seen = yield* cpu.readOnce(line + CpuLine.wakeup);
    if ((yield* cpu.readOnce(line + CpuLine.stop)) !== 0) return total;
    if (pass >= passes) {
      yield* cpu.sleepOn(line + CpuLine.wakeup, seen);
      continue;
    }
    total += (yield* moveTablesOfAll(cpu, ALL_TABLES)).moved;
    if (NODES > 1) total += yield* moveProcesses(cpu, pass % NODES);
  }
}

/** Moves the memory of each process from a node to the next. @returns tables and pages that moved */
function* moveProcesses(cpu: Cpu, from: number): Op<number> {
  let total = 0;
  let mm = yield* getNextMm(cpu, 0);
  while (mm !== 0) {
    const { pages, tables } = yield* migratePages(cpu, mm, from, (from + 1) % NODES);
    total += pages + tables.moved;
    const next = yield* getNextMm(cpu, mm);
    yield* mmPut(cpu, mm);
    mm = next;
  }
  return total;
}
