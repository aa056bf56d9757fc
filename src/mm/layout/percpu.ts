/**
 * percpu: what each CPU keeps to itself so that it need not lock (Linux: per_cpu_pages, the
 * lru_add_active_pvecs and page_states of 2.6.10). Written only by its CPU; read by others at
 * quiet points.
 * Shape: PERCPU_RECORD = 144 words, a multiple of a cache line; 160 where tables move, 176 where there is a stack, 224
 * with high memory.
 */
import type { Word } from '../../base/units.js';
import { CPUS, FRAMES, HIGHMEM, LINE_WORDS } from '../../hardware/machine.js';
import { PREFAULT_POSTED, RELOCATION } from '../design.js';
import { ZONES_END } from './zone.js';

/** Frames that a per-CPU list holds at most, and how many move to or from the zone at once. */
export const PCP_HIGH = 46;
/** On a small machine fewer: what lies in one CPU's list the others cannot have. */
export const PCP_BATCH = Math.max(1, Math.min(16, FRAMES >> 6));
/** Pages that a pagevec holds (include/linux/pagevec.h). */
export const PAGEVEC_SIZE = 14;
/** What there is of a CPU's kernel stack, in designs that have one. */
export const STACK_WORDS = PREFAULT_POSTED ? 2 * LINE_WORDS : 0;

export const Percpu = {
  /** Event counts (Linux: struct page_state), see the PageState names. */
  pageState: 0,
  /** Pages that wait for the active list: a count, then frame numbers. */
  lruAddActiveCount: 32,
  lruAddActive: 33,
  /** Free frames: a count, then a stack of frame numbers. */
  pcpCount: 48,
  pcp: 49,
  /** Pages that wait for the inactive list: a count, then frame numbers. */
  lruAddCount: 96,
  lruAdd: 97,
  /** Which allocation from now on is to fail, counted from 1; 0 = none. */
  failAfter: 95,
  /** Free frames that hold zeros: a count, then a stack of up to PCP_BATCH frame numbers. */
  pcpZeroedCount: 112,
  pcpZeroed: 113,
  /** Of a thousand allocations how many are to fail, and what chooses them: a number that each changes. */
  failPermille: 130,
  failSeed: 131,
  /** Slots of the CPU that its task uses: with any it must not sleep (Linux: preempt_count). */
  preemptCount: 132,
  /**
   * STACK_WORDS of the kernel's stack: the frame numbers of the posted prefault's pagevec and, behind them, where
   * its function returns to.
   */
  stackPagevec: 144,
  stackReturn: 158,
  /**
   * By level: page tables that a hypervisor was told of, and told to forget, as they moved (paravirt.ts). In designs
   * whose tables move, which have no such stack.
   */
  tablesPinned: 144,
  tablesUnpinned: 148,
  /** The same as pcpCount and pcp of low memory, where there is high memory (Linux: a list for each zone). */
  pcpLowCount: 176,
  pcpLow: 177,
} as const;

/** Offsets of the event counts from Percpu.pageState (V18, patch 3 of 4: struct page_state). */
export const PageState = {
  pgfault: 0,
  pgmajfault: 1,
  pgalloc: 2,
  pgfree: 3,
  spurious_page_faults: 4,
  cmpxchg_fail_flag_update: 5,
  cmpxchg_fail_flag_reuse: 6,
  cmpxchg_fail_anon_read: 7,
  cmpxchg_fail_anon_write: 8,
  nr_page_table_pages: 9,
  /** Kinds of fault handled, ours: the kernel has no such counts. */
  fault_anon_read: 10,
  fault_anon_write: 11,
  fault_file_read: 12,
  fault_file_write: 13,
  fault_cow: 14,
  fault_reuse: 15,
  fault_around_pages: 16,
  /** Pages read from swap and written to it. */
  pswpin: 17,
  pswpout: 18,
  /** Pages read from files and written to them (Linux counts sectors: pgpgin, pgpgout). */
  pgpgin: 19,
  pgpgout: 20,
  pgactivate: 21,
  pgdeactivate: 22,
  /** Pages that reclaim looked at, and took: by kswapd and by who allocates. */
  pgscan_kswapd: 23,
  pgscan_direct: 24,
  pgsteal: 25,
  /** Times that an allocation had to reclaim by itself. */
  allocstall: 26,
  oom_kill: 27,
  /** Faults that should have mapped a huge page, when none was to be had. */
  thp_fault_fallback: 28,
  /** Pages of anonymous memory that faults mapped ahead of any touch, ours. */
  prefault_pages: 29,
  /** Frames that kscrubd zeroed, and frames of zeros handed out as they were. */
  pgscrub: 30,
  pgalloc_zeroed: 31,
  /** What the guest told its host, in designs with hinting: pageStates.ts. Behind all else of the record. */
  page_set_unused: 143,
  page_set_stable: 142,
  page_make_stable: 141,
  page_make_volatile: 140,
  page_check_writable: 139,
  /** Accesses to frames that the host had taken, and pages that were discarded for it. */
  discard_fault: 138,
  page_discard: 137,
} as const;

export type PageStateName = keyof typeof PageState;

const TABLE_COUNT_WORDS = RELOCATION ? LINE_WORDS : 0;

export const PERCPU_RECORD = HIGHMEM
  ? 14 * LINE_WORDS
  : 9 * LINE_WORDS + STACK_WORDS + TABLE_COUNT_WORDS;
export const PERCPUS: Word = ZONES_END;
export const PERCPUS_END: Word = PERCPUS + CPUS * PERCPU_RECORD;

export function percpuOf(cpu: number): Word {
  return PERCPUS + cpu * PERCPU_RECORD;
}
