import type { Arch } from './arch.js';

/**
 * ppc64 with three levels and 4 KiB pages: the tables are the kernel's own, the hardware reads a hash table.
 * Source: Linux 2.6.11 include/asm-ppc64/pgtable.h, arch/ppc64/mm/hash_low.S (__hash_page).
 *
 *   31            12 11   10   9  8 7 6  5 4 3 2 1    0
 *  | frame number   |busy|hash|RW|A|D|WT|I|M|G|X|user|P|
 *
 *   40       31 30       21 20      12 11      0
 *  | pgd       | pmd       | pte      | offset   |   of an address
 *
 * An access that is not in the hash table goes to the low-level hash fault: it sets busy, then accessed, dirty
 * and hash, puts the translation into the hash table and clears busy. Who changes a pte waits until it is not
 * busy. Our TLB stands for the hash table, so that the place there (bits 12 to 16) is left out, and the frame
 * number, which Linux has from bit 17 on, follows at once.
 *
 * Entries of upper levels have 32 bits. The hardware looks at _PAGE_USER, which PROT_NONE lacks: that is
 * `present` here, and what Linux calls _PAGE_PRESENT is `protNone`. The mark of a page offset in a file is 0x2
 * in Linux, told from _PAGE_USER by _PAGE_PRESENT; here it is 0x8.
 */
export const ppc64: Arch = {
  name: 'ppc64',
  summary: '3 levels, 4 KiB pages, 64-bit entries with a busy bit, behind a hash table',
  pageShift: 12,
  indexBits: [9, 10, 10],
  levelNames: ['pte', 'pmd', 'pgd'],
  entryWords: 2,
  upperEntryWords: 1,
  pfnShift: 12,
  splitPfn: false,
  atomicPtes: true,
  mmuSetsBits: true,
  highMemory: false,
  taskSize: 2 ** 41,
  pte: {
    protNone: 0x001,
    user: 0x001,
    present: 0x002,
    exec: 0x004,
    file: 0x008,
    dirty: 0x080,
    accessed: 0x100,
    write: 0x200,
    hashed: 0x400,
    busy: 0x800,
    lock: 0,
    huge: 0,
  },
  noExecHigh: 0,
  tableFlags: 0,
  atomicPopulate: false,
  reloadsTop: false,
};
