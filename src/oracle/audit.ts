/**
 * The audit: what must hold of a machine at a quiet point, when no CPU is in the middle of
 * anything. It reads the memory directly and trusts no count: everything is counted anew from the
 * page tables, the lists and the trees.
 */
import type { Pfn, Word } from '../base/units.js';
import { frameOf } from '../hardware/frames.js';
import {
  CPUS,
  ENTRY_WORDS,
  FRAMES,
  LEVEL_ENTRIES,
  LEVEL_NAMES,
  LEVEL_SPAN,
  NODES,
  PAGE_SIZE,
  PAGE_WORDS,
  TOP_LEVEL,
  entryPfn,
} from '../hardware/machine.js';
import type { Memory } from '../hardware/memory.js';
import type { Tlb } from '../hardware/tlb.js';
import { File } from '../mm/layout/file.js';
import { Mm, Task } from '../mm/layout/mm.js';
import { PAGE_MAPPING_ANON, PG_reserved, PG_table, Page, pageOf } from '../mm/layout/page.js';
import { Percpu, percpuOf } from '../mm/layout/percpu.js';
import { Slab, TABLES, type SlabTable } from '../mm/layout/slab.js';
import { AnonVma, VM_PFNMAP, Vma } from '../mm/layout/vma.js';
import { Zone, zoneOf } from '../mm/layout/zone.js';
import { ptePresent } from '../mm/pgtable.js';

/** What the audit counts for each frame, to be compared with its record. */
interface Claims {
  readonly free: Uint8Array;
  readonly lru: Uint8Array;
  readonly table: Uint8Array;
  readonly ptes: Int32Array;
  readonly others: Int32Array;
}

/** A present pte as the audit found it. */
export interface MappedPage {
  readonly address: number;
  readonly entry: number;
  readonly pfn: Pfn;
  readonly anon: boolean;
}

/**
 * @param tlbs - of all CPUs, with the mm that each runs
 * @returns what does not hold, one line each; empty when all is well
 */
export function audit(memory: Memory, tlbs: readonly { tlb: Tlb; mm: Word }[] = []): string[] {
  const faults: string[] = [];
  const claims: Claims = {
    free: new Uint8Array(FRAMES),
    lru: new Uint8Array(FRAMES),
    table: new Uint8Array(FRAMES),
    ptes: new Int32Array(FRAMES),
    others: new Int32Array(FRAMES),
  };
  auditZones(memory.words, claims, faults);
  auditPercpu(memory.words, claims, faults);
  auditFiles(memory.words, claims, faults);
  const mms = recordsInUse(memory.words, TABLES.mm, faults);
  for (const mm of mms) auditMm(memory, mm, claims, faults);
  auditAnonVmas(memory.words, mms, faults);
  auditPages(memory.words, claims, faults);
  for (const { tlb, mm } of tlbs) auditTlb(memory, tlb, mm, faults);
  return faults;
}

function auditZones(words: Int32Array, claims: Claims, faults: string[]): void {
  for (let node = 0; node < NODES; node++) {
    const zone = zoneOf(node);
    expectUnlocked(words, zone + Zone.lock, `zone[${node}].lock`, faults);
    expectUnlocked(words, zone + Zone.lruLock, `zone[${node}].lruLock`, faults);
    let free = 0;
    for (let pfn = words[zone + Zone.freeHead]; pfn !== 0; pfn = lruNext(words, pfn)) {
      if (!claimFree(claims, pfn, `zone[${node}]'s free list`, faults)) break;
      free++;
    }
    for (let pfn = words[zone + Zone.fresh]; pfn < words[zone + Zone.end]; pfn++) {
      claimFree(claims, pfn, `zone[${node}]'s fresh frames`, faults);
      free++;
    }
    expectEqual(`zone[${node}].freePages`, words[zone + Zone.freePages], free, faults);
    let active = 0;
    let prev = 0;
    for (let pfn = words[zone + Zone.activeHead]; pfn !== 0; pfn = lruNext(words, pfn)) {
      if (claims.lru[pfn] === 1) {
        faults.push(`frame ${pfn} is on the active list twice`);
        break;
      }
      claims.lru[pfn] = 1;
      expectEqual(`page[${pfn}].lruPrev`, words[pageOf(pfn) + Page.lruPrev], prev, faults);
      prev = pfn;
      active++;
    }
    expectEqual(`zone[${node}].nrActive`, words[zone + Zone.nrActive], active, faults);
  }
}

function lruNext(words: Int32Array, pfn: Pfn): Pfn {
  return words[pageOf(pfn) + Page.lruNext];
}

/** @returns false when the frame was claimed before: the list may then be a circle */
function claimFree(claims: Claims, pfn: Pfn, where: string, faults: string[]): boolean {
  if (claims.free[pfn] === 1) {
    faults.push(`frame ${pfn} is free twice, the second time in ${where}`);
    return false;
  }
  claims.free[pfn] = 1;
  return true;
}

function auditPercpu(words: Int32Array, claims: Claims, faults: string[]): void {
  for (let cpu = 0; cpu < CPUS; cpu++) {
    const pcpu = percpuOf(cpu);
    for (let slot = 0; slot < words[pcpu + Percpu.pcpCount]; slot++) {
      claimFree(claims, words[pcpu + Percpu.pcp + slot], `cpu ${cpu}'s list`, faults);
    }
    for (let slot = 0; slot < words[pcpu + Percpu.lruAddCount]; slot++) {
      const pfn = words[pcpu + Percpu.lruAdd + slot];
      claims.others[pfn] = claims.others[pfn] + 1;
    }
  }
}

/** Every record of a table that is not on its free list. */
function recordsInUse(words: Int32Array, table: SlabTable, faults: string[]): Word[] {
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

function auditFiles(words: Int32Array, claims: Claims, faults: string[]): void {
  for (const file of recordsInUse(words, TABLES.file, faults)) {
    expectUnlocked(words, file + File.treeLock, 'file.treeLock', faults);
    const root = words[file + File.root];
    let cached = 0;
    if (root !== 0) {
      claims.others[root] = claims.others[root] + 1;
      for (let i = 0; i < PAGE_WORDS; i++) {
        const leaf = words[frameOf(root) + i];
        if (leaf === 0) continue;
        claims.others[leaf] = claims.others[leaf] + 1;
        for (let j = 0; j < PAGE_WORDS; j++) {
          const pfn = words[frameOf(leaf) + j];
          if (pfn === 0) continue;
          claims.others[pfn] = claims.others[pfn] + 1;
          cached++;
          const index = i * PAGE_WORDS + j;
          expectEqual(`page[${pfn}].mapping`, words[pageOf(pfn) + Page.mapping], file, faults);
          expectEqual(`page[${pfn}].index`, words[pageOf(pfn) + Page.index], index, faults);
        }
      }
    }
    expectEqual('file.nrPages', words[file + File.nrPages], cached, faults);
  }
}

function auditMm(memory: Memory, mm: Word, claims: Claims, faults: string[]): void {
  const { words } = memory;
  const name = `mm[${(mm - TABLES.mm.base) / TABLES.mm.record}]`;
  expectUnlocked(words, mm + Mm.pageTableLock, `${name}.pageTableLock`, faults);
  expectUnlocked(words, mm + Mm.mmapSem, `${name}.mmapSem`, faults);
  const vmas = auditVmas(memory, mm, name, faults);

  let rss = 0;
  let anonRss = 0;
  for (const { address, pfn, anon } of mappedPages(memory, mm)) {
    const vma = vmas.find(({ start, end }) => address >= start && address < end);
    if (vma === undefined) faults.push(`${name} maps ${hex(address)}, which no VMA holds`);
    if (pfn === 0) continue;
    claims.ptes[pfn] = claims.ptes[pfn] + 1;
    if (vma?.counted !== false) rss++;
    if (anon) anonRss++;
  }
  let tasks = 0;
  let taskRss = 0;
  let taskAnonRss = 0;
  for (let task = words[mm + Mm.taskList]; task !== 0; task = words[task + Task.nextOfMm]!) {
    tasks++;
    taskRss += words[task + Task.rss];
    taskAnonRss += words[task + Task.anonRss];
  }
  expectEqual(`${name}.rss`, words[mm + Mm.rss] + taskRss, rss, faults);
  expectEqual(`${name}.anonRss`, words[mm + Mm.anonRss] + taskAnonRss, anonRss, faults);
  expectEqual(`${name}.mmUsers`, words[mm + Mm.mmUsers], tasks, faults);
  const tables = claimTables(words, words[mm + Mm.pgd], TOP_LEVEL, claims);
  expectEqual(`${name}.nrTables`, words[mm + Mm.nrTables], tables, faults);
}

interface AuditedVma {
  readonly start: number;
  readonly end: number;
  /** Whether its pages count towards rss. */
  readonly counted: boolean;
}

/** The VMAs in order; the list, the tree and the totals must agree. */
function auditVmas(memory: Memory, mm: Word, name: string, faults: string[]): AuditedVma[] {
  const { words, wides } = memory;
  const vmas: AuditedVma[] = [];
  let pages = 0;
  let prev = 0;
  for (let vma = words[mm + Mm.mmap]; vma !== 0; vma = words[vma + Vma.vmNext]!) {
    const start = wides[(vma + Vma.vmStart) / 2];
    const end = wides[(vma + Vma.vmEnd) / 2];
    const before = vmas.at(-1);
    if (start >= end || (before !== undefined && before.end > start)) {
      faults.push(`${name}: VMA ${hex(start)}-${hex(end)} is out of order`);
    }
    expectEqual(`${name}: vmPrev of ${hex(start)}`, words[vma + Vma.vmPrev], prev, faults);
    vmas.push({ start, end, counted: (words[vma + Vma.vmFlags] & VM_PFNMAP) === 0 });
    pages += (end - start) / PAGE_SIZE;
    prev = vma;
  }
  const inTree = treeStarts(memory, words[mm + Mm.vmaTree]);
  const inList = vmas.map(({ start }) => start);
  if (inTree.join() !== inList.join()) faults.push(`${name}: tree and list of VMAs differ`);
  expectEqual(`${name}.mapCount`, words[mm + Mm.mapCount], vmas.length, faults);
  expectEqual(`${name}.totalVm`, words[mm + Mm.totalVm], pages, faults);
  return vmas;
}

function treeStarts(memory: Memory, node: Word): number[] {
  if (node === 0) return [];
  const { words, wides } = memory;
  return [
    ...treeStarts(memory, words[node + Vma.treeLeft]),
    wides[(node + Vma.vmStart) / 2],
    ...treeStarts(memory, words[node + Vma.treeRight]),
  ];
}

/** Every page that an address space maps, in order of address. */
export function mappedPages(memory: Memory, mm: Word): MappedPage[] {
  const pages: MappedPage[] = [];
  collectPages(memory.words, memory.words[mm + Mm.pgd], TOP_LEVEL, 0, pages);
  return pages;
}

function collectPages(
  words: Int32Array,
  table: Pfn,
  level: number,
  base: number,
  pages: MappedPage[],
): void {
  for (let index = 0; index < LEVEL_ENTRIES[level]; index++) {
    const entry = words[frameOf(table) + index * ENTRY_WORDS];
    if (entry === 0) continue;
    const address = base + index * LEVEL_SPAN[level];
    if (level > 0) {
      collectPages(words, entryPfn(entry), level - 1, address, pages);
    } else if (ptePresent(entry)) {
      const pfn = entryPfn(entry);
      const mapping = words[pageOf(pfn) + Page.mapping];
      pages.push({ address, entry, pfn, anon: (mapping & PAGE_MAPPING_ANON) !== 0 });
    }
  }
}

/** Names of the levels of all page tables, by frame. */
export function tableNames(memory: Memory): Map<Pfn, string> {
  const names = new Map<Pfn, string>();
  const visit = (table: Pfn, level: number): void => {
    names.set(table, LEVEL_NAMES[level]);
    if (level === 0) return;
    for (let index = 0; index < LEVEL_ENTRIES[level]; index++) {
      const entry = memory.words[frameOf(table) + index * ENTRY_WORDS];
      if (entry !== 0) visit(entryPfn(entry), level - 1);
    }
  };
  for (const mm of recordsInUse(memory.words, TABLES.mm, [])) {
    visit(memory.words[mm + Mm.pgd], TOP_LEVEL);
  }
  return names;
}

/** @returns tables of the tree, all levels */
function claimTables(words: Int32Array, table: Pfn, level: number, claims: Claims): number {
  claims.table[table] = 1;
  claims.others[table] = claims.others[table] + 1;
  if (level === 0) return 1;
  let tables = 1;
  for (let index = 0; index < LEVEL_ENTRIES[level]; index++) {
    const entry = words[frameOf(table) + index * ENTRY_WORDS];
    if (entry !== 0) tables += claimTables(words, entryPfn(entry), level - 1, claims);
  }
  return tables;
}

function auditAnonVmas(words: Int32Array, mms: readonly Word[], faults: string[]): void {
  const users = new Map<Word, number>();
  for (const mm of mms) {
    for (let vma = words[mm + Mm.mmap]; vma !== 0; vma = words[vma + Vma.vmNext]!) {
      const anonVma = words[vma + Vma.anonVma];
      if (anonVma !== 0) users.set(anonVma, (users.get(anonVma) ?? 0) + 1);
    }
  }
  for (const anonVma of recordsInUse(words, TABLES.anonVma, faults)) {
    expectEqual('anonVma.vmas', words[anonVma + AnonVma.vmas], users.get(anonVma) ?? 0, faults);
  }
}

/** Each frame is free, or has exactly the references that point to it. */
function auditPages(words: Int32Array, claims: Claims, faults: string[]): void {
  for (let pfn = 0; pfn < FRAMES; pfn++) {
    const page = pageOf(pfn);
    const flags = words[page + Page.flags];
    if ((flags & PG_reserved) !== 0) continue;
    const refcount = words[page + Page.refcount];
    const references = claims.ptes[pfn] + claims.others[pfn];
    if (claims.free[pfn] === 1) {
      if (references > 0) faults.push(`frame ${pfn} is free, but ${references} point to it`);
      expectEqual(`page[${pfn}].refcount (free)`, refcount, 0, faults);
      continue;
    }
    if (references === 0) {
      faults.push(`frame ${pfn} is lost: not free, and nothing points to it`);
      continue;
    }
    expectEqual(`page[${pfn}].refcount`, refcount, references, faults);
    expectEqual(`page[${pfn}].mapcount`, words[page + Page.mapcount], claims.ptes[pfn], faults);
    expectEqual(`page[${pfn}].onLru`, words[page + Page.onLru], claims.lru[pfn], faults);
    expectEqual(
      `page[${pfn}] PG_table`,
      (flags & PG_table) !== 0 ? 1 : 0,
      claims.table[pfn],
      faults,
    );
  }
}

/** A TLB may be behind the tables only in bits that the CPU sets itself. */
function auditTlb(memory: Memory, tlb: Tlb, mm: Word, faults: string[]): void {
  if (mm === 0) return;
  const mapped = new Map(mappedPages(memory, mm).map((page) => [page.address, page.pfn]));
  for (const { address, entry } of tlb.cached()) {
    if (mapped.get(address) !== entryPfn(entry)) {
      faults.push(`a TLB maps ${hex(address)} to frame ${entryPfn(entry)}, the tables do not`);
    }
  }
}

function expectEqual(what: string, got: number, expected: number, faults: string[]): void {
  if (got !== expected) faults.push(`${what} is ${got}, should be ${expected}`);
}

function expectUnlocked(words: Int32Array, lock: Word, what: string, faults: string[]): void {
  if (words[lock] !== 0) faults.push(`${what} is held (${words[lock]})`);
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
