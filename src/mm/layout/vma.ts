/**
 * vma: one mapping (Linux: struct vm_area_struct, include/linux/mm.h, 2.6.10).
 * Shape: 32 words, two cache lines; faults read the first. In designs that lock VMAs 64 words: the lock has a line of
 * its own, of 128 bytes too, as in Linux since 6.4, so that who locks does not take what faults read away from others.
 * All under the mm's mmapSem, but where it says otherwise.
 */
export const Vma = {
  /** First address, and one past the last: wide. The free link of an unused record. */
  vmStart: 0,
  vmEnd: 2,
  /** VM_ bits. */
  vmFlags: 4,
  vmMm: 5,
  /** Neighbours by address; 0 = none. */
  vmNext: 6,
  vmPrev: 7,
  /** 0 = anonymous memory. */
  vmFile: 10,
  /** Offset of vmStart in the file, in pages; of vmStart itself for anonymous memory (low 32 bits). */
  vmPgoff: 11,
  /** Where new anonymous pages belong; 0 until the first. Set under pageTableLock, read without. */
  anonVma: 12,
  /** First of the anon_vma_chain records that tie it to all its anon_vmas. */
  anonVmaChain: 16,
  /** Neighbours among the VMAs that map the same file; 0 = none. Under the file's mmapLock. */
  fileNext: 17,
  filePrev: 18,
  /**
   * Reader-writer semaphore, two words, in designs that lock VMAs. The last words: who finds the VMA without a lock
   * takes it before he knows whether the record is still what it was.
   */
  vmLock: 32,
} as const;

/** Children that a node of the tree of VMAs has at most. */
export const NODE_FANOUT = 12;

/**
 * vma_node: a node of the tree of VMAs (Linux 6.1: struct maple_node). Its children are nodes or, at level 0,
 * VMAs, in order of address.
 * Shape: 64 words, four cache lines: a search reads the keys' two and the first. Under mmapSem.
 */
export const VmaNode = {
  /** Children; also the free link of an unused record. */
  count: 0,
  level: 1,
  /** NODE_FANOUT words. */
  children: 2,
  /**
   * NODE_FANOUT addresses, wide: at level 0 where each VMA starts; above, nothing that a child leads to
   * starts before its key, but for the first child, whose key counts for nothing.
   */
  keys: 16,
  /** NODE_FANOUT sizes in bytes, wide: the largest gap below any VMA that the child leads to. */
  gaps: 40,
} as const;

/**
 * anon_vma: finds the VMAs that may map an anonymous page (Linux: struct anon_vma,
 * include/linux/rmap.h, 6.x). Fork gives a child's VMA one of its own, under its parent's; all that
 * descend from one root share its lock.
 * Shape: 16 words; word 0 is the free link. Under the root's lock.
 */
export const AnonVma = {
  /** First of the family; its own record if it is that. Constant. */
  root: 1,
  parent: 2,
  /** anon_vmas whose parent it is; a root counts itself. */
  numChildren: 3,
  /** VMAs whose anonVma it is. */
  numActiveVmas: 4,
  /** First of the anon_vma_chain records that lead to VMAs. */
  head: 5,
  /**
   * Spinlock, of a root: over the whole family, and over the growth of a stack. The last word: who comes by a page
   * takes it before it knows whether the record is still what it was (Linux: SLAB_DESTROY_BY_RCU).
   */
  lock: 15,
} as const;

/**
 * anon_vma_chain: ties a VMA to one of its anon_vmas (Linux: struct anon_vma_chain, 2.6.34).
 * Shape: 8 words. nextOfVma under mmapSem and the family's lock, the others under the latter.
 */
export const AnonVmaChain = {
  /** Also the free link of an unused record. */
  vma: 0,
  anonVma: 1,
  nextOfVma: 2,
  nextOfAnonVma: 3,
  prevOfAnonVma: 4,
} as const;

/** Flags of a VMA (include/linux/mm.h). */
export const VM_READ = 0x1;
export const VM_WRITE = 0x2;
export const VM_EXEC = 0x4;
export const VM_SHARED = 0x8;
export const VM_ACCESS = VM_READ | VM_WRITE | VM_EXEC;
/** What mprotect may grant: a file that was opened for reading cannot be written through a mapping. */
export const VM_MAYREAD = 0x10;
export const VM_MAYWRITE = 0x20;
export const VM_MAYEXEC = 0x40;
/** Mapped with MAP_SHARED, whether the file may be written or not. */
export const VM_MAYSHARE = 0x80;
export const VM_GROWSDOWN = 0x100;
/** Bare frame numbers: no page records, no reference counts. */
export const VM_PFNMAP = 0x400;
/** Pages are locked in memory and mapped at once. */
export const VM_LOCKED = 0x2000;
export const VM_SEQ_READ = 0x8000;
export const VM_RAND_READ = 0x1_0000;
/** Not copied by fork. */
export const VM_DONTCOPY = 0x2_0000;
/** With VM_LOCKED: pages are locked as they are touched. */
export const VM_LOCKONFAULT = 0x8_0000;
/** Counted against the commit limit; keeps VMAs that differ in it from merging. */
export const VM_ACCOUNT = 0x10_0000;
/** Asked not to be counted against the commit limit. */
export const VM_NORESERVE = 0x20_0000;
/** Pages of the file in an order of their own: empty ptes tell which (2.6: VM_NONLINEAR). */
export const VM_NONLINEAR = 0x80_0000;
/** Empty in the child of a fork. */
export const VM_WIPEONFORK = 0x200_0000;
export const VM_DONTDUMP = 0x400_0000;
export const VM_HUGEPAGE = 0x2000_0000;
export const VM_NOHUGEPAGE = 0x4000_0000;
export const VM_LOCKED_MASK = VM_LOCKED | VM_LOCKONFAULT;

/** Whether a mapping's writes stay its own: then they need memory of their own. */
export function isPrivateWritable(vmFlags: number): boolean {
  return (vmFlags & (VM_SHARED | VM_WRITE)) === VM_WRITE;
}
