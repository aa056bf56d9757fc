/**
 * slab: tables of equal records that come and go (Linux: kmem_cache).
 * Shape: SLAB_RECORD = 32 words per table. A free record's first word is the next free record.
 */
import type { Word } from '../../base/units.js';
import { LINE_WORDS, alignWord } from '../../hardware/machine.js';
import { LIMITS, VMA_LOCK } from '../design.js';
import { AnonVma, Vma } from './vma.js';
import { KMAP_END } from './kmap.js';

export const Slab = {
  /** Spinlock over the rest. */
  lock: 0,
  /** First free record; 0 = none. */
  freeHead: 1,
  /** Records from here to end were never handed out. */
  fresh: 2,
  /** Constant. */
  end: 3,
  inUse: 4,
} as const;

/**
 * Tables begin where the longest lines do (ia64: 128 bytes), and each slab has one to itself: which records share such a
 * line must not hang on how many others lie before them.
 */
const TABLE_ALIGNMENT = 2 * LINE_WORDS;
export const SLAB_RECORD = TABLE_ALIGNMENT;

/** A table of records: its slab, where it lies, and how long each record is, in words. */
export interface SlabTable {
  readonly name: string;
  readonly slab: Word;
  readonly base: Word;
  readonly record: number;
  /** Words of a record that are cleared when it is freed; a lock behind them can be taken at any time. */
  readonly cleared: number;
  readonly end: Word;
}

const SLABS: Word = alignWord(KMAP_END, TABLE_ALIGNMENT);
const names = ['task', 'mm', 'vma', 'vmaNode', 'anonVma', 'anonVmaChain', 'file'] as const;
/** Words of each table's records. */
export const RECORD_WORDS = {
  task: 32,
  mm: 64,
  vma: VMA_LOCK ? 64 : 32,
  vmaNode: 64,
  anonVma: 16,
  anonVmaChain: 8,
  file: 16,
} as const;
/** Where not all of a record is cleared when it is freed. */
const CLEARED_WORDS: Partial<Record<(typeof names)[number], number>> = {
  vma: Vma.vmLock,
  anonVma: AnonVma.lock,
};
const counts = {
  task: LIMITS.tasks,
  mm: LIMITS.mms,
  vma: LIMITS.vmas,
  // Two neighbouring nodes have more children than one could hold, so nodes are seven VMAs large or more on
  // average, but for the last of each level.
  vmaNode: Math.ceil(LIMITS.vmas / 3) + 8 * LIMITS.mms,
  anonVma: LIMITS.anonVmas,
  anonVmaChain: LIMITS.anonVmaChains,
  file: LIMITS.files,
} as const;

function layOut(): Record<(typeof names)[number], SlabTable> {
  let next = SLABS + names.length * SLAB_RECORD;
  const tables = names.map((name, index): [string, SlabTable] => {
    const base = alignWord(next, TABLE_ALIGNMENT);
    const end = base + counts[name] * RECORD_WORDS[name];
    const table = {
      name,
      slab: SLABS + index * SLAB_RECORD,
      base,
      record: RECORD_WORDS[name],
      cleared: CLEARED_WORDS[name] ?? RECORD_WORDS[name],
      end,
    };
    next = end;
    return [name, table];
  });
  return Object.fromEntries(tables) as Record<(typeof names)[number], SlabTable>;
}

export const TABLES = layOut();
export const ALL_TABLES: readonly SlabTable[] = Object.values(TABLES);

/** Words in the whole machine: the slabs come last. */
export const TOTAL_WORDS: Word = TABLES.file.end;
