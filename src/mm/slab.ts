/** Takes and gives records of the slab tables (Linux: kmem_cache_alloc, kmem_cache_free). */
import { InvariantError } from '../base/errors.js';
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { KMAP_CHECKED } from './design.js';
import { mightSleep } from './kmap.js';
import { shouldFail } from './failpoint.js';
import { Slab, type SlabTable } from './layout/slab.js';

/** @returns a record filled with zeros, or 0 when the table is full */
export function* slabAlloc(cpu: Cpu, table: SlabTable): Op<Word> {
  if (KMAP_CHECKED) yield* mightSleep(cpu);
  return (yield* shouldFail(cpu)) ? 0 : yield* slabAllocReserved(cpu, table);
}

/** The same of a table that has room for all that can be needed. */
export function* slabAllocReserved(cpu: Cpu, table: SlabTable): Op<Word> {
  const slab = table.slab;
  yield* cpu.spinLock(slab + Slab.lock);
  let record = yield* cpu.load(slab + Slab.freeHead);
  if (record !== 0) {
    const next = yield* cpu.load(record);
    yield* cpu.store(slab + Slab.freeHead, next);
    yield* cpu.writeOnce(record, 0);
  } else {
    record = yield* cpu.load(slab + Slab.fresh);
    const end = yield* cpu.load(slab + Slab.end);
    if (record === end) {
      yield* cpu.spinUnlock(slab + Slab.lock);
      return 0;
    }
    yield* cpu.writeOnce(slab + Slab.fresh, record + table.record);
  }
  const inUse = yield* cpu.load(slab + Slab.inUse);
  yield* cpu.store(slab + Slab.inUse, inUse + 1);
  yield* cpu.spinUnlock(slab + Slab.lock);
  return record;
}

/** Gives a record back and clears it. */
export function* slabFree(cpu: Cpu, table: SlabTable, record: Word): Op<void> {
  if (record < table.base || record >= table.end || (record - table.base) % table.record !== 0) {
    throw new InvariantError(`slab ${table.name}: word ${record} is none of its records`);
  }
  for (let offset = 1; offset < table.cleared; offset++) yield* cpu.writeOnce(record + offset, 0);
  const slab = table.slab;
  yield* cpu.spinLock(slab + Slab.lock);
  const head = yield* cpu.load(slab + Slab.freeHead);
  yield* cpu.writeOnce(record, head);
  yield* cpu.store(slab + Slab.freeHead, record);
  const inUse = yield* cpu.load(slab + Slab.inUse);
  yield* cpu.store(slab + Slab.inUse, inUse - 1);
  yield* cpu.spinUnlock(slab + Slab.lock);
}
