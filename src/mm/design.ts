/**
 * What a VM design chooses, and the choices of this instance as module-level constants.
 *
 * A design is data. The code reads the constants below, once per instance, so that a choice costs
 * nothing per fault.
 */
import { instanceConfiguration } from '../base/instance.js';

/** How changes to page tables by different CPUs are kept apart. */
export interface Locking {
  /**
   * Whether page_table_atomic_start/stop take mm->page_table_lock (V18, patch 3 of 4: they do
   * where CONFIG_ATOMIC_TABLE_OPS is off). With false, ptes are updated by compare-exchange.
   */
  readonly faultLock: boolean;
  /** Whether do_anonymous_page takes page_table_lock to install a page it wrote to. */
  readonly anonWriteLock: boolean;
  /** Whether checking a pte and installing the new one is one atomic step (ptep_cmpxchg). */
  readonly atomicInstall: boolean;
  /** What keeps the page that do_wp_page copies from going away: see there. */
  readonly wpCopy: WpCopy;
}

/**
 * How do_wp_page treats the page that it copies (SPEC 1.5):
 *   hold           takes a reference in the section that read the pte (2.6.10)
 *   no-hold        takes none: what was copied is thrown away if the pte has changed (V18)
 *   hold-if-debug  takes one only with DEBUG_PAGEALLOC, where a freed page cannot be read at all, and
 *                  where sections must take the lock (4 March 2005, first mail)
 *   lock-and-hold  takes page_table_lock first, looks at the pte again, and takes a reference (4 March
 *                  2005, second mail: what a reference needs where sections take no lock)
 */
export type WpCopy = 'hold' | 'no-hold' | 'hold-if-debug' | 'lock-and-hold';

/** How rss and anon_rss are kept (SPEC 1.2): see mm/counters.ts. */
export type CounterForm = 'locked' | 'atomic' | 'per-thread';

/**
 * Free memory is zeroed before it is asked for, by a kscrubd on each node: see scrubd.ts. Orders are
 * log2 of pages, scrubStop <= scrubStart.
 */
export interface Prezero {
  /** A free block of this order or more that is not zeroed wakes kscrubd (/proc/sys/vm/scrub_start). */
  readonly scrubStart: number;
  /** The smallest blocks that kscrubd zeroes (/proc/sys/vm/scrub_stop). */
  readonly scrubStop: number;
}

export interface VmDesign {
  /** As typed on the command line. */
  readonly name: string;
  /** One line for a list. */
  readonly summary: string;
  /** The document or kernel version that it comes from. */
  readonly source: string;
  /** What is wrong with it, for a design kept to show a bug. */
  readonly broken?: string;
  readonly locking: Locking;
  readonly counters: CounterForm;
  /** Whether freed frames are unmapped from the kernel, to catch who still uses them. */
  readonly debugPagealloc?: boolean;
  /** Without, frames are zeroed when they are handed out. */
  readonly prezero?: Prezero;
  /** Whether allocations can be made to fail, see failpoint.ts. Costs a load for each. */
  readonly failAllocations?: boolean;
  /** Pages that a read fault on a file tries to map around itself; a power of two; 1 is off. */
  readonly faultAroundPages: number;
}

/** Sizes of the record tables, and what a process may have of them. */
export interface Limits {
  /** VMAs that one address space may have (Linux: vm.max_map_count). */
  readonly mapCount: number;
  readonly tasks: number;
  readonly mms: number;
  readonly vmas: number;
  readonly anonVmas: number;
  readonly anonVmaChains: number;
  readonly files: number;
}

export const DEFAULT_LIMITS: Limits = {
  mapCount: 65530,
  tasks: 64,
  mms: 16,
  vmas: 512,
  anonVmas: 512,
  anonVmaChains: 1024,
  files: 64,
};

const DEFAULT_DESIGN: VmDesign = {
  name: 'default',
  summary: '',
  source: '',
  locking: { faultLock: true, anonWriteLock: true, atomicInstall: false, wpCopy: 'hold' },
  counters: 'locked',
  faultAroundPages: 16,
};

const { design, limits } = instanceConfiguration(import.meta.url, {
  design: DEFAULT_DESIGN,
  limits: DEFAULT_LIMITS,
});

export const FAULT_LOCK = design.locking.faultLock;
export const ANON_WRITE_LOCK = design.locking.anonWriteLock;
export const ATOMIC_INSTALL = design.locking.atomicInstall;
export const DEBUG_PAGEALLOC = design.debugPagealloc === true;
const { wpCopy } = design.locking;
export const WP_HOLD = wpCopy === 'hold' || (wpCopy === 'hold-if-debug' && DEBUG_PAGEALLOC);
export const WP_LOCK_AND_HOLD = wpCopy === 'lock-and-hold';
export const PREZERO = design.prezero !== undefined;
export const SCRUB_START = design.prezero?.scrubStart ?? 0;
export const SCRUB_STOP = design.prezero?.scrubStop ?? 0;
export const FAIL_ALLOCATIONS = design.failAllocations === true;
export const COUNTERS_LOCKED = design.counters === 'locked';
export const COUNTERS_PER_THREAD = design.counters === 'per-thread';
export const FAULT_AROUND_PAGES = design.faultAroundPages;
export const LIMITS = limits;
export const MAX_MAP_COUNT = limits.mapCount;
