/**
 * The machine's memory: one buffer that holds everything two CPUs can both see.
 *
 * Header, at word 0:
 *   word 0  magic, "mflt"
 *   word 1  version of the layout
 *   word 2  hash of the configuration that the layout was computed for
 *   word 3  words in the buffer
 * CPU lines, LINE_WORDS words per CPU from CPU_LINES: what other CPUs send to a CPU.
 */
import { InputError } from '../base/errors.js';
import type { Word } from '../base/units.js';
import { CPUS, LINE_WORDS, PAGE_WORDS, alignWord } from './machine.js';

const MAGIC = 0x6d666c74;
/** Raised with every change of a record's shape. */
const VERSION = 3;
const HEADER_WORDS = LINE_WORDS;

export const CPU_LINES = HEADER_WORDS;

/** Words of a CPU's line. */
export const CpuLine = {
  /** The address space whose translations this CPU may hold; 0 while idle. Written by the CPU. */
  activeMm: 0,
  /** Invalidations asked of this CPU. Atomic. */
  ipiRequested: 1,
  /** Invalidations done by it. Written by the CPU. */
  ipiDone: 2,
  /** Whether the daemon that runs here is to return. Written by the engine. */
  stop: 3,
  /** What a daemon sleeps on: raised by whoever has work for it, and with `stop`. Atomic. */
  wakeup: 4,
  /** Times that this CPU was seen to use nothing that it had read of page tables: see mm/rcu.ts. Atomic. */
  quiescent: 5,
} as const;

export function cpuLine(cpu: number): Word {
  return CPU_LINES + cpu * LINE_WORDS;
}

/** First word after header and CPU lines. */
export const CPU_LINES_END: Word = CPU_LINES + CPUS * LINE_WORDS;

/** One buffer, seen as 32-bit words and as doubles. */
export interface Memory {
  readonly buffer: SharedArrayBuffer | ArrayBuffer;
  readonly words: Int32Array;
  readonly wides: Float64Array;
}

function view(buffer: SharedArrayBuffer | ArrayBuffer, words: number): Memory {
  return {
    buffer,
    words: new Int32Array(buffer, 0, words),
    wides: new Float64Array(buffer, 0, words / 2),
  };
}

/** Takes zeroed memory from the host: at least so many bytes. */
export type Allocate = (bytes: number) => SharedArrayBuffer | ArrayBuffer;

/** Words of a machine whose layout needs `totalWords`: whole pages. */
function machineWords(totalWords: number): number {
  return alignWord(totalWords, PAGE_WORDS);
}

/**
 * @param totalWords - what the layout needs
 * @param hash - of the configuration
 */
export function createMemory(totalWords: number, hash: number, allocate: Allocate): Memory {
  const words = machineWords(totalWords);
  const memory = view(allocate(words * 4), words);
  memory.words.set([MAGIC, VERSION, hash, words]);
  return memory;
}

/**
 * @param buffer - of a machine made by `createMemory`, perhaps in another thread
 * @throws InputError when it was made by another version or for another configuration
 */
export function attachMemory(
  totalWords: number,
  hash: number,
  buffer: SharedArrayBuffer | ArrayBuffer,
): Memory {
  const words = machineWords(totalWords);
  if (buffer.byteLength < words * 4) {
    throw new InputError(
      'MEMORY_SIZE',
      `memory length: got ${buffer.byteLength} bytes, expected ${words * 4}`,
    );
  }
  const memory = view(buffer, words);
  const expectations: [string, number][] = [
    ['magic', MAGIC],
    ['version', VERSION],
    ['configuration hash', hash],
    ['length in words', words],
  ];
  expectations.forEach(([what, expected], word) => {
    const got = memory.words[word];
    if (got === expected) return;
    throw new InputError('MEMORY_HEADER', `memory ${what}: got ${got}, expected ${expected}`);
  });
  return memory;
}

/** A 32-bit hash of a configuration (FNV-1a over its JSON text). */
export function configurationHash(configuration: unknown): number {
  let hash = 0x811c9dc5;
  for (const char of JSON.stringify(configuration)) {
    hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  }
  return hash;
}
