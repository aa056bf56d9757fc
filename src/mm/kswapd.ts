/** kswapd: keeps frames of a node free, so that who allocates need not reclaim (Linux: mm/vmscan.c, 2.6.10). */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { CpuLine, cpuLine } from '../hardware/memory.js';
import { Zone, zoneOf } from './layout/zone.js';
import { balanceZone } from './vmscan.js';

/** Balances a node whenever it is woken, until it is told to stop. A daemon of the CPU that runs it. */
export function* kswapd(cpu: Cpu, node: number): Op<number> {
  const zone = zoneOf(node);
  const line = cpuLine(cpu.id);
  yield* cpu.writeOnce(zone + Zone.kswapdCpu, cpu.id + 1);
  for (;;) {
    const seen = yield* cpu.readOnce(line + CpuLine.wakeup);
    if ((yield* cpu.readOnce(line + CpuLine.stop)) !== 0) break;
    yield* balanceIfLow(cpu, zone);
    yield* cpu.sleepOn(line + CpuLine.wakeup, seen);
  }
  yield* cpu.writeOnce(zone + Zone.kswapdCpu, 0);
  return 0;
}

function* balanceIfLow(cpu: Cpu, zone: Word): Op<void> {
  const low = yield* cpu.load(zone + Zone.pagesLow);
  if ((yield* cpu.readOnce(zone + Zone.freePages)) < low) yield* balanceZone(cpu, zone);
}
