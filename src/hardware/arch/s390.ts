import type { Arch } from './arch.js';

/**
 * s390 in 64-bit mode with three levels, as since accessed and dirty are bits of software there (Linux 3.9).
 * Source: z/Architecture Principles of Operation, dynamic address translation; Linux 3.16
 * arch/s390/include/asm/pgtable.h.
 *
 *   31            12 11 10 9 8 7 6 5 4 3 2  1  0
 *  | frame number   |0 |I |P|0|U|S|W|R|D|Y|soft|P|
 *
 *   41      31 30      20 19      12 11      0
 *  | pgd      | pmd      | pte      | offset   |   of an address: region third, segment and page index
 *
 * The hardware sets no bit of an entry. I (invalid) and P (protected) follow from the bits of software: valid is
 * young and readable, unprotected is dirty and writable. They are left out, so that an empty entry is 0, and the
 * MMU looks at the bits that they follow from. IPTE makes an entry invalid and takes it out of all TLBs at once;
 * a valid one is not exchanged for another. Here the flush comes where the VM has it, right after.
 *
 * Region and segment tables are four pages, a page table half of one, which Linux packs two to a page: not so
 * here. PROT_NONE has _PAGE_PRESENT without _PAGE_READ: so READ is `present` here, and PRESENT is `protNone`.
 */
export const s390: Arch = {
  name: 's390',
  summary:
    '3 levels, 4 KiB pages, 64-bit entries that only software writes, tables of 16 and 2 KiB',
  pageShift: 12,
  indexBits: [8, 11, 11],
  levelNames: ['pte', 'pmd', 'pgd'],
  entryWords: 2,
  upperEntryWords: 2,
  pfnShift: 12,
  splitPfn: false,
  atomicPtes: false,
  mmuSetsBits: false,
  highMemory: false,
  taskSize: 2 ** 42,
  pte: {
    protNone: 0x001,
    user: 0x001,
    lock: 0x002,
    accessed: 0x004,
    dirty: 0x008,
    file: 0x008,
    present: 0x010,
    write: 0x020,
    exec: 0,
    huge: 0,
    busy: 0,
    hashed: 0,
  },
  noExecHigh: 0,
  tableFlags: 0,
  atomicPopulate: false,
  reloadsTop: false,
};
