import type { Arch } from './arch.js';

/**
 * i386 with PAE: three levels, 4 KiB pages, 64-bit entries that are handled as two words.
 * Source: Intel SDM volume 3A, 4.4 (PAE paging); Linux 2.6.10 include/asm-i386/pgtable-3level.h.
 *
 *   35  32 | 31                12 11   9 8 7 6 5 4   3   2 1 0
 *  |frame.. .. number           | avail |G|S|D|A|CD|WT |U|W|P|
 *
 *   31 30 29      21 20      12 11        0
 *  |pgd  | pmd      | pte      | offset    |   of an address
 *
 * Half of a machine's frames lie above 4 GiB, so that the high word counts: see ../split.ts. Linux writes the
 * halves one by one, the high one first, and clears the low one first; no 32-bit operation changes both.
 * Not modelled: 2 MiB pages, no-execute (bit 63), and cmpxchg8b, which V18 does without. The entries of the
 * pgd have the bits of other tables' entries; the hardware wants all but P clear there. An entry that is not
 * present keeps what it remembers in the low word; Linux has it in the high one.
 */
export const i386Pae: Arch = {
  name: 'i386-pae',
  summary: '3 levels, 4 KiB pages, 64-bit entries with the frame number in both words',
  pageShift: 12,
  indexBits: [9, 9, 2],
  levelNames: ['pte', 'pmd', 'pgd'],
  entryWords: 2,
  upperEntryWords: 2,
  pfnShift: 12,
  splitPfn: true,
  atomicPtes: false,
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
    huge: 0,
    exec: 0,
    busy: 0,
    hashed: 0,
  },
  noExecHigh: 0,
  tableFlags: 0x067,
  atomicPopulate: false,
  reloadsTop: true,
};
