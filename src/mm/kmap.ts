/**
 * Slots by which the kernel reaches page tables in high memory (Linux: kmap_high, kunmap_high, flush_all_zero_pkmaps of
 * mm/highmem.c; kmap_atomic of arch/i386/mm/highmem.c; 2.4.18 to 2.6.10).
 *
 * A frame beyond LOW_FRAMES has no address of its own. Mapped into a slot it has one for so long, a word beyond all
 * memory, and each access by that looks in the slot which frame it is (kmapWord): what another task put there
 * meanwhile is what the access goes to. Two kinds of slot:
 *
 *   pool        all CPUs share them, under a lock. A frame that has one keeps it until it is needed, and all who want the
 *               frame use the same. Who finds none sleeps; so may who has one.
 *   of an owner who alone uses them, without a lock. The owner is a CPU: then its task must not sleep while it has one
 *               (kmap_atomic), since the next task of the CPU takes it. Or it is a task (user-fixmap): then it may.
 *
 * Lock order: the pool's lock comes last.
 */
import { InvariantError } from '../base/errors.js';
import type { Pfn, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { CPUS, KMAPS, LOW_FRAMES, PAGE_WORDS } from '../hardware/machine.js';
import { CpuLine, cpuLine } from '../hardware/memory.js';
import { KMAP_CHECKED, KMAP_ONE_BY_ONE, KMAP_WINDOW } from './design.js';
import { KMAP, KMAP_BASE, Kmap, KmapSlot, ownedSlot, pageKmap, slotRecord } from './layout/kmap.js';
import { Percpu, percpuOf } from './layout/percpu.js';
import { RECORD_WORDS, TABLES } from './layout/slab.js';

/** No slot of the pool is free. */
const NO_SLOT = -1;

/**
 * The word of memory that an address in a slot stands for at this moment; any other word is its own.
 *
 * @throws InvariantError where the slot maps nothing: the kernel's oops
 */
export function* kmapWord(cpu: Cpu, address: Word): Op<Word> {
  if (address === 0) {
    throw new InvariantError(
      `unable to handle kernel NULL pointer dereference: cpu ${cpu.id} reaches for a pte that is not there`,
    );
  }
  if (address < KMAP_BASE) return address;
  const slot = slotOf(address);
  const pfn = yield* cpu.readOnce(slotRecord(slot) + KmapSlot.pfn);
  if (pfn === 0) {
    throw new InvariantError(
      `unable to handle kernel paging request: cpu ${cpu.id} reaches for a pte by kmap slot ${slot}, which maps nothing`,
    );
  }
  return frameOf(pfn) + ((address - KMAP_BASE) % PAGE_WORDS);
}

function slotOf(address: Word): number {
  return ((address - KMAP_BASE) / PAGE_WORDS) | 0;
}

function addressOf(slot: number): Word {
  return KMAP_BASE + slot * PAGE_WORDS;
}

/**
 * Maps a frame into a slot of the current owner (Linux: kmap_atomic). Of a CPU: its task must not sleep until it has
 * given it back.
 *
 * @param type - KM_PTE0 and its like
 * @returns the frame's first word, as the kernel reaches it
 */
export function* kmapOwned(cpu: Cpu, pfn: Pfn, type: number): Op<Word> {
  const owner = ownerOf(cpu);
  if (owner < CPUS) yield* addPreemptCount(cpu, 1);
  if (pfn < LOW_FRAMES) return frameOf(pfn);
  const slot = ownedSlot(owner, type);
  const word = slotRecord(slot) + KmapSlot.pfn;
  if (KMAP_CHECKED && (yield* cpu.readOnce(word)) !== 0) {
    throw new InvariantError(`kmap slot ${slot}, of type ${type}, is taken while it is in use`);
  }
  yield* cpu.writeOnce(word, pfn);
  // The CPU may have what the slot mapped before in its TLB.
  yield* cpu.spend(Work.FLUSH_KERNEL_PAGE);
  return addressOf(slot);
}

/** Gives such a slot back. @param address - any word of what was mapped */
export function* kunmapOwned(cpu: Cpu, address: Word): Op<void> {
  if (KMAP_CHECKED && address >= KMAP_BASE) {
    yield* cpu.writeOnce(slotRecord(slotOf(address)) + KmapSlot.pfn, 0);
  }
  if (ownerOf(cpu) < CPUS) yield* addPreemptCount(cpu, -1);
}

/**
 * Whose slots the CPU's task uses: its own where the design has windows, otherwise the CPU's. Who has no task (a daemon,
 * and the last of an exit) uses those of the CPU in every design.
 */
function ownerOf({ id, current }: Cpu): number {
  if (!KMAP_WINDOW || current === 0) return id;
  return CPUS + (current - TABLES.task.base) / RECORD_WORDS.task;
}

function* addPreemptCount(cpu: Cpu, change: number): Op<void> {
  const word = preemptCount(cpu.id);
  const count = yield* cpu.load(word);
  yield* cpu.store(word, count + change);
}

/** The word that counts what a CPU's task has of its slots. */
export function preemptCount(cpu: number): Word {
  return percpuOf(cpu) + Percpu.preemptCount;
}

export function sleepsWithKmap(cpu: number, how: string): InvariantError {
  return new InvariantError(`cpu ${cpu} ${how} with an atomic kmap held`);
}

/**
 * Asks whether who may have to sleep may do so, where it does not always come to that (Linux: might_sleep). Operations
 * that sleep are looked at by the engines. In designs with KMAP_CHECKED.
 */
export function* mightSleep(cpu: Cpu): Op<void> {
  if ((yield* cpu.load(preemptCount(cpu.id))) !== 0) throw sleepsWithKmap(cpu.id, 'may sleep');
}

/**
 * Maps a frame into a slot of the pool, which waits until there is one (Linux: kmap_high).
 *
 * @returns the frame's first word, as the kernel reaches it
 */
export function* kmapHigh(cpu: Cpu, pfn: Pfn): Op<Word> {
  if (KMAP_CHECKED) yield* mightSleep(cpu);
  if (pfn < LOW_FRAMES) return frameOf(pfn);
  yield* cpu.spinLock(KMAP + Kmap.lock);
  let slot = yield* pinSlot(cpu, pfn);
  while (slot === NO_SLOT) {
    yield* waitForSlot(cpu);
    slot = yield* pinSlot(cpu, pfn);
  }
  yield* cpu.spinUnlock(KMAP + Kmap.lock);
  return addressOf(slot);
}

/** The same for who may not sleep now. @returns 0 where that would be needed */
export function* kmapHighNowait(cpu: Cpu, pfn: Pfn): Op<Word> {
  if (pfn < LOW_FRAMES) return frameOf(pfn);
  yield* cpu.spinLock(KMAP + Kmap.lock);
  const slot = yield* pinSlot(cpu, pfn);
  yield* cpu.spinUnlock(KMAP + Kmap.lock);
  return slot === NO_SLOT ? 0 : addressOf(slot);
}

/** Two frames as the kernel reaches them. */
export interface TwoKmaps {
  readonly one: Word;
  readonly other: Word;
}

/**
 * Maps two frames: both or, as long as there is not room for both, none. Who waits has none that another waits for. One
 * after the other is how two tasks that have one each wait for ever.
 */
export function* kmapHighTwo(cpu: Cpu, one: Pfn, other: Pfn): Op<TwoKmaps> {
  if (KMAP_ONE_BY_ONE || one < LOW_FRAMES || other < LOW_FRAMES) {
    return { one: yield* kmapHigh(cpu, one), other: yield* kmapHigh(cpu, other) };
  }
  if (KMAP_CHECKED) yield* mightSleep(cpu);
  yield* cpu.spinLock(KMAP + Kmap.lock);
  for (;;) {
    const first = yield* pinSlot(cpu, one);
    const second = first === NO_SLOT ? NO_SLOT : yield* pinSlot(cpu, other);
    if (second !== NO_SLOT) {
      yield* cpu.spinUnlock(KMAP + Kmap.lock);
      return { one: addressOf(first), other: addressOf(second) };
    }
    if (first !== NO_SLOT) yield* unpinSlot(cpu, first);
    yield* waitForSlot(cpu);
  }
}

/** Gives a slot of the pool back (Linux: kunmap_high). @param address - any word of what was mapped */
export function* kunmapHigh(cpu: Cpu, address: Word): Op<void> {
  if (address < KMAP_BASE) return;
  const slot = slotOf(address);
  yield* cpu.spinLock(KMAP + Kmap.lock);
  const left = yield* unpinSlot(cpu, slot);
  const wanted = left === 1 && (yield* cpu.load(KMAP + Kmap.waiters)) > 0;
  if (wanted) yield* countPoolEvent(cpu, Kmap.handOvers);
  yield* cpu.spinUnlock(KMAP + Kmap.lock);
  if (wanted) yield* cpu.wakeUp(KMAP + Kmap.waitQueue);
}

/**
 * Counts one more who uses the frame's slot, and finds it one if it has none.
 *
 * @returns the slot; NO_SLOT if none is free
 * Locks: the pool's.
 */
function* pinSlot(cpu: Cpu, pfn: Pfn): Op<number> {
  const known = (yield* cpu.load(pageKmap(pfn))) - 1;
  const slot = known >= 0 ? known : yield* takeSlot(cpu, pfn);
  if (slot === NO_SLOT) return NO_SLOT;
  const pins = yield* cpu.load(slotRecord(slot) + KmapSlot.pins);
  yield* cpu.store(slotRecord(slot) + KmapSlot.pins, pins + 1);
  return slot;
}

/** @returns the slot's pins now: 1 where nobody uses it any more. Locks: the pool's */
function* unpinSlot(cpu: Cpu, slot: number): Op<number> {
  const pins = yield* cpu.load(slotRecord(slot) + KmapSlot.pins);
  if (pins < 2) throw new InvariantError(`kmap slot ${slot} is given back, and nobody uses it`);
  yield* cpu.store(slotRecord(slot) + KmapSlot.pins, pins - 1);
  return pins - 1;
}

/**
 * Gives a frame the next free slot. Each time round, those that nobody uses are emptied first, and all are looked at
 * once more (Linux: map_new_virtual).
 *
 * Locks: the pool's.
 */
function* takeSlot(cpu: Cpu, pfn: Pfn): Op<number> {
  let slot = yield* cpu.load(KMAP + Kmap.lastSlot);
  for (let left = KMAPS; left > 0; left--) {
    slot = (slot + 1) % KMAPS;
    if (slot === 0) {
      yield* flushAllZeroPkmaps(cpu);
      left = KMAPS;
    }
    if ((yield* cpu.load(slotRecord(slot) + KmapSlot.pins)) !== 0) continue;
    yield* cpu.store(KMAP + Kmap.lastSlot, slot);
    yield* cpu.writeOnce(slotRecord(slot) + KmapSlot.pfn, pfn);
    yield* cpu.store(slotRecord(slot) + KmapSlot.pins, 1);
    yield* cpu.store(pageKmap(pfn), slot + 1);
    return slot;
  }
  return NO_SLOT;
}

/**
 * Empties the slots that nobody uses. Until all CPUs have flushed their TLBs, none may map anything else.
 *
 * Locks: the pool's. CPUs that wait for it answer.
 */
function* flushAllZeroPkmaps(cpu: Cpu): Op<void> {
  let emptied = false;
  for (let slot = 0; slot < KMAPS; slot++) {
    const record = slotRecord(slot);
    if ((yield* cpu.load(record + KmapSlot.pins)) !== 1) continue;
    const pfn = yield* cpu.readOnce(record + KmapSlot.pfn);
    yield* cpu.store(pageKmap(pfn), 0);
    yield* cpu.writeOnce(record + KmapSlot.pfn, 0);
    yield* cpu.store(record + KmapSlot.pins, 0);
    emptied = true;
  }
  if (!emptied) return;
  yield* countPoolEvent(cpu, Kmap.flushes);
  for (let other = 0; other < CPUS; other++) {
    const active = yield* cpu.readOnce(cpuLine(other) + CpuLine.activeMm);
    if (active !== 0) yield* cpu.invalidate(other, -1);
  }
}

/** Sleeps until a slot is given back. Locks: the pool's, which is let go meanwhile. */
function* waitForSlot(cpu: Cpu): Op<void> {
  yield* countPoolEvent(cpu, Kmap.sleeps);
  const waiters = yield* cpu.load(KMAP + Kmap.waiters);
  yield* cpu.store(KMAP + Kmap.waiters, waiters + 1);
  const sequence = yield* cpu.readOnce(KMAP + Kmap.waitQueue);
  yield* cpu.spinUnlock(KMAP + Kmap.lock);
  yield* cpu.sleepOn(KMAP + Kmap.waitQueue, sequence);
  yield* cpu.spinLock(KMAP + Kmap.lock);
  const left = yield* cpu.load(KMAP + Kmap.waiters);
  yield* cpu.store(KMAP + Kmap.waiters, left - 1);
}

/** Locks: the pool's. @param event - a field of Kmap */
function* countPoolEvent(cpu: Cpu, event: number): Op<void> {
  const count = yield* cpu.load(KMAP + event);
  yield* cpu.store(KMAP + event, count + 1);
}
