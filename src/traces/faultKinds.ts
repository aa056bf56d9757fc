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

/** A count of each kind. */
export function zeroCounts(): Record<FaultKind, number> {
  return { anonRead: 0, anonWrite: 0, fileRead: 0, fileWrite: 0, writeProtect: 0 };
}

/** What prefault did for one process since its exec. */
export class PrefaultTally {
  /** Recorded faults that found their page mapped ahead, and would not have been taken. */
  readonly avoidedByKind = zeroCounts();
  /** Faults that are taken all the same: the page was there, but could not be written to. */
  otherReason = 0;
  /** Pages that its faults mapped beside their own, and those of them that it touched later. */
  mapped = 0;
  touched = 0;
  /** Pages that its parent had mapped ahead and not touched when it forked, and those of them that it touched. */
  inherited = 0;
  inheritedTouched = 0;
  /** Pages with contents that read as zeros from then on: only prefault as posted does that. */
  zeroed = 0;

  get avoided(): number {
    return Object.values(this.avoidedByKind).reduce((sum, faults) => sum + faults, 0);
  }

  avoid(kind: FaultKind): void {
    this.avoidedByKind[kind]++;
  }
}

/** The faults of one process since its exec. */
export class ProcessTally {
  /** Faults that the kernel handled, and those of them that we explain. */
  kernel = 0;
  explained = 0;
  readonly kernelByKind = zeroCounts();
  readonly oursByKind = zeroCounts();
  /** What prefault did, where the design has it. */
  readonly prefault = new PrefaultTally();
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
    return this.kernel - this.explained - this.prefault.avoided;
  }

  kernelFault(kind: FaultKind, explained: boolean): void {
    this.kernel++;
    this.kernelByKind[kind]++;
    if (explained) this.explained++;
  }

  /** A fault of the kernel's that ours does not take, because prefault had mapped the page. */
  avoidedFault(kind: FaultKind): void {
    this.kernel++;
    this.kernelByKind[kind]++;
    this.prefault.avoid(kind);
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
