/**
 * Which mappings claim a frame (Linux: mm/rmap.c, 2.6.10).
 */
import { InvariantError } from '../base/errors.js';
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE } from '../hardware/machine.js';
import { MmCounter, updateMmCounter } from './counters.js';
import { Mm } from './layout/mm.js';
import { PAGE_MAPPING_ANON, Page, pageOf } from './layout/page.js';
import { TABLES } from './layout/slab.js';
import { AnonVma, Vma } from './layout/vma.js';
import { slabAlloc, slabFree } from './slab.js';
import { vmasMayShareAnon } from './vmaflags.js';

/**
 * Gives a VMA its anon_vma before its first anonymous page (Linux: anon_vma_prepare). A neighbour's
 * is taken where the two might merge.
 *
 * @returns whether there is one; false when the table is full
 * Locks: mmap_sem; takes page_table_lock.
 */
export function* anonVmaPrepare(cpu: Cpu, vma: Word): Op<boolean> {
  if ((yield* cpu.readOnce(vma + Vma.anonVma)) !== 0) return true;
  const mm = yield* cpu.load(vma + Vma.vmMm);
  const shared = yield* findMergeableAnonVma(cpu, vma);
  const anonVma = shared !== 0 ? shared : yield* slabAlloc(cpu, TABLES.anonVma);
  if (anonVma === 0) return false;

  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const won = (yield* cpu.readOnce(vma + Vma.anonVma)) === 0;
  if (won) {
    yield* cpu.add(anonVma + AnonVma.vmas, 1);
    yield* cpu.writeOnce(vma + Vma.anonVma, anonVma);
  }
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  if (!won && shared === 0) yield* slabFree(cpu, TABLES.anonVma, anonVma);
  return true;
}

function* findMergeableAnonVma(cpu: Cpu, vma: Word): Op<Word> {
  const next = yield* cpu.load(vma + Vma.vmNext);
  if (next !== 0 && (yield* vmasMayShareAnon(cpu, vma, next))) {
    const anonVma = yield* cpu.readOnce(next + Vma.anonVma);
    if (anonVma !== 0) return anonVma;
  }
  const prev = yield* cpu.load(vma + Vma.vmPrev);
  if (prev !== 0 && (yield* vmasMayShareAnon(cpu, prev, vma))) {
    return yield* cpu.readOnce(prev + Vma.anonVma);
  }
  return 0;
}

/** Drops a VMA's claim on its anon_vma; the last one frees it (Linux: anon_vma_unlink). */
export function* anonVmaUnlink(cpu: Cpu, vma: Word): Op<void> {
  const anonVma = yield* cpu.readOnce(vma + Vma.anonVma);
  if (anonVma === 0) return;
  yield* cpu.writeOnce(vma + Vma.anonVma, 0);
  const before = yield* cpu.add(anonVma + AnonVma.vmas, -1);
  if (before === 1) yield* slabFree(cpu, TABLES.anonVma, anonVma);
}

/**
 * Adds the first pte's claim on an anonymous frame, and counts it (Linux: page_add_anon_rmap;
 * page_add_new_anon_rmap since 2.6.18).
 *
 * Locks: that of the pte or, in V18, none. Plain stores will do: the frame is new and not yet on
 * the LRU list, and only this pte leads to it.
 */
export function* pageAddNewAnonRmap(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  pfn: Pfn,
  address: Vaddr,
): Op<void> {
  const page = pageOf(pfn);
  const anonVma = yield* cpu.readOnce(vma + Vma.anonVma);
  yield* cpu.store(page + Page.mapping, anonVma + PAGE_MAPPING_ANON);
  yield* cpu.store(page + Page.index, (address * PAGES_PER_BYTE) | 0);
  yield* cpu.store(page + Page.mapcount, 1);
  yield* updateMmCounter(cpu, mm, MmCounter.anonRss, 1);
}

/** Adds a pte's claim on a frame of a file (Linux: page_add_file_rmap). */
export function* pageAddFileRmap(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* cpu.add(pageOf(pfn) + Page.mapcount, 1);
}

/** Whether a frame is anonymous memory (Linux: PageAnon). */
export function* pageAnon(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const mapping = yield* cpu.readOnce(pageOf(pfn) + Page.mapping);
  return (mapping & PAGE_MAPPING_ANON) !== 0;
}

/**
 * Drops a pte's claim on a frame (Linux: page_remove_rmap).
 *
 * @returns claims left, in ptes
 * Locks: the caller holds page_table_lock and has cleared the pte.
 * @throws InvariantError when the frame was not mapped: our bug, never the guest's
 */
export function* pageRemoveRmap(cpu: Cpu, pfn: Pfn): Op<number> {
  const left = (yield* cpu.add(pageOf(pfn) + Page.mapcount, -1)) - 1;
  if (left < 0) throw new InvariantError(`page.mapcount: frame ${pfn} unmapped twice (${left})`);
  return left;
}
