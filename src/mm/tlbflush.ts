/**
 * Drops stale translations from the TLBs of all CPUs that run an address space (Linux:
 * flush_tlb_page, flush_tlb_mm).
 *
 * A flush returns when no CPU can use the old translation any more. A spinlock may be held: a CPU
 * that spins answers interrupts.
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { CPUS } from '../hardware/machine.js';
import { CpuLine, cpuLine } from '../hardware/memory.js';

const ALL_ADDRESSES: Vaddr = -1;

export function* flushTlbPage(cpu: Cpu, mm: Word, address: Vaddr): Op<void> {
  for (let other = 0; other < CPUS; other++) {
    const active = yield* cpu.readOnce(cpuLine(other) + CpuLine.activeMm);
    if (active === mm) yield* cpu.invalidate(other, address);
  }
}

export function* flushTlbMm(cpu: Cpu, mm: Word): Op<void> {
  yield* flushTlbPage(cpu, mm, ALL_ADDRESSES);
}
