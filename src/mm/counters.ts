/**
 * Counters of an address space, in three forms behind one interface (SPEC 1.2), and the event
 * counts of the system.
 *
 * The form is a design's choice:
 *   locked      plain words, changed under page_table_lock (2.6.10), which is taken for them where the
 *               locks of ptes are others
 *   atomic      atomic words (V18, patch 4 of 4: atomic_t rss, anon_rss)
 *   per-thread  each task adds to words of its own; a reader sums over the tasks (V18, patch 3 of 4
 *               keeps rss and anon_rss in page_state for that)
 */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { COUNTERS_LOCK, COUNTERS_PER_THREAD, COUNTERS_PLAIN } from './design.js';
import { Mm, Task } from './layout/mm.js';
import { Percpu, percpuOf } from './layout/percpu.js';

/** A counter of an mm, and of its tasks. */
export const enum MmCounter {
  rss,
  anonRss,
}

/**
 * Adds to a counter of an address space (Linux: update_mm_counter).
 *
 * @param delta - in pages
 * Locks: page_table_lock for the locked form where that is the lock of ptes; none for the others.
 */
export function* updateMmCounter(cpu: Cpu, mm: Word, counter: MmCounter, delta: number): Op<void> {
  if (COUNTERS_PER_THREAD && mm === cpu.mm) {
    const word = cpu.current + Task.rss + counter;
    const value = yield* cpu.load(word);
    yield* cpu.writeOnce(word, value + delta);
  } else if (COUNTERS_PLAIN) {
    if (COUNTERS_LOCK) yield* cpu.spinLock(mm + Mm.pageTableLock);
    const word = mm + Mm.rss + counter;
    const value = yield* cpu.load(word);
    yield* cpu.store(word, value + delta);
    if (COUNTERS_LOCK) yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  } else {
    yield* cpu.add(mm + Mm.rss + counter, delta);
  }
}

/**
 * Reads a counter (Linux: get_mm_counter). While other CPUs fault, a sum over tasks is a value that
 * the counter had at about this time.
 *
 * Locks: page_table_lock, for the list of tasks.
 */
export function* getMmCounter(cpu: Cpu, mm: Word, counter: MmCounter): Op<number> {
  let sum = yield* cpu.readOnce(mm + Mm.rss + counter);
  if (COUNTERS_PER_THREAD) {
    let task = yield* cpu.load(mm + Mm.taskList);
    while (task !== 0) {
      sum += yield* cpu.readOnce(task + Task.rss + counter);
      task = yield* cpu.load(task + Task.nextOfMm);
    }
  }
  return sum;
}

/**
 * Raises the high-water mark to the present rss (Linux: update_hiwater_rss, since 2.6.15: called
 * before rss falls instead of after each rise, so that faults do not pay for it).
 *
 * Locks: takes page_table_lock.
 */
export function* updateHiwaterRss(cpu: Cpu, mm: Word): Op<void> {
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  yield* raiseHiwaterRss(cpu, mm);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
}

/** Locks: page_table_lock. */
export function* raiseHiwaterRss(cpu: Cpu, mm: Word): Op<void> {
  const rss = yield* getMmCounter(cpu, mm, MmCounter.rss);
  const highest = yield* cpu.load(mm + Mm.hiwaterRss);
  if (rss > highest) yield* cpu.store(mm + Mm.hiwaterRss, rss);
}

/** Counts an event (Linux: inc_page_state). @param event - one of PageState */
export function* countEvent(cpu: Cpu, event: number): Op<void> {
  yield* countEvents(cpu, event, 1);
}

/** Counts events (Linux: mod_page_state). */
export function* countEvents(cpu: Cpu, event: number, count: number): Op<void> {
  const word = percpuOf(cpu.id) + Percpu.pageState + event;
  const value = yield* cpu.load(word);
  yield* cpu.store(word, value + count);
}
