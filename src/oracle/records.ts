/** Reads the slab tables at a quiet point, and says what does not hold. */
import type { Word } from '../base/units.js';
import { Slab, type SlabTable } from '../mm/layout/slab.js';

/** Every record of a table that is not on its free list. */
export function recordsInUse(words: Int32Array, table: SlabTable, faults: string[]): Word[] {
  const { slab, base, record, name } = table;
  expectUnlocked(words, slab + Slab.lock, `slab.${name}.lock`, faults);
  const free = new Set<Word>();
  for (let next = words[slab + Slab.freeHead]; next !== 0; next = words[next]!) {
    if (free.has(next)) {
      faults.push(`slab ${name}: a record is free twice`);
      break;
    }
    free.add(next);
  }
  const used: Word[] = [];
  for (let word = base; word < words[slab + Slab.fresh]; word += record) {
    if (!free.has(word)) used.push(word);
  }
  expectEqual(`slab.${name}.inUse`, words[slab + Slab.inUse], used.length, faults);
  return used;
}

/** A record's name, as in `vma[3]`. */
export function recordName(table: SlabTable, record: Word): string {
  return `${table.name}[${(record - table.base) / table.record}]`;
}

export function expectEqual(what: string, got: number, expected: number, faults: string[]): void {
  if (got !== expected) faults.push(`${what} is ${got}, should be ${expected}`);
}

export function expectUnlocked(
  words: Int32Array,
  lock: Word,
  what: string,
  faults: string[],
): void {
  if (words[lock] !== 0) faults.push(`${what} is held (${words[lock]})`);
}

export function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
