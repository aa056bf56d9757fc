/**
 * file: a file and its page cache (Linux: struct inode and struct address_space).
 * Shape: 16 words.
 *
 * The cached pages hang in a tree of frames: one root, whose words hold the frame numbers of
 * leaves, whose words hold the frame numbers of pages; 0 = none.
 *
 *   page index:  | root index | leaf index |    both log2(PAGE_WORDS) bits
 */
import { PAGE_WORDS } from '../../hardware/machine.js';

export const File = {
  /** Spinlock over the tree. Also the free link of an unused record. */
  treeLock: 0,
  /** Frame of the root; 0 = nothing was ever cached. Under treeLock. */
  root: 1,
  /** Cached pages. Under treeLock. */
  nrPages: 2,
  /** In pages. Under iSem. */
  size: 3,
  /** FILE_ bits. Constant. */
  flags: 4,
  /** VMAs that map it. Under mmapLock. */
  mappings: 5,
  /** Spinlock over the list of VMAs that map it (Linux: i_mmap_lock). */
  mmapLock: 6,
  /** First of them; 0 = none. Under mmapLock. */
  mmapList: 7,
  /** Pages that the device has; those from here on are zeros. */
  onDevice: 8,
  /** How often pages were unmapped to go away: a fault that began before begins again. Atomic. */
  truncateCount: 9,
  /** Read-write semaphore, two words: who makes the file shorter, or a hole in it, has it for writing (Linux: i_sem). */
  iSem: 10,
} as const;

/** No fault-around: faults map one page each (a vm_ops without map_pages, as the vdso's). */
export const FILE_NO_MAP_PAGES = 1;

/** No device: a page that is not there is made of zeros, and no write to it needs noticing (shmem). */
export const FILE_MEMORY = 2;

/** Nothing but mappings leads to it: it goes with the last (shared anonymous memory). */
export const FILE_NAMELESS = 4;

/** Pages that a file can have. */
export const FILE_MAX_PAGES = PAGE_WORDS * PAGE_WORDS;
