/**
 * A small problem whose number of executions is known, to check the checker: faulting CPUs and a
 * reclaimer on a few ptes, without the rest of a VM. Three independent programs agree on the counts
 * (docs/checker.md).
 *
 * Words, all 0 at first, where an otherwise idle machine would have its VMAs:
 *   pte[p], nxt, freed, rss, ptl, ref[f], data[f]
 */
import { InvariantError } from '../base/errors.js';
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import type { Memory } from '../hardware/memory.js';
import { TABLES } from '../mm/layout/slab.js';

const MAX_PAGES = 8;
const MAX_FRAMES = 32;
/** No VMA is allocated in so idle a machine. */
const PTE: Word = TABLES.vma.base;
const NXT: Word = PTE + MAX_PAGES;
const FREED: Word = NXT + 1;
const RSS: Word = NXT + 2;
const PTL: Word = NXT + 3;
const REF: Word = NXT + 4;
const DATA: Word = REF + MAX_FRAMES;

/** How the problem keeps its CPUs apart; the last two are broken. */
export const ReferenceForm = {
  LOCK: 0,
  CAS: 1,
  /** LOCK without the lock. */
  BUG: 2,
  /** LOCK with rss counted after the release, by load and store. */
  BUGRSS: 3,
} as const;

/** Touches each of `pages` pages. */
export function* referenceFault(cpu: Cpu, form: number, pages: number): Op<number> {
  for (let page = 0; page < pages; page++) {
    let entry = yield* cpu.readOnce(PTE + page);
    if (entry === 0) {
      const frame = (yield* cpu.add(NXT, 1)) + 1;
      yield* cpu.store(DATA + frame, 1);
      yield* cpu.store(REF + frame, 1);
      yield* install(cpu, form, PTE + page, frame);
    }
    entry = yield* cpu.readOnce(PTE + page);
    if (entry === 0) continue;
    const data = yield* cpu.load(DATA + entry);
    if (data !== 1) throw new InvariantError(`data[${entry}] is ${data}`);
  }
  return 0;
}

function* install(cpu: Cpu, form: number, pte: Word, frame: number): Op<void> {
  if (form === ReferenceForm.CAS) {
    if (yield* cpu.cas(pte, 0, frame)) yield* cpu.add(RSS, 1);
    else yield* put(cpu, frame);
    return;
  }
  if (form !== ReferenceForm.BUG) yield* cpu.spinLock(PTL);
  const entry = yield* cpu.readOnce(pte);
  if (entry !== 0) {
    if (form !== ReferenceForm.BUG) yield* cpu.spinUnlock(PTL);
    yield* put(cpu, frame);
  } else if (form === ReferenceForm.LOCK) {
    yield* cpu.add(RSS, 1);
    yield* cpu.writeOnce(pte, frame);
    yield* cpu.spinUnlock(PTL);
  } else if (form === ReferenceForm.BUG) {
    yield* cpu.writeOnce(pte, frame);
    yield* cpu.add(RSS, 1);
  } else {
    yield* cpu.writeOnce(pte, frame);
    yield* cpu.spinUnlock(PTL);
    const rss = yield* cpu.load(RSS);
    yield* cpu.store(RSS, rss + 1);
  }
}

function* put(cpu: Cpu, frame: number): Op<void> {
  const old = yield* cpu.add(REF + frame, -1);
  if (old !== 1) throw new InvariantError(`ref[${frame}] was ${old}`);
  yield* cpu.add(FREED, 1);
}

/** Takes each of `pages` pages away if it is there. */
export function* referenceReclaim(cpu: Cpu, form: number, pages: number): Op<number> {
  const locks = form === ReferenceForm.LOCK || form === ReferenceForm.BUGRSS;
  for (let page = 0; page < pages; page++) {
    let entry = yield* cpu.readOnce(PTE + page);
    if (entry === 0) continue;
    if (locks) {
      yield* cpu.spinLock(PTL);
      entry = yield* cpu.readOnce(PTE + page);
      if (entry !== 0) {
        yield* cpu.writeOnce(PTE + page, 0);
        yield* cpu.add(RSS, -1);
      }
      yield* cpu.spinUnlock(PTL);
      if (entry !== 0) yield* put(cpu, entry);
    } else if (yield* cpu.cas(PTE + page, entry, 0)) {
      yield* cpu.add(RSS, -1);
      yield* put(cpu, entry);
    }
  }
  return 0;
}

/** What must hold at the end. */
export function referenceCheck({ words }: Memory): string[] {
  const entries = words.slice(PTE, PTE + MAX_PAGES).filter((entry) => entry !== 0);
  const mapped = entries.length;
  const failures: string[] = [];
  if (words[RSS] !== mapped) failures.push(`rss is ${words[RSS]}, mapped are ${mapped}`);
  const held = words[NXT] - words[FREED];
  if (held !== mapped) failures.push(`${held} frames are held, mapped are ${mapped}`);
  for (const entry of entries) {
    if (words[REF + entry] !== 1) failures.push(`ref[${entry}] is ${words[REF + entry]}`);
  }
  return failures;
}
