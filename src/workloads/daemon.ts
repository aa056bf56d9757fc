/** The smallest daemon: it answers each time that it is woken, and counts. */
import type { Cpu, Op } from '../hardware/cpu.js';
import { CpuLine, cpuLine } from '../hardware/memory.js';

/**
 * Answers one other CPU until the engine says to stop.
 *
 * @param asked - what `CpuLine.wakeup` of this CPU was before anybody asked
 * @returns how often it answered
 */
export function* servingDaemon(cpu: Cpu, client: number, asked: number): Op<number> {
  const line = cpuLine(cpu.id);
  for (let answered = 0; ;) {
    const seen = yield* cpu.readOnce(line + CpuLine.wakeup);
    if ((yield* cpu.readOnce(line + CpuLine.stop)) !== 0) return answered;
    if (seen - asked <= answered) {
      yield* cpu.sleepOn(line + CpuLine.wakeup, seen);
      continue;
    }
    answered++;
    yield* cpu.wakeUp(cpuLine(client) + CpuLine.wakeup);
  }
}

/** Wakes the daemon of another CPU a number of times, and waits for each answer. @returns answers */
export function* askDaemon(cpu: Cpu, daemon: number, times: number): Op<number> {
  const answers = cpuLine(cpu.id) + CpuLine.wakeup;
  for (let time = 0; time < times; time++) {
    const seen = yield* cpu.readOnce(answers);
    yield* cpu.wakeUp(cpuLine(daemon) + CpuLine.wakeup);
    yield* cpu.sleepOn(answers, seen);
  }
  return times;
}
