/** The part of the audit that is about VMAs: order, totals, gaps, and the ways back from pages to them. */
import type { Word } from '../base/units.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import type { Memory } from '../hardware/memory.js';
import { File } from '../mm/layout/file.js';
import { Mm } from '../mm/layout/mm.js';
import { TABLES } from '../mm/layout/slab.js';
import {
  AnonVma,
  AnonVmaChain,
  NODE_FANOUT,
  VM_LOCKED,
  VM_PFNMAP,
  Vma,
  VmaNode,
} from '../mm/layout/vma.js';
import { MMAP_MIN_ADDR } from '../mm/vmatree.js';
import { expectEqual, expectUnlocked, hex, recordName, recordsInUse } from './records.js';

export interface AuditedVma {
  readonly vma: Word;
  readonly start: number;
  readonly end: number;
  readonly file: Word;
  readonly pgoff: number;
  /** Whether its pages count towards rss. */
  readonly counted: boolean;
  /** All anon_vmas that it is tied to. */
  readonly anonVmas: ReadonlySet<Word>;
}

/** The VMAs in order; the list, the tree, its gaps and the totals must agree. */
export function auditVmas(memory: Memory, mm: Word, name: string, faults: string[]): AuditedVma[] {
  const { words, wides } = memory;
  const vmas: AuditedVma[] = [];
  let pages = 0;
  let locked = 0;
  let prev = 0;
  for (let vma = words[mm + Mm.mmap]; vma !== 0; vma = words[vma + Vma.vmNext]!) {
    const start = wides[(vma + Vma.vmStart) / 2];
    const end = wides[(vma + Vma.vmEnd) / 2];
    const before = vmas.at(-1);
    if (start >= end || (before !== undefined && before.end > start)) {
      faults.push(`${name}: VMA ${hex(start)}-${hex(end)} is out of order`);
    }
    expectEqual(`${name}: vmPrev of ${hex(start)}`, words[vma + Vma.vmPrev], prev, faults);
    expectEqual(`${name}: vmMm of ${hex(start)}`, words[vma + Vma.vmMm], mm, faults);
    const vmFlags = words[vma + Vma.vmFlags];
    vmas.push({
      vma,
      start,
      end,
      file: words[vma + Vma.vmFile],
      pgoff: words[vma + Vma.vmPgoff],
      counted: (vmFlags & VM_PFNMAP) === 0,
      anonVmas: anonVmasOf(words, vma, `${name}: VMA ${hex(start)}`, faults),
    });
    pages += (end - start) / PAGE_SIZE;
    if ((vmFlags & VM_LOCKED) !== 0) locked += (end - start) / PAGE_SIZE;
    prev = vma;
  }
  const inTree: Word[] = [];
  const root = words[mm + Mm.vmaTree];
  if (root !== 0) auditTree(memory, root, inTree, name, faults);
  const inList = vmas.map(({ vma }) => vma);
  if (inTree.join() !== inList.join()) faults.push(`${name}: tree and list of VMAs differ`);
  expectEqual(`${name}.mapCount`, words[mm + Mm.mapCount], vmas.length, faults);
  expectEqual(`${name}.totalVm`, words[mm + Mm.totalVm], pages, faults);
  expectEqual(`${name}.lockedVm`, words[mm + Mm.lockedVm], locked, faults);
  return vmas;
}

/** Collects the VMAs below a node in order. @returns the largest gap */
function auditTree(
  memory: Memory,
  node: Word,
  inOrder: Word[],
  name: string,
  faults: string[],
): number {
  const { words, wides } = memory;
  const level = words[node + VmaNode.level];
  const count = words[node + VmaNode.count];
  if (count < 1 || count > NODE_FANOUT) faults.push(`${name}: a tree node has ${count} children`);
  let largest = -Infinity;
  for (let index = 0; index < count; index++) {
    const child = words[node + VmaNode.children + index];
    let gap: number;
    if (level === 0) {
      inOrder.push(child);
      const key = wides[(node + VmaNode.keys) / 2 + index];
      expectEqual(`${name}: a key`, key, wides[(child + Vma.vmStart) / 2], faults);
      gap = gapBelow(memory, child);
    } else {
      expectEqual(`${name}: a tree node's level`, words[child + VmaNode.level], level - 1, faults);
      gap = auditTree(memory, child, inOrder, name, faults);
    }
    const known = wides[(node + VmaNode.gaps) / 2 + index];
    expectEqual(`${name}: gap ${index} of a tree node at level ${level}`, known, gap, faults);
    largest = Math.max(largest, gap);
  }
  return largest;
}

function gapBelow({ words, wides }: Memory, vma: Word): number {
  const prev = words[vma + Vma.vmPrev];
  const from = prev === 0 ? MMAP_MIN_ADDR : wides[(prev + Vma.vmEnd) / 2];
  return wides[(vma + Vma.vmStart) / 2] - from;
}

function anonVmasOf(words: Int32Array, vma: Word, name: string, faults: string[]): Set<Word> {
  const anonVmas = new Set<Word>();
  let chain = words[vma + Vma.anonVmaChain];
  for (; chain !== 0; chain = words[chain + AnonVmaChain.nextOfVma]!) {
    expectEqual(`${name}: a chain's vma`, words[chain + AnonVmaChain.vma], vma, faults);
    anonVmas.add(words[chain + AnonVmaChain.anonVma]);
  }
  const own = words[vma + Vma.anonVma];
  if (own !== 0 && !anonVmas.has(own)) faults.push(`${name} is not tied to its own anon_vma`);
  return anonVmas;
}

/** Each anon_vma leads to the VMAs that are tied to it, and its counts are right. */
export function auditAnonVmas(
  words: Int32Array,
  vmas: readonly AuditedVma[],
  faults: string[],
): void {
  const anonVmas = recordsInUse(words, TABLES.anonVma, faults);
  const tied = new Map<Word, Set<Word>>();
  let chains = 0;
  for (const { vma, anonVmas: its } of vmas) {
    chains += its.size;
    for (const anonVma of its) {
      tied.set(anonVma, (tied.get(anonVma) ?? new Set()).add(vma));
    }
  }
  expectEqual(
    'anon_vma_chains in use',
    recordsInUse(words, TABLES.anonVmaChain, faults).length,
    chains,
    faults,
  );
  const active = countBy(vmas.map(({ vma }) => words[vma + Vma.anonVma]));
  const children = countBy(anonVmas.map((anonVma) => words[anonVma + AnonVma.parent]));
  for (const anonVma of anonVmas) {
    const name = recordName(TABLES.anonVma, anonVma);
    expectUnlocked(words, anonVma + AnonVma.lock, `${name}.lock`, faults);
    const leadsTo = new Set<Word>();
    let chain = words[anonVma + AnonVma.head];
    for (; chain !== 0; chain = words[chain + AnonVmaChain.nextOfAnonVma]!) {
      leadsTo.add(words[chain + AnonVmaChain.vma]);
    }
    const expected = tied.get(anonVma) ?? new Set();
    if ([...leadsTo].sort().join() !== [...expected].sort().join()) {
      faults.push(`${name} leads to ${leadsTo.size} VMAs, and ${expected.size} are tied to it`);
    }
    const counts: [string, number, number][] = [
      ['numActiveVmas', words[anonVma + AnonVma.numActiveVmas], active.get(anonVma) ?? 0],
      ['numChildren', words[anonVma + AnonVma.numChildren], children.get(anonVma) ?? 0],
    ];
    for (const [field, got, expected] of counts) {
      expectEqual(`${name}.${field}`, got, expected, faults);
    }
  }
}

function countBy(words: readonly Word[]): Map<Word, number> {
  const counts = new Map<Word, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** Each file leads to the VMAs that map it. */
export function auditFileVmas(
  words: Int32Array,
  files: readonly Word[],
  vmas: readonly AuditedVma[],
  faults: string[],
): void {
  const mappings = new Map<Word, Word[]>();
  for (const { file, vma } of vmas) {
    const known = mappings.get(file);
    if (known === undefined) mappings.set(file, [vma]);
    else known.push(vma);
  }
  for (const file of files) {
    const name = recordName(TABLES.file, file);
    expectUnlocked(words, file + File.mmapLock, `${name}.mmapLock`, faults);
    const leadsTo: Word[] = [];
    for (let vma = words[file + File.mmapList]; vma !== 0; vma = words[vma + Vma.fileNext]!) {
      leadsTo.push(vma);
    }
    const mapping = mappings.get(file) ?? [];
    if (leadsTo.sort().join() !== mapping.sort().join()) {
      faults.push(`${name} leads to ${leadsTo.length} VMAs, and ${mapping.length} map it`);
    }
    expectEqual(`${name}.mappings`, words[file + File.mappings], mapping.length, faults);
  }
}
