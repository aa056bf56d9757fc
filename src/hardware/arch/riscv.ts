import type { Arch } from './arch.js';

/**
 * RISC-V with three levels of 9 bits (Sv39): 4 KiB pages, 64-bit entries, the frame number from bit 10 on.
 * Source: The RISC-V Instruction Set Manual, volume II, 4.4 (Sv39), Svadu; Linux 5.10
 * arch/riscv/include/asm/pgtable-bits.h.
 *
 *   63     54 53     32 | 31            10 9   8 7 6 5 4 3 2 1 0
 *  | 0       | 0       | | frame number   | RSW |D|A|G|U|X|W|R|V|
 *
 *   38      30 29      21 20      12 11      0
 *  | pgd      | pmd      | pte      | offset   |   of an address, with Sv48 one level more above it
 *
 * The hardware sets A and D by itself (Svadu); a processor without that faults for them, as sparc64 does. An
 * entry that points to a table has V alone. PROT_NONE is G without V. Not modelled: huge pages. Linux on
 * RISC-V never had remap_file_pages' ptes: that D marks them is ours.
 */
export const riscvSv39: Arch = {
  name: 'riscv-sv39',
  summary: '3 levels, 4 KiB pages, 64-bit entries, the frame number at bit 10',
  pageShift: 12,
  indexBits: [9, 9, 9],
  levelNames: ['pte', 'pmd', 'pgd'],
  entryWords: 2,
  upperEntryWords: 2,
  pfnShift: 10,
  splitPfn: false,
  atomicPtes: true,
  mmuSetsBits: true,
  highMemory: false,
  taskSize: 2 ** 38,
  pte: {
    present: 0x001,
    write: 0x004,
    exec: 0x008,
    // U and R.
    user: 0x012,
    protNone: 0x020,
    accessed: 0x040,
    dirty: 0x080,
    file: 0x080,
    lock: 0x200,
    huge: 0,
    busy: 0,
    hashed: 0,
  },
  noExecHigh: 0,
  tableFlags: 0x001,
  atomicPopulate: false,
  reloadsTop: false,
};

/** RISC-V with four levels of 9 bits. Source: as above, 4.5 (Sv48). */
export const riscvSv48: Arch = {
  ...riscvSv39,
  name: 'riscv-sv48',
  summary: '4 levels, 4 KiB pages, 64-bit entries, the frame number at bit 10',
  indexBits: [9, 9, 9, 9],
  levelNames: ['pte', 'pmd', 'pud', 'pgd'],
  taskSize: 2 ** 47,
};
