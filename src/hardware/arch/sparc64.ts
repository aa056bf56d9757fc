import type { Arch } from './arch.js';

/**
 * sparc64 with three levels and 8 KiB pages, whose TLBs software loads.
 * Source: Linux 2.6.10 include/asm-sparc64/pgtable.h, arch/sparc64/kernel/dtlb_base.S.
 *
 *   31            13   12   11 10 9 8 7 6  5  4  3 2 1 0
 *  | frame number   | file |D |A |R|W|P|L|CP|CV|E|P|W|G|
 *
 *   45       35 34       24 23       13 12      0
 *  | pgd       | pmd       | pte       | offset   |   of an address, of which Linux uses 44 bits
 *
 * The miss handler only reads. Accessed and dirty are bits of software: an access that needs one that is clear
 * faults, and the fault path sets it. The two bits that the hardware looks at follow from them: valid (bit 63)
 * is accessed and readable, W (bit 1) is dirty and writable. They are left out, and the MMU looks at the bits
 * that they follow from. The kernel changes ptes by plain loads and stores under page_table_lock.
 *
 * Entries of upper levels have 32 bits. PROT_NONE has P without R: so R is `present` here, and P is `protNone`.
 */
export const sparc64: Arch = {
  name: 'sparc64',
  summary: '3 levels, 8 KiB pages, 64-bit entries, TLBs loaded by software',
  pageShift: 13,
  indexBits: [10, 11, 11],
  levelNames: ['pte', 'pmd', 'pgd'],
  entryWords: 2,
  upperEntryWords: 1,
  pfnShift: 13,
  splitPfn: false,
  atomicPtes: false,
  mmuSetsBits: false,
  highMemory: false,
  taskSize: 2 ** 44,
  pte: {
    protNone: 0x080,
    user: 0x080,
    write: 0x100,
    present: 0x200,
    accessed: 0x400,
    dirty: 0x800,
    file: 0x1000,
    exec: 0,
    lock: 0,
    huge: 0,
    busy: 0,
    hashed: 0,
  },
  noExecHigh: 0,
  tableFlags: 0,
  atomicPopulate: false,
  reloadsTop: false,
};
