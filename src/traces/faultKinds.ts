/** Faults by kind, the kernel's and ours. */
import type { Word } from '../base/units.js';
import type { PageStateName } from '../mm/layout/percpu.js';

/** Kinds that an error code and a mapping tell apart, so that both sides can be counted alike. */
export const FAULT_KINDS = [
  'anonRead',
  'anonWrite',
  'fileRead',
  'fileWrite',
  'writeProtect',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** Which of our event counts each kind shows in. */
const COUNTED_AS: readonly (readonly [FaultKind, PageStateName])[] = [
  ['anonRead', 'fault_anon_read'],
  ['anonWrite', 'fault_anon_write'],
  ['fileRead', 'fault_file_read'],
  ['fileWrite', 'fault_file_write'],
  ['writeProtect', 'fault_cow'],
  ['writeProtect', 'fault_reuse'],
];

/** A counter of our VM's that faults of a kind show in. */
export interface FaultCounter {
  readonly kind: FaultKind;
  readonly word: Word;
  /** Its value before the fault that is being handled. */
  before: number;
}

/** @param wordOf - where in memory the VM's count of an event is */
export function countersOf(wordOf: (name: PageStateName) => Word): FaultCounter[] {
  return COUNTED_AS.map(([kind, name]) => ({ kind, word: wordOf(name), before: 0 }));
}

function zeros(): Record<FaultKind, number> {
  return { anonRead: 0, anonWrite: 0, fileRead: 0, fileWrite: 0, writeProtect: 0 };
}

/** The faults of one process since its exec. */
export class ProcessTally {
  /** Faults that the kernel handled, and those of them that we explain. */
  kernel = 0;
  explained = 0;
  readonly kernelByKind = zeros();
  readonly oursByKind = zeros();
  /** Fault events of the process in all, those before its exec included. */
  events = 0;
  /** Faults of ours that read from a device, and faults of ours that the kernel did not have. */
  majors = 0;
  extraFaults = 0;
  /** Programs run: each costs the kernel a fault, on the argument page, that no event tells of. */
  execs = 0;

  /** Faults that the kernel's own count should hold. */
  get accounted(): number {
    return this.events + this.execs;
  }

  get unexplained(): number {
    return this.kernel - this.explained;
  }

  kernelFault(kind: FaultKind, explained: boolean): void {
    this.kernel++;
    this.kernelByKind[kind]++;
    if (explained) this.explained++;
  }

  /**
   * Counts what our VM handled by what it counted itself.
   *
   * @param words - the VM's memory
   * @param counters - from countersOf
   * @param handle - lets the VM handle a fault
   * @returns what `handle` does
   */
  ourFault<T>(words: Int32Array, counters: readonly FaultCounter[], handle: () => T): T {
    for (const counter of counters) counter.before = words[counter.word];
    const result = handle();
    // Of all counters one or two have moved: only those are worth a look-up by name.
    for (const { kind, word, before } of counters) {
      if (words[word] !== before) this.oursByKind[kind] += words[word] - before;
    }
    return result;
  }
}
