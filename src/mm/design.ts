/**
 * What a VM design chooses, and the choices of this instance as module-level constants.
 *
 * A design is data. The code reads the constants below, once per instance, so that a choice costs
 * nothing per fault.
 */
import { instanceConfiguration } from '../base/instance.js';
import { HINTING } from '../hardware/hostStates.js';
import { ATOMIC_PTES, HIGHMEM, PTE_LOCK } from '../hardware/machine.js';

/** How changes to page tables by different CPUs are kept apart. */
export interface Locking {
  /** What a lock on ptes is: see locking.ts. */
  readonly pteLock: PteLock;
  /**
   * Where the fault path takes that lock first:
   *   walk     before it walks the tables (2.6.10; V18 where CONFIG_ATOMIC_TABLE_OPS is off)
   *   install  to look at a pte again, and to change it (2.6.15)
   *   none     never: a pte is changed by compare-exchange (V18, patch 3 of 4)
   */
  readonly fault: 'walk' | 'install' | 'none';
  /** Whether do_anonymous_page takes the lock to install a page it wrote to. */
  readonly anonWriteLock: boolean;
  /** Where do_anonymous_page lets reclaim know of a new page; once it is installed unless told otherwise. */
  readonly anonPublish?: AnonPublish;
  /** Whether checking a pte and installing the new one is one atomic step (ptep_cmpxchg). */
  readonly atomicInstall: boolean;
  /** How a pte in use is given another value: see ptepExchange in pgtable.ts. */
  readonly pteUpdate: PteUpdate;
  /** What keeps the page that do_wp_page copies from going away: see there. */
  readonly wpCopy: WpCopy;
  /** How a new table is hung into an entry of an upper level; only if that is empty, unless told otherwise. */
  readonly populate?: Populate;
  /** Whether faults lock their VMA alone, and mmap_sem only where that fails (Linux 6.4). */
  readonly vmaLock?: boolean;
}

/**
 * What a lock on ptes is:
 *   mm      mm->page_table_lock (2.6.10)
 *   table   a lock in the record of each leaf table's frame (2.6.15)
 *   hashed  one of a few locks, by the leaf table's frame
 *   bit     a bit of the pte
 */
export type PteLock = 'mm' | 'table' | 'hashed' | 'bit';

/**
 * How a pte in use is given another value:
 *   exchange        in one step (ptep_xchg)
 *   clear-then-set  it is empty in between; another CPU that comes by takes a fault for nothing
 *   read-modify-write  it is read and then written; what the MMU sets in between is lost
 */
export type PteUpdate = 'exchange' | 'clear-then-set' | 'read-modify-write';

/**
 * Where do_anonymous_page puts a new page on the LRU list and gives it its way back to the pte, if that is before it
 * installs the page:
 *   lru-rmap-install  the order of 2.6.10, which holds the lock over it
 *   rmap-lru-install  the same, but a page on the list is complete
 */
export type AnonPublish = 'lru-rmap-install' | 'rmap-lru-install';

/**
 * What is wrong with how a new table is hung into an upper level:
 *   plain-store  whatever is there is overwritten
 *   loser-keeps  the CPU that comes second forgets the table that it brought
 */
export type Populate = 'plain-store' | 'loser-keeps';

/**
 * How do_wp_page treats the page that it copies (SPEC 1.5):
 *   hold           takes a reference in the section that read the pte (2.6.10)
 *   no-hold        takes none: what was copied is thrown away if the pte has changed (V18)
 *   hold-if-debug  takes one only with DEBUG_PAGEALLOC, where a freed page cannot be read at all, and
 *                  where sections must take the lock (4 March 2005, first mail)
 *   lock-and-hold  takes page_table_lock first, looks at the pte again, and takes a reference (4 March
 *                  2005, second mail: what a reference needs where sections take no lock)
 *   try-hold       takes one by guess, of whatever the frame is by now, and looks at the pte again before it
 *                  copies: no lock (ours; Linux since 2.6.27 does so in the page cache)
 */
export type WpCopy = 'hold' | 'no-hold' | 'hold-if-debug' | 'lock-and-hold' | 'try-hold';

/** How rss and anon_rss are kept (SPEC 1.2): see mm/counters.ts. */
export const COUNTER_FORMS = ['locked', 'atomic', 'per-thread'] as const;

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

/**
 * What is mapped ahead of a task that touches new anonymous memory in sequence (SPEC S5):
 *   v1, v2  as posted on 8 and 13 December 2004: see prefaultPosted.ts
 *   ours    as meant: see prefault.ts
 */
export type Prefault = 'v1' | 'v2' | 'ours';

/** Page tables can be moved to other frames while they are in use (SPEC S2): see relocate.ts. */
export interface Relocation {
  /**
   * How those learn of it who have read where a table was:
   *   mark   each entry of the old table says that it has moved (ours)
   *   limbo  while tables of an mm move, who has taken a pte's lock walks to the pte again (2008): relocatePosted.ts
   *   limbo-unheeded  the same, but nobody does
   */
  readonly tells: 'mark' | 'limbo' | 'limbo-unheeded';
  /**
   * When an old table is freed:
   *   walkers  when nobody can be on his way through it any more (ours)
   *   rcu      after the flush, and once each CPU has been in user mode or has slept (2008)
   *   flush    after the flush
   *   at-once  before the flush
   */
  readonly frees: 'walkers' | 'rcu' | 'flush' | 'at-once';
}
/**
 * What the guest tells a host that takes frames (SPEC S4), and when:
 *   before     who finds a page in a cache makes it stable, and who maps it makes it volatile again
 *   posted     a fault maps what it finds whatever its state (28 June 2007)
 *   unchecked  the same without a look, under the lock of the pte, whether the page is being discarded
 *   ours       the same with the look; pages are stable only while somebody is at work on what they hold
 */
export type Hinting = 'before' | 'posted' | 'unchecked' | 'ours';

/**
 * How the kernel reaches leaf tables in high memory (SPEC S3), see kmap.ts:
 *   persistent  by a pool of slots that all CPUs share, which may be held while its holder sleeps (2.4, pte-highmem)
 *   atomic      by a few slots of the CPU, for as long as the task does not sleep (2.5, 2.6)
 *   hybrid      atomic in faults, persistent elsewhere (what 2.4's pte-highmem came to)
 *   window      by a few slots of the task, which nobody else uses (user-fixmap)
 *   backport    atomic, with the mremap of the backport to 2.4.18 as posted
 *   2.5.7       atomic, with the mremap of 2.5.7
 *   two-kmaps   persistent, where two tables at a time are mapped one after the other
 * For designs whose faults hold the lock of ptes over the walk, or take it to look again, and copy on write by 'hold';
 * not with prefault.
 */
export type HighPte =
  'persistent' | 'atomic' | 'hybrid' | 'window' | 'backport' | '2.5.7' | 'two-kmaps';

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
  /** `plain` is a word without a lock, to show what is wrong with that. */
  readonly counters: (typeof COUNTER_FORMS)[number] | 'plain';
  /** Whether try_to_unmap_one adds to rss where it must take from it, to show what is wrong with that. */
  readonly unmapAddsRss?: boolean;
  /** Whether freed frames are unmapped from the kernel, to catch who still uses them. */
  readonly debugPagealloc?: boolean;
  /** Without, frames are zeroed when they are handed out. */
  readonly prezero?: Prezero;
  /** Without, a fault on anonymous memory maps one page. */
  readonly prefault?: Prefault;
  /** Without, a page table stays where it is. */
  readonly relocation?: Relocation;
  /** Without, no host takes frames. */
  readonly hinting?: Hinting;
  /** Without, page tables are in low memory. */
  readonly highpte?: HighPte;
  /** Whether nobody looks if a task sleeps with a slot of its CPU (the kernels of the posted forms did not). */
  readonly kmapUnchecked?: boolean;
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
  locking: {
    pteLock: 'mm',
    fault: 'walk',
    anonWriteLock: true,
    atomicInstall: false,
    pteUpdate: 'clear-then-set',
    wpCopy: 'hold',
  },
  counters: 'locked',
  faultAroundPages: 16,
};

const { design, limits } = instanceConfiguration(import.meta.url, {
  design: DEFAULT_DESIGN,
  limits: DEFAULT_LIMITS,
});

const { hinting } = design;
const { pteLock, fault, wpCopy } = design.locking;
export const PTE_LOCK_MM = pteLock === 'mm';
export const PTE_LOCK_HASHED = pteLock === 'hashed';
export const PTE_LOCK_BIT = pteLock === 'bit';
/** The bit of a pte that is its lock; 0 where the lock is elsewhere. */
export const PTE_LOCKED = PTE_LOCK_BIT ? PTE_LOCK : 0;
/** page_table_lock is held over the walk. */
export const WALK_LOCK = fault === 'walk';
/** Each decision on a pte that was read takes the pte's lock. */
export const SECTION_LOCK = fault === 'install';
export const ANON_WRITE_LOCK = design.locking.anonWriteLock;
export const LRU_RMAP_INSTALL = design.locking.anonPublish === 'lru-rmap-install';
export const RMAP_LRU_INSTALL = design.locking.anonPublish === 'rmap-lru-install';
export const POPULATE_PLAIN_STORE = design.locking.populate === 'plain-store';
export const POPULATE_LOSER_KEEPS = design.locking.populate === 'loser-keeps';
export const ATOMIC_INSTALL = design.locking.atomicInstall;
/** Without atomic ptes an exchange is a clear and a set (V18: ptep_xchg without CONFIG_ATOMIC_TABLE_OPS). */
export const PTE_EXCHANGE = design.locking.pteUpdate === 'exchange' && ATOMIC_PTES;
export const PTE_READ_MODIFY_WRITE = design.locking.pteUpdate === 'read-modify-write';
export const VMA_LOCK = design.locking.vmaLock === true;
export const DEBUG_PAGEALLOC = design.debugPagealloc === true;
export const WP_HOLD = wpCopy === 'hold' || (wpCopy === 'hold-if-debug' && DEBUG_PAGEALLOC);
export const WP_LOCK_AND_HOLD = wpCopy === 'lock-and-hold';
export const WP_TRY_HOLD = wpCopy === 'try-hold';
/**
 * References are taken to frames that may be free, or anyone's, by then: whoever has a new page must add to its count,
 * not set it, and is not sure to be the last who gives it up.
 */
export const GUESSED_REFERENCES = WP_TRY_HOLD || HINTING;
export const UNMAP_ADDS_RSS = design.unmapAddsRss === true;
export const PREZERO = design.prezero !== undefined;
export const SCRUB_START = design.prezero?.scrubStart ?? 0;
export const SCRUB_STOP = design.prezero?.scrubStop ?? 0;
export const PREFAULT = design.prefault !== undefined;
export const PREFAULT_V1 = design.prefault === 'v1';
export const PREFAULT_POSTED = PREFAULT_V1 || design.prefault === 'v2';
export const RELOCATION = design.relocation !== undefined;
/** Tables move, and the entries of an old one say so. */
export const MOVE_MARKS = design.relocation?.tells === 'mark';
/** Tables move, and the mm says so. */
export const MOVE_LIMBO = design.relocation !== undefined && !MOVE_MARKS;
export const MOVE_REWALK = design.relocation?.tells === 'limbo';
export const FREE_AFTER_WALKERS = design.relocation?.frees === 'walkers';
export const FREE_AFTER_RCU = design.relocation?.frees === 'rcu';
export const FREE_AT_ONCE = design.relocation?.frees === 'at-once';
/** A fault makes the page stable that it finds, and volatile when it is mapped; who unmaps one tries that too. */
export const FAULT_HINTS = hinting === 'before';
/** Who needs no page any more tries to make it volatile, by its counts; who finds one otherwise than by a fault makes it stable. */
export const HINTS_COUNTED = HINTING && hinting !== 'ours';
/** Who needs a page stable is counted. */
export const HINTS_PINNED = hinting === 'ours';
/** Who maps a page looks under the lock of the pte whether it is being discarded. */
export const CHECKS_DISCARDED = hinting === 'posted' || hinting === 'ours';
/** Who discards a page waits for who may be about to map it by an empty pte. */
export const DISCARD_AWAITS = hinting === 'ours';
const { highpte } = design;
/** Nothing of it is there on a machine without high memory. */
export const HIGHPTE = HIGHMEM && highpte !== undefined;
/** There is a pool of slots. */
export const KMAP_POOL =
  HIGHPTE && (highpte === 'persistent' || highpte === 'hybrid' || highpte === 'two-kmaps');
/** Each task has slots. */
export const KMAP_WINDOW = HIGHPTE && highpte === 'window';
/** What reaches a pte in a fault is lost when the task sleeps; otherwise the fault holds it to its end. */
export const KMAP_FAULT_ATOMIC = HIGHPTE && !KMAP_WINDOW && (!KMAP_POOL || highpte === 'hybrid');
/** The same of other walks: they hold theirs as they like. */
export const KMAP_WALK_ATOMIC = HIGHPTE && !KMAP_POOL && !KMAP_WINDOW;
export const KMAP_ONE_BY_ONE = highpte === 'two-kmaps';
export const MREMAP_POSTED = HIGHPTE && (highpte === 'backport' || highpte === '2.5.7');
export const MREMAP_BACKPORT = highpte === 'backport';
/**
 * Slots are emptied when they are given back, must be empty when they are taken, and who has one of the CPU's must not
 * sleep (CONFIG_DEBUG_HIGHMEM and might_sleep).
 */
export const KMAP_CHECKED = HIGHPTE && design.kmapUnchecked !== true;
export const FAIL_ALLOCATIONS = design.failAllocations === true;
/** A plain word; under page_table_lock, which is taken where the path does not hold it. */
export const COUNTERS_PLAIN = design.counters === 'locked' || design.counters === 'plain';
/** Counters need page_table_lock and the locks of ptes are others. */
export const COUNTERS_LOCK = design.counters === 'locked' && !PTE_LOCK_MM;
/** The same where only do_anonymous_page holds no lock. */
export const ANON_COUNTERS_LOCK = design.counters === 'locked' && PTE_LOCK_MM && !ANON_WRITE_LOCK;
export const COUNTERS_PER_THREAD = design.counters === 'per-thread';
export const FAULT_AROUND_PAGES = design.faultAroundPages;
export const LIMITS = limits;
export const MAX_MAP_COUNT = limits.mapCount;
