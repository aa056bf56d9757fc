/**
 * Data races as they stand before one's eyes: two threads that can both go, whose next operations touch the same
 * place, one of them to change it and one of them a plain access. The full search needs no such watch: see
 * sourceSets.ts.
 */
import { OPERATION_NAMES } from '../../hardware/operations.js';
import type { Execution } from './execution.js';
import { Touches, interferes, isDataRace, type Places } from './touches.js';

/** A data race in words. */
export function describeRace(
  execution: Execution,
  thread: number,
  otherOp: number,
  otherThread: number,
): string {
  const { op, x, id } = execution.cpuOf(thread);
  const other = execution.cpuOf(otherThread).id;
  return (
    `data race on ${execution.machine.vm.nameOf(x)}: ${OPERATION_NAMES[op]} by cpu ${id} and ` +
    `${OPERATION_NAMES[otherOp]} by cpu ${other} in no order`
  );
}

export class RaceWatch {
  private readonly places: Places;
  private readonly touches: readonly Touches[];

  constructor(private readonly execution: Execution) {
    this.places = execution.places();
    this.touches = execution.running.map(() => new Touches());
  }

  /** @returns the data race that the present state is, if it is one */
  look(): string | undefined {
    const { execution, touches } = this;
    for (let thread = 0; thread < touches.length; thread++) {
      touches[thread].count = 0;
      if (execution.isEnabled(thread)) this.places.of(execution.cpuOf(thread), touches[thread]);
      for (let other = 0; other < thread; other++) {
        // Of two tasks of one CPU only one goes at a time.
        if (execution.cpuOf(other).id === execution.cpuOf(thread).id) continue;
        if (!isRace(touches[thread], touches[other])) continue;
        return describeRace(execution, thread, execution.cpuOf(other).op, other);
      }
    }
    return undefined;
  }
}

function isRace(one: Touches, other: Touches): boolean {
  for (let i = 0; i < one.count; i++) {
    for (let k = 0; k < other.count; k++) {
      const [how, otherHow] = [one.how[i], other.how[k]];
      if (one.places[i] !== other.places[k] || !isDataRace(how, otherHow)) continue;
      if (interferes(how, otherHow)) return true;
    }
  }
  return false;
}
