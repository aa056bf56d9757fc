/**
 * mm: an address space (Linux: struct mm_struct, include/linux/sched.h, 2.6.10).
 * Shape: 48 words, three cache lines. As in 2.6.10, mmap_sem and page_table_lock share a line,
 * and the counters have their own.
 */
export const Mm = {
  /** Reader-writer semaphore, two words: over the VMAs. Also the free link of an unused record. */
  mmapSem: 0,
  /** Spinlock: over the page tables and, with locked counters, rss and anon_rss. */
  pageTableLock: 2,
  /** Frame of the top-level table. Constant. */
  pgd: 3,
  /** First VMA by address. Under mmapSem. */
  mmap: 4,
  /** Root of the tree of VMAs. Under mmapSem. */
  vmaTree: 5,
  /** The VMA last found; a hint. Races on purpose. */
  mmapCache: 6,
  /** VMAs. Under mmapSem. */
  mapCount: 7,
  /** Tasks that run in this space. Atomic. */
  mmUsers: 8,
  /** First of those tasks; their deltas are part of the counters. Under pageTableLock. */
  taskList: 9,
  /** Page-table pages at all levels. Under pageTableLock. */
  nrTables: 10,
  /** Mapped frames, in pages. By counter form. */
  rss: 16,
  anonRss: 17,
  /** Most rss ever, as of the last decrease. Under pageTableLock. */
  hiwaterRss: 18,
  /** Size of all VMAs, in pages, and its maximum. Under mmapSem. */
  totalVm: 19,
  hiwaterVm: 20,
  /** Start and end of the heap: addresses, wide. Under mmapSem. */
  startBrk: 32,
  brk: 34,
} as const;

/**
 * task: a thread (Linux: struct task_struct).
 * Shape: 16 words, one cache line. Written only by its own CPU, but for the list.
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
} as const;
