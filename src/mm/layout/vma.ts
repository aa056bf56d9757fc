/**
 * vma: one mapping (Linux: struct vm_area_struct, include/linux/mm.h, 2.6.10).
 * Shape: 16 words. All under the mm's mmapSem, but where it says otherwise.
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
  /** Children in the tree of VMAs; 0 = none. */
  treeLeft: 8,
  treeRight: 9,
  /** 0 = anonymous memory. */
  vmFile: 10,
  /** Offset of vmStart in the file, in pages; of vmStart itself for anonymous memory (low 32 bits). */
  vmPgoff: 11,
  /** 0 until the first anonymous page. Set under pageTableLock, read without. */
  anonVma: 12,
} as const;

/** anon_vma: what the anonymous pages of one or more VMAs have in common (Linux: struct anon_vma). */
export const AnonVma = {
  /** Spinlock; here over the growth of a stack. Also the free link of an unused record. */
  lock: 0,
  /** VMAs that use it. Atomic. */
  vmas: 1,
} as const;

/** Flags of a VMA (include/linux/mm.h). */
export const VM_READ = 0x1;
export const VM_WRITE = 0x2;
export const VM_EXEC = 0x4;
export const VM_SHARED = 0x8;
export const VM_ACCESS = VM_READ | VM_WRITE | VM_EXEC;
export const VM_GROWSDOWN = 0x100;
/** Bare frame numbers: no page records, no reference counts. */
export const VM_PFNMAP = 0x400;
/** Pages are locked in memory and mapped at once. */
export const VM_LOCKED = 0x2000;
/** Counted against the commit limit; keeps VMAs that differ in it from merging. */
export const VM_ACCOUNT = 0x10_0000;

/** Whether a mapping's writes stay its own: then they need memory of their own. */
export function isPrivateWritable(vmFlags: number): boolean {
  return (vmFlags & (VM_SHARED | VM_WRITE)) === VM_WRITE;
}
