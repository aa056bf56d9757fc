import type { Arch } from './arch.js';

/**
 * x86-64 with four levels, 4 KiB pages, 64-bit entries.
 * Source: Intel SDM volume 3A, 4.5 (4-level paging); Linux 2.6.11 include/asm-x86_64/pgtable.h.
 *
 *   63 62        32 | 31            12 11   9 8 7 6 5 4  3  2 1 0
 *  |NX| 0          | | frame number   | avail |G|S|D|A|CD|WT|U|W|P|
 *
 *   47      39 38      30 29      21 20      12 11      0
 *  | pgd      | pud      | pmd      | pte      | offset   |   of an address
 */
export const x86_64: Arch = {
  name: 'x86_64',
  summary: '4 levels, 4 KiB pages, 64-bit entries of which the low word decides',
  pageShift: 12,
  indexBits: [9, 9, 9, 9],
  levelNames: ['pte', 'pmd', 'pud', 'pgd'],
  entryWords: 2,
  upperEntryWords: 2,
  pfnShift: 12,
  splitPfn: false,
  atomicPtes: true,
  mmuSetsBits: true,
  highMemory: false,
  taskSize: 2 ** 47 - 4096,
  pte: {
    present: 0x001,
    write: 0x002,
    user: 0x004,
    accessed: 0x020,
    dirty: 0x040,
    protNone: 0x100,
    file: 0x040,
    lock: 0x200,
    huge: 0x080,
    exec: 0,
    busy: 0,
    hashed: 0,
  },
  noExecHigh: 1 << 31,
  tableFlags: 0x067,
  atomicPopulate: false,
  reloadsTop: true,
};
