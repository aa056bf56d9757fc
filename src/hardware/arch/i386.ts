import type { Arch } from './arch.js';

/**
 * i386 without PAE: two levels, 4 KiB pages, 32-bit entries.
 * Source: Intel SDM volume 3A, 4.3 (32-bit paging); Linux 2.6.10 include/asm-i386/pgtable.h.
 *
 *   31                12 11   9 8 7 6 5 4   3   2 1 0
 *  | frame number       | avail |G|S|D|A|CD|WT |U|W|P|
 *
 *   31        22 21       12 11        0
 *  | pgd index  | pte index | offset    |   of an address
 */
export const i386: Arch = {
  name: 'i386',
  summary: '2 levels, 4 KiB pages, 32-bit entries',
  pageShift: 12,
  indexBits: [10, 10],
  levelNames: ['pte', 'pgd'],
  entryWords: 1,
  upperEntryWords: 1,
  pfnShift: 12,
  splitPfn: false,
  atomicPtes: true,
  mmuSetsBits: true,
  highMemory: true,
  taskSize: 0xc000_0000,
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
  noExecHigh: 0,
  tableFlags: 0x067,
  atomicPopulate: false,
  reloadsTop: true,
};
