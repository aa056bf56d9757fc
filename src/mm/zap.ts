/**
 * Removal of mapped pages from a range (Linux: zap_page_range and zap_pte_range, mm/memory.c).
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { ENTRY_WORDS, PAGE_SIZE, PTE_DIRTY, entryPfn, pteOffset } from '../hardware/machine.js';
import { MmCounter, updateHiwaterRss, updateMmCounter } from './counters.js';
import { Mm } from './layout/mm.js';
import { PG_dirty, Page, ZERO_PFN, pageOf } from './layout/page.js';
import { VM_PFNMAP, Vma } from './layout/vma.js';
import { putPage } from './lru.js';
import { leafTable, nextSpan, ptePresent, ptepGetAndClear } from './pgtable.js';
import { pageAnon, pageRemoveRmap } from './rmap.js';
import { flushTlbMm } from './tlbflush.js';

/** Pages whose ptes are cleared before the TLBs are flushed and the pages freed. */
const GATHER_PAGES = 256;

/** What has been unmapped and not yet flushed and freed (Linux: struct mmu_gather). */
interface Gather {
  /** Frames to put. */
  readonly frames: Pfn[];
  /** Ptes cleared; with any, the TLBs are stale. */
  cleared: number;
  anon: number;
  rss: number;
}

/**
 * Unmaps the pages of a range, all within one VMA.
 *
 * Locks: mmap_sem for writing; takes page_table_lock, a leaf table at a time.
 */
export function* zapPageRange(cpu: Cpu, mm: Word, vma: Word, start: Vaddr, end: Vaddr): Op<void> {
  const counted = ((yield* cpu.load(vma + Vma.vmFlags)) & VM_PFNMAP) === 0;
  const gather: Gather = { frames: [], cleared: 0, anon: 0, rss: 0 };
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  yield* updateHiwaterRss(cpu, mm);
  let address = start;
  while (address < end) {
    const table = yield* leafTable(cpu, mm, address);
    if (table <= 0) {
      address = nextSpan(address, -table);
      continue;
    }
    const stop = Math.min(end, nextSpan(address, 1));
    for (; address < stop; address += PAGE_SIZE) {
      yield* zapPte(cpu, table + pteOffset(address), counted, gather);
      if (gather.cleared < GATHER_PAGES) continue;
      yield* finishGather(cpu, mm, gather);
    }
  }
  yield* finishGather(cpu, mm, gather);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
}

function* zapPte(cpu: Cpu, ptep: Word, counted: boolean, gather: Gather): Op<void> {
  if (!ptePresent(yield* cpu.readOnce(ptep))) return;
  const entry = yield* ptepGetAndClear(cpu, ptep);
  if (ENTRY_WORDS === 2) yield* cpu.writeOnce(ptep + 1, 0);
  gather.cleared++;
  const pfn = entryPfn(entry);
  if (pfn === ZERO_PFN) return;
  if (counted) gather.rss++;
  if (yield* pageAnon(cpu, pfn)) gather.anon++;
  else if ((entry & PTE_DIRTY) !== 0) yield* cpu.or(pageOf(pfn) + Page.flags, PG_dirty);
  yield* pageRemoveRmap(cpu, pfn);
  gather.frames.push(pfn);
}

/** Flushes, then frees: until the flush another CPU may still use what its TLB holds. */
function* finishGather(cpu: Cpu, mm: Word, gather: Gather): Op<void> {
  if (gather.cleared === 0) return;
  yield* updateMmCounter(cpu, mm, MmCounter.rss, -gather.rss);
  yield* updateMmCounter(cpu, mm, MmCounter.anonRss, -gather.anon);
  yield* flushTlbMm(cpu, mm);
  for (const pfn of gather.frames) yield* putPage(cpu, pfn);
  gather.frames.length = 0;
  gather.cleared = 0;
  gather.rss = 0;
  gather.anon = 0;
}
