/**
 * The machine that this instance of the VM is built for, as module-level constants.
 */
import { instanceConfiguration } from '../base/instance.js';
import type { Pfn, Vaddr, Word } from '../base/units.js';
import { ARCHES, type Arch, type ArchName } from './arch/index.js';

export interface MachineConfig {
  readonly arch: ArchName;
  /** Physical memory, in page frames; frame 0 is the zero page. */
  readonly frames: number;
  readonly cpus: number;
  /** NUMA nodes; CPUs and frames are dealt out to them in equal runs. */
  readonly nodes: number;
  /** Pages of the swap file; none if left out. */
  readonly swapPages?: number;
  /** Whether a process is killed when memory is full, rather than that a call or an access fails. */
  readonly oomKiller?: boolean;
  /** Whether the CPUs cache where leaf tables are, too: off, an access that misses the TLB walks all levels. */
  readonly walkCache?: boolean;
  /** Whether the page tables are more than the caches hold: a miss of the TLB has its leaf entry from memory. */
  readonly uncachedTables?: boolean;
  /**
   * Frames from here on are high memory, which the kernel does not map (i386: beyond 896 MiB): it reaches them by slots,
   * see mm/kmap.ts. None if left out.
   */
  readonly lowFrames?: number;
  /** Slots for mappings that all CPUs share (Linux: LAST_PKMAP; 1024 on i386, 512 with PAE). */
  readonly kmaps?: number;
}

/** As on i386 without PAE. */
const LAST_PKMAP = 1024;

export const DEFAULT_MACHINE: MachineConfig = { arch: 'x86_64', frames: 4096, cpus: 2, nodes: 1 };

const { machine } = instanceConfiguration(import.meta.url, { machine: DEFAULT_MACHINE });
const arch: Arch = ARCHES[machine.arch];

export const FRAMES = machine.frames;
/** Slots of the swap file, a page each. */
export const SWAP_SLOTS = machine.swapPages ?? 0;
export const OOM_KILLER = machine.oomKiller === true;
export const WALK_CACHE = machine.walkCache === true;
export const UNCACHED_TABLES = machine.uncachedTables === true;
/** The first frame of high memory. */
export const LOW_FRAMES = machine.lowFrames ?? FRAMES;
export const HIGHMEM = LOW_FRAMES < FRAMES;
export const KMAPS = machine.kmaps ?? LAST_PKMAP;
export const CPUS = machine.cpus;
export const NODES = machine.nodes;
export const CPUS_PER_NODE = Math.ceil(CPUS / NODES);
export const FRAMES_PER_NODE = Math.ceil(FRAMES / NODES);

export const PAGE_SHIFT = arch.pageShift;
/** In bytes. */
export const PAGE_SIZE = 2 ** PAGE_SHIFT;
/** 32-bit words per page. */
export const PAGE_WORDS = PAGE_SIZE / 4;
export const PAGES_PER_BYTE = 2 ** -PAGE_SHIFT;

/** Bytes of user address space. */
export const TASK_SIZE = arch.taskSize;

/** What sums of addresses and lengths wrap at: one past the last address of a register. */
export const ADDRESSES = TASK_SIZE < 2 ** 32 ? 2 ** 32 : 2 ** 64;

/** 32-bit words of a leaf entry, and of one that points to a lower table. */
export const ENTRY_WORDS = arch.entryWords;
export const UPPER_ENTRY_WORDS = arch.upperEntryWords;
export const LEVEL_NAMES = arch.levelNames;
/** Levels of the page-table tree; level 0 holds the ptes, level LEVELS - 1 is the pgd. */
export const LEVELS = arch.indexBits.length;
export const TOP_LEVEL = LEVELS - 1;

/** log2 of the bytes that one entry of each level spans. */
const LEVEL_SHIFT = arch.indexBits.map((_, level) =>
  arch.indexBits.slice(0, level).reduce((sum, bits) => sum + bits, PAGE_SHIFT),
);
/** Multiply an address by this and drop the fraction to shift it down to a level's index. */
export const LEVEL_SCALE = Float64Array.from(LEVEL_SHIFT, (shift) => 2 ** -shift);
export const LEVEL_MASK = Int32Array.from(arch.indexBits, (bits) => 2 ** bits - 1);
/** Bytes that one entry of each level spans. */
export const LEVEL_SPAN = LEVEL_SHIFT.map((shift) => 2 ** shift);
/** Entries of one table at each level. */
export const LEVEL_ENTRIES = arch.indexBits.map((bits) => 2 ** bits);
/** log2 of the frames that a table of each level takes. */
export const TABLE_ORDER = LEVEL_ENTRIES.map((entries, level) =>
  Math.max(0, Math.ceil(Math.log2((entries * wordsPerEntry(level)) / PAGE_WORDS))),
);

export const PTE_PRESENT = arch.pte.present;
export const PTE_WRITE = arch.pte.write;
export const PTE_ACCESSED = arch.pte.accessed;
export const PTE_DIRTY = arch.pte.dirty;
export const PTE_USER = arch.pte.user;
export const PTE_PROTNONE = arch.pte.protNone;
export const PTE_EXEC = arch.pte.exec;
export const PTE_FILE = arch.pte.file;
export const PTE_LOCK = arch.pte.lock;
export const PTE_BUSY = arch.pte.busy;
export const PTE_HASHED = arch.pte.hashed;
export const PFN_SHIFT = arch.pfnShift;
/** Bits of an entry that hold the frame number. */
export const PFN_MASK = -(2 ** PFN_SHIFT) | 0;
export const PTE_SPLIT = arch.splitPfn;
export const ATOMIC_PTES = arch.atomicPtes;
export const MMU_SETS_BITS = arch.mmuSetsBits;
export const PMD_HUGE = arch.pte.huge;
export const NO_EXEC_HIGH = arch.noExecHigh;
export const TABLE_FLAGS = arch.tableFlags;
export const RELOADS_TOP = arch.reloadsTop;
/** An entry that is in another table now (mm/relocate.ts): writable and not present, which no other entry is. */
export const PTE_MOVED = PTE_WRITE;
export const ATOMIC_POPULATE = arch.atomicPopulate;

/** Pages of a huge page, which one entry above the leaves maps, and log2 of that. */
export const HUGE_PAGES = LEVEL_ENTRIES[0];
export const HUGE_ORDER = arch.indexBits[0];
/** In bytes. */
export const HUGE_SIZE = HUGE_PAGES * PAGE_SIZE;

/** Frame that a present entry of any level points to. */
export function entryPfn(entry: number): Pfn {
  return entry >>> PFN_SHIFT;
}

/** The bits of an entry that points to a frame; of any number that an entry is to hold. */
export function pfnBits(pfn: Pfn): number {
  return pfn << PFN_SHIFT;
}

/** 32-bit words of an entry of `level`. */
export function wordsPerEntry(level: number): number {
  return level === 0 ? ENTRY_WORDS : UPPER_ENTRY_WORDS;
}

/** Word offset of the entry that maps `address` within its table of `level`. */
export function entryOffset(address: Vaddr, level: number): number {
  return levelIndex(address, level) * wordsPerEntry(level);
}

/** Index of the entry that maps `address` within a table of `level`. */
export function levelIndex(address: Vaddr, level: number): number {
  return (address * LEVEL_SCALE[level]) & LEVEL_MASK[level];
}

/*
 * The same for fixed levels, as word offsets: a walk is too hot for a look-up per level. A level
 * that the architecture lacks has mask 0.
 */
const PTE_MASK = LEVEL_MASK[0];
const PMD_SCALE = LEVEL_SCALE[1];
const PMD_MASK = LEVEL_MASK[1];
const PUD_SCALE = LEVELS > 2 ? LEVEL_SCALE[2] : 0;
const PUD_MASK = LEVELS > 2 ? LEVEL_MASK[2] : 0;
const PGD_SCALE = LEVELS > 3 ? LEVEL_SCALE[3] : 0;
const PGD_MASK = LEVELS > 3 ? LEVEL_MASK[3] : 0;

/** Word offset, within its table of level 3, of the entry for `address`. */
export function level3Offset(address: Vaddr): number {
  return ((address * PGD_SCALE) & PGD_MASK) * UPPER_ENTRY_WORDS;
}

export function level2Offset(address: Vaddr): number {
  return ((address * PUD_SCALE) & PUD_MASK) * UPPER_ENTRY_WORDS;
}

export function level1Offset(address: Vaddr): number {
  return ((address * PMD_SCALE) & PMD_MASK) * UPPER_ENTRY_WORDS;
}

/** Word offset of the pte that maps `address` within its leaf table. */
export function pteOffset(address: Vaddr): number {
  return ((address * PAGES_PER_BYTE) & PTE_MASK) * ENTRY_WORDS;
}

/** Address of the page that holds `address`. */
export function pageMask(address: Vaddr): Vaddr {
  return Math.floor(address * PAGES_PER_BYTE) * PAGE_SIZE;
}

/** `bytes` rounded up to whole pages, in bytes. */
export function pageAlign(bytes: number): number {
  return Math.ceil(bytes * PAGES_PER_BYTE) * PAGE_SIZE;
}

/** NUMA node of a CPU. */
export function cpuNode(cpu: number): number {
  return (cpu / CPUS_PER_NODE) | 0;
}

/** NUMA node of a frame. */
export function pfnNode(pfn: Pfn): number {
  return (pfn / FRAMES_PER_NODE) | 0;
}

/** A multiple of 16 words: what shares a cache line with nothing else starts on one. */
export const LINE_WORDS = 16;

/** `word` rounded up to a multiple of `words`. */
export function alignWord(word: Word, words: number): Word {
  return Math.ceil(word / words) * words;
}
