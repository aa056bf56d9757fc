/** Faults of a recording, taken by one CPU in a row: what `minorfault replay --cpus` times. */
import type { Cpu, Op } from '../hardware/cpu.js';
import { doPageFault } from '../mm/fault.js';
import { switchTo } from '../mm/process.js';
import { VM_FAULT_MINOR } from '../mm/vmfault.js';

/** Numbers by which a fault is told: its task, its address, its error code, and the nanoseconds before it. */
export const TRACED_FAULT_NUMBERS = 4;

/** @returns how many could not be handled */
export function* tracedFaults(cpu: Cpu, ...faults: number[]): Op<number> {
  let failed = 0;
  for (let at = 0; at < faults.length; at += TRACED_FAULT_NUMBERS) {
    const [task, address, errorCode, gapNs] = faults.slice(at, at + TRACED_FAULT_NUMBERS);
    if (gapNs > 0) yield* cpu.spendNs(gapNs);
    if (cpu.current !== task) yield* switchTo(cpu, task);
    if ((yield* doPageFault(cpu, address, errorCode)) < VM_FAULT_MINOR) failed++;
  }
  return failed;
}
