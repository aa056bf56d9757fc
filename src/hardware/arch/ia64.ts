import type { Arch } from './arch.js';

/**
 * ia64 with three levels and 16 KiB pages, as on the machines of the source documents.
 * Source: Linux 2.6.10 include/asm-ia64/pgtable.h (_PAGE_P, _PAGE_A, _PAGE_D, _PAGE_PL_3, _PAGE_AR).
 *
 *   31        14 13 12 11      9 8  7 6 5 4  2 1 0
 *  | frame      | 0   | ar      | pl |D|A| ma |0|P|    ar: bit 9 execute, bit 10 write
 *
 *   46      36 35      25 24      14 13      0
 *  | pgd      | pmd      | pte      | offset   |   of an address, within one region
 *
 * Tables above the leaves hold bare physical addresses. The region number (bits 61-63) is not
 * modelled: a process has one region. Linux sets accessed and dirty from the trap handlers in
 * ivt.S, by cmpxchg and before any C code runs; here that is the MMU's doing, as on x86.
 */
export const ia64: Arch = {
  name: 'ia64',
  summary: '3 levels, 16 KiB pages, 64-bit entries of which the low word decides',
  pageShift: 14,
  indexBits: [11, 11, 11],
  levelNames: ['pte', 'pmd', 'pgd'],
  entryWords: 2,
  upperEntryWords: 2,
  pfnShift: 14,
  splitPfn: false,
  atomicPtes: true,
  mmuSetsBits: true,
  highMemory: false,
  taskSize: 2 ** 47,
  pte: {
    present: 0x001,
    protNone: 0x002,
    accessed: 0x020,
    dirty: 0x040,
    user: 0x180,
    exec: 0x200,
    write: 0x400,
    file: 0x004,
    lock: 0x1000,
    huge: 0,
    busy: 0,
    hashed: 0,
  },
  noExecHigh: 0,
  tableFlags: 0,
  atomicPopulate: true,
  reloadsTop: false,
};
