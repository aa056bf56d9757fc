/**
 * The grace period of the patch of 2008 (Linux: synchronize_rcu, classic RCU of 2.6.25): it is over once each CPU has
 * been in user mode, has slept or has been idle. Here an allocation is a sleep: any may have to wait for memory.
 */
import type { Cpu, Op } from '../hardware/cpu.js';
import { CPUS } from '../hardware/machine.js';
import { CpuLine, cpuLine } from '../hardware/memory.js';

/** Says that this CPU is in user mode, idle, or asleep: interrupts are on. */
export function* quiescentState(cpu: Cpu): Op<void> {
  yield* cpu.interrupts();
  yield* cpu.wakeUp(cpuLine(cpu.id) + CpuLine.quiescent);
}

/** Waits until each CPU that runs something has said so. Locks: no spinlock. */
export function* synchronizeRcu(cpu: Cpu): Op<void> {
  for (let other = 0; other < CPUS; other++) {
    if (other === cpu.id) continue;
    const line = cpuLine(other);
    const seen = yield* cpu.readOnce(line + CpuLine.quiescent);
    if ((yield* cpu.readOnce(line + CpuLine.activeMm)) === 0) continue;
    yield* cpu.sleepOn(line + CpuLine.quiescent, seen);
  }
}
