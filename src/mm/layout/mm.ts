/**
 * mm: an address space (Linux: struct mm_struct, include/linux/sched.h, 2.6.10).
 * Shape: 64 words, four cache lines, in the order of 2.6.10: what faults only read comes first; mmap_sem and
 * page_table_lock share a line; the counters have their own.
 */
export const Mm = {
  /** First VMA by address. Under mmapSem. Also the free link of an unused record. */
  mmap: 0,
  /** Root of the tree of VMAs. Under mmapSem. */
  vmaTree: 1,
  /** The VMA last found; a hint. Races on purpose. */
  mmapCache: 2,
  /** Frame of the top-level table. Constant where tables do not move; else under pageTableLock, races on purpose. */
  pgd: 3,
  /** Tasks that run in this space. Atomic. */
  mmUsers: 16,
  /** VMAs. Under mmapSem. */
  mapCount: 17,
  /** Reader-writer semaphore, two words: over the VMAs. */
  mmapSem: 18,
  /** Spinlock: over the page tables and, with locked counters, rss and anon_rss. */
  pageTableLock: 20,
  /** First of the tasks; their deltas are part of the counters. Under pageTableLock. */
  taskList: 21,
  /** Page-table pages at all levels. Atomic. */
  nrTables: 22,
  /** Mapped frames, in pages. By counter form. */
  rss: 32,
  anonRss: 33,
  /** Most rss ever, as of the last decrease. Under pageTableLock. */
  hiwaterRss: 34,
  /** Size of all VMAs, in pages, and its maximum. Under mmapSem. */
  totalVm: 35,
  hiwaterVm: 36,
  /** Locked memory, in pages. Under mmapSem. */
  lockedVm: 37,
  /** VM_ bits of mappings to come (mlockall with MCL_FUTURE). Under mmapSem. */
  defFlags: 38,
  /** Limits in pages (setrlimit: RLIMIT_AS, RLIMIT_MEMLOCK, RLIMIT_STACK). */
  rlimitAs: 39,
  rlimitMemlock: 40,
  rlimitStack: 41,
  /** First of the spare leaf tables, one for each huge page that is mapped. Under pageTableLock. */
  spareTables: 42,
  /** MMF_ bits. Atomic. */
  flags: 43,
  /** Odd while mmapSem is held for writing; only in designs that lock VMAs. */
  lockSeq: 44,
  /** How often its tables are being moved (2008). Under pageTableLock; races on purpose. */
  relocationCount: 45,
  /** Start and end of the heap: addresses, wide. Under mmapSem. */
  startBrk: 48,
  brk: 50,
  /** Below this the kernel places mappings, downwards: wide. Constant. */
  mmapBase: 52,
} as const;

/** Chosen when memory was full: its faults fail. */
export const MMF_OOM_KILLED = 1;
/** Its memory was taken, too: more is not to be had from it (Linux: MMF_OOM_SKIP). */
export const MMF_OOM_SKIP = 2;

/** Tables have moved since the TLBs were flushed, and the top among them (2008). */
export const MMF_NEED_FLUSH = 4;
export const MMF_NEED_RELOAD = 8;

/** A limit that never binds, in pages. */
export const RLIM_INFINITY = 0x7fff_ffff;

/**
 * task: a thread (Linux: struct task_struct).
 * Shape: 32 words, one of the longest cache lines. Written only by its own CPU, but for the list.
 */
export const Task = {
  /** Also the free link of an unused record. */
  pid: 0,
  mm: 1,
  /** What this thread adds to the mm's counters, in pages (per-thread form). */
  rss: 2,
  anonRss: 3,
  minFlt: 4,
  majFlt: 5,
  /** Next task of the same mm. Under the mm's pageTableLock. */
  nextOfMm: 6,
  /** Where a sequence of touches of new anonymous memory would fault next: an address, wide. */
  anonFaultNextAddr: 8,
  /** How often in a row it did; log2 of the pages that the last fault was to map. */
  anonFaultOrder: 10,
} as const;
