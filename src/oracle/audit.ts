/**
 * The audit: what must hold of a machine at a quiet point, when no CPU is in the middle of
 * anything. It reads the memory directly and trusts no count: everything is counted anew from the
 * page tables, the lists and the trees.
 */
import type { Pfn, Word } from '../base/units.js';
import { frameOf, wordPfn } from '../hardware/frames.js';
import {
  CPUS,
  FRAMES,
  HIGHMEM,
  HUGE_PAGES,
  LOW_FRAMES,
  NODES,
  PAGE_SIZE,
  PAGE_WORDS,
  PTE_WRITE,
  SWAP_SLOTS,
  TABLE_ORDER,
  entryPfn,
} from '../hardware/machine.js';
import type { Memory } from '../hardware/memory.js';
import type { Tlb } from '../hardware/tlb.js';
import { DEBUG_PAGEALLOC } from '../mm/design.js';
import { FILE_MEMORY, File } from '../mm/layout/file.js';
import { Mm, Task } from '../mm/layout/mm.js';
import {
  LRU_ACTIVE,
  LRU_INACTIVE,
  LRU_NONE,
  PAGE_MAPPING_ANON,
  PG_anon_exclusive,
  PG_buddy,
  PG_dirty,
  PG_head,
  PG_locked,
  PG_reserved,
  PG_swapcache,
  PG_table,
  PG_tail,
  PG_zeroed,
  Page,
  hugeMapcount,
  pageOf,
} from '../mm/layout/page.js';
import { Percpu, percpuOf } from '../mm/layout/percpu.js';
import { TABLES } from '../mm/layout/slab.js';
import { SWAP, SWAP_CACHE, SWAP_MAP, Swap, pageSlot } from '../mm/layout/swap.js';
import { MAX_ORDER, Zone, zoneOf } from '../mm/layout/zone.js';
import { swappedTo } from '../mm/pagecache.js';
import { auditHostState, auditWritable } from './auditHinting.js';
import { auditKmaps } from './auditKmaps.js';
import { auditAnonVmas, auditFileVmas, auditVmas, type AuditedVma } from './auditVmas.js';
import {
  leafTableOf,
  mappedPages,
  movedEntries,
  swapEntries,
  visitTables,
  type MappedPage,
} from './pageTables.js';
import { expectEqual, expectUnlocked, hex, recordName, recordsInUse } from './records.js';

/** What the audit counts for each frame, to be compared with its record. */
interface Claims {
  readonly free: Uint8Array;
  /** The list that it is on, as an LRU_ number. */
  readonly lru: Uint8Array;
  /** Whether the page cache has it as data. */
  readonly cached: Uint8Array;
  readonly table: Uint8Array;
  /** Ptes that map the frame, and entries above the leaves that map the huge page it heads. */
  readonly ptes: Int32Array;
  readonly pmds: Int32Array;
  readonly others: Int32Array;
  /** By slot of the swap file: what refers to it. */
  readonly slots: Int32Array;
}

/**
 * @param tlbs - of all CPUs, with the mm that each runs
 * @returns what does not hold, one line each; empty when all is well
 */
export function audit(memory: Memory, tlbs: readonly { tlb: Tlb; mm: Word }[] = []): string[] {
  const faults: string[] = [];
  const { words } = memory;
  const claims: Claims = {
    free: new Uint8Array(FRAMES),
    lru: new Uint8Array(FRAMES),
    cached: new Uint8Array(FRAMES),
    table: new Uint8Array(FRAMES),
    ptes: new Int32Array(FRAMES),
    pmds: new Int32Array(FRAMES),
    others: new Int32Array(FRAMES),
    slots: new Int32Array(SWAP_SLOTS),
  };
  auditZones(words, claims, faults);
  auditPercpu(words, claims, faults);
  const files = auditFiles(words, claims, faults);
  const vmas: AuditedVma[] = [];
  for (const mm of recordsInUse(words, TABLES.mm, faults)) {
    vmas.push(...auditMm(memory, mm, claims, faults));
  }
  expectEqual('VMAs in use', recordsInUse(words, TABLES.vma, faults).length, vmas.length, faults);
  auditAnonVmas(words, vmas, faults);
  auditFileVmas(words, files, vmas, faults);
  auditSwap(words, claims, faults);
  auditPages(words, claims, faults);
  auditKmaps(words, faults);
  for (const { tlb, mm } of tlbs) auditTlb(memory, tlb, mm, faults);
  return faults;
}

function auditZones(words: Int32Array, claims: Claims, faults: string[]): void {
  for (let node = 0; node < NODES; node++) {
    const zone = zoneOf(node);
    expectUnlocked(words, zone + Zone.lock, `zone[${node}].lock`, faults);
    expectUnlocked(words, zone + Zone.lruLock, `zone[${node}].lruLock`, faults);
    const zeroed = auditFreeBlocks(words, node, Zone.freeAreaZeroed, claims, faults);
    const low = HIGHMEM ? auditFreeBlocks(words, node, Zone.freeAreaLow, claims, faults) : 0;
    const free = auditFreeBlocks(words, node, Zone.freeArea, claims, faults) + zeroed + low;
    expectEqual(`zone[${node}].freePages`, words[zone + Zone.freePages], free, faults);
    expectEqual(`zone[${node}].zeroedPages`, words[zone + Zone.zeroedPages], zeroed, faults);
    auditLru(words, node, claims, faults);
    const hugeZero = words[zone + Zone.hugeZeroPage];
    if (hugeZero !== 0) claims.others[hugeZero] = claims.others[hugeZero] + 1;
  }
}

/** The lists of pages in use: what `claims.lru` gets is the number of the list. */
function auditLru(words: Int32Array, node: number, claims: Claims, faults: string[]): void {
  const zone = zoneOf(node);
  const lists = [
    { name: 'inactive', list: LRU_INACTIVE, head: Zone.inactiveHead, tail: Zone.inactiveTail },
    { name: 'active', list: LRU_ACTIVE, head: Zone.activeHead, tail: Zone.activeTail },
  ];
  for (const { name, list, head, tail } of lists) {
    let pages = 0;
    let prev = 0;
    for (let pfn = words[zone + head]; pfn !== 0; pfn = lruNext(words, pfn)) {
      if (claims.lru[pfn] !== LRU_NONE) {
        faults.push(`frame ${pfn} is on the ${name} list and on one before`);
        break;
      }
      claims.lru[pfn] = list;
      expectEqual(`page[${pfn}].lruPrev`, words[pageOf(pfn) + Page.lruPrev], prev, faults);
      prev = pfn;
      pages++;
    }
    expectEqual(`zone[${node}]: end of the ${name} list`, words[zone + tail], prev, faults);
    const count = list === LRU_ACTIVE ? Zone.nrActive : Zone.nrInactive;
    expectEqual(`zone[${node}]: ${name} pages`, words[zone + count], pages, faults);
  }
}

/**
 * The free blocks of a zone, of each order.
 *
 * @param area - Zone.freeArea, Zone.freeAreaLow, or Zone.freeAreaZeroed for those that hold zeros
 * @returns the frames in them
 */
function auditFreeBlocks(
  words: Int32Array,
  node: number,
  area: number,
  claims: Claims,
  faults: string[],
): number {
  const zone = zoneOf(node);
  const zeroed = area === Zone.freeAreaZeroed;
  const flags = zeroed ? PG_buddy | PG_zeroed : PG_buddy;
  let free = 0;
  for (let order = 0; order < MAX_ORDER; order++) {
    const where = `zone[${node}]'s free blocks of order ${order}`;
    for (let pfn = words[zone + area + order]; pfn !== 0; pfn = lruNext(words, pfn)) {
      const page = pageOf(pfn);
      expectEqual(`page[${pfn}]'s order`, words[page + Page.index], order, faults);
      expectEqual(`page[${pfn}].flags (free block)`, words[page + Page.flags], flags, faults);
      let fresh = pfn % 2 ** order === 0;
      if (!fresh)
        faults.push(`block ${pfn} of order ${order} does not start on a multiple of its size`);
      for (let frame = pfn; frame < pfn + 2 ** order; frame++) {
        fresh = claimFree(claims, frame, where, faults) && fresh;
        if (zeroed) auditZeros(words, frame, faults);
        if (HIGHMEM && frame < LOW_FRAMES !== (area === Zone.freeAreaLow)) {
          faults.push(`frame ${frame} is in ${where}, and ${frame < LOW_FRAMES ? 'low' : 'high'}`);
        }
      }
      if (!fresh) break;
      free += 2 ** order;
    }
  }
  return free;
}

/** What is marked as zeroed is handed out as it is. */
function auditZeros(words: Int32Array, pfn: Pfn, faults: string[]): void {
  const frame = frameOf(pfn);
  const at = words.subarray(frame, frame + PAGE_WORDS).findIndex((value) => value !== 0);
  if (at >= 0) faults.push(`frame ${pfn} counts as zeroed, and its word ${at} is not 0`);
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
    for (let slot = 0; HIGHMEM && slot < words[pcpu + Percpu.pcpLowCount]; slot++) {
      const pfn = words[pcpu + Percpu.pcpLow + slot];
      claimFree(claims, pfn, `cpu ${cpu}'s list of low memory`, faults);
      if (pfn >= LOW_FRAMES) faults.push(`frame ${pfn} is on cpu ${cpu}'s list of low memory`);
    }
    for (let slot = 0; slot < words[pcpu + Percpu.pcpZeroedCount]; slot++) {
      const pfn = words[pcpu + Percpu.pcpZeroed + slot];
      claimFree(claims, pfn, `cpu ${cpu}'s list of zeroed frames`, faults);
      auditZeros(words, pfn, faults);
    }
    for (const pagevec of [Percpu.lruAddCount, Percpu.lruAddActiveCount]) {
      for (let slot = 0; slot < words[pcpu + pagevec]; slot++) {
        const pfn = words[pcpu + pagevec + 1 + slot];
        claims.others[pfn] = claims.others[pfn] + 1;
      }
    }
  }
}

/** The page cache of each file. @returns the files */
function auditFiles(words: Int32Array, claims: Claims, faults: string[]): Word[] {
  const files = recordsInUse(words, TABLES.file, faults);
  for (const file of files) {
    expectUnlocked(words, file + File.treeLock, 'file.treeLock', faults);
    expectUnlocked(words, file + File.iSem, 'file.iSem', faults);
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
          if (pfn < 0) {
            claims.slots[swappedTo(pfn)] = claims.slots[swappedTo(pfn)] + 1;
            continue;
          }
          claims.others[pfn] = claims.others[pfn] + 1;
          claims.cached[pfn] = 1;
          cached++;
          const index = i * PAGE_WORDS + j;
          expectEqual(`page[${pfn}].mapping`, words[pageOf(pfn) + Page.mapping], file, faults);
          expectEqual(`page[${pfn}].index`, words[pageOf(pfn) + Page.index], index, faults);
          auditClean(words, file, index, pfn, faults);
        }
      }
    }
    expectEqual('file.nrPages', words[file + File.nrPages], cached, faults);
  }
  return files;
}

/** A clean page can be read again: what lies behind the pages that the device has is zeros. */
function auditClean(
  words: Int32Array,
  file: Word,
  index: number,
  pfn: Pfn,
  faults: string[],
): void {
  if ((words[file + File.flags] & FILE_MEMORY) !== 0 || index < words[file + File.onDevice]) return;
  if ((words[pageOf(pfn) + Page.flags] & PG_dirty) !== 0) return;
  const frame = frameOf(pfn);
  if (words.subarray(frame, frame + PAGE_WORDS).some((value) => value !== 0)) {
    faults.push(`page[${pfn}] is clean, and the device does not have it`);
  }
}

/** @returns the VMAs of the address space */
function auditMm(memory: Memory, mm: Word, claims: Claims, faults: string[]): AuditedVma[] {
  const { words } = memory;
  const name = recordName(TABLES.mm, mm);
  expectUnlocked(words, mm + Mm.pageTableLock, `${name}.pageTableLock`, faults);
  expectUnlocked(words, mm + Mm.mmapSem, `${name}.mmapSem`, faults);
  const vmas = auditVmas(memory, mm, name, faults);

  let rss = 0;
  let anonRss = 0;
  let hugePages = 0;
  let at = 0;
  for (const mapped of mappedPages(memory, mm)) {
    while (at < vmas.length && vmas[at].end <= mapped.address) at++;
    const vma = at < vmas.length && vmas[at].start <= mapped.address ? vmas[at] : undefined;
    if (vma === undefined) faults.push(`${name} maps ${hex(mapped.address)}, which no VMA holds`);
    const head = mapped.pfn & -HUGE_PAGES;
    if (mapped.huge && mapped.pfn === head) hugePages++;
    if (mapped.zero) continue;
    if (!mapped.huge) claims.ptes[mapped.pfn] = claims.ptes[mapped.pfn] + 1;
    else if (mapped.pfn === head) claims.pmds[head] = claims.pmds[head] + 1;
    if (vma?.counted !== false) rss++;
    if (mapped.anon) anonRss++;
    if (!mapped.anon && claims.cached[mapped.pfn] === 0) {
      faults.push(`${name} maps ${hex(mapped.address)} to a page that its file has no more`);
    }
    if (vma !== undefined && unnoticedWrite(words, mapped, vma)) {
      faults.push(`${name} may write to ${hex(mapped.address)}, and the file does not know`);
    }
    auditWritable(words, mapped, `${name}: ${hex(mapped.address)}`, faults);
    if (vma !== undefined) auditRmap(words, mapped, vma, name, faults);
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
  let tables = 0;
  const claimTable = (table: Pfn, level: number): void => {
    for (let frame = table; frame < table + 2 ** TABLE_ORDER[level]; frame++) {
      claims.table[frame] = 1;
      claims.others[frame] = claims.others[frame] + 1;
    }
    tables++;
  };
  visitTables(words, mm, claimTable);
  expectEqual(`${name}'s entries that have moved`, movedEntries(words, mm), 0, faults);
  for (const { slot } of swapEntries(words, mm)) claims.slots[slot] = claims.slots[slot] + 1;
  let spare = 0;
  for (let table = words[mm + Mm.spareTables]; table !== 0; table = lruNext(words, table)) {
    claimTable(table, 0);
    spare++;
  }
  expectEqual(`${name}'s spare tables`, spare, hugePages, faults);
  expectEqual(`${name}.nrTables`, words[mm + Mm.nrTables], tables, faults);
  return vmas;
}

/** Whether a page of a file on a device can be written through a shared mapping and does not count as dirty. */
function unnoticedWrite(
  words: Int32Array,
  { entry, pfn, anon }: MappedPage,
  { file }: AuditedVma,
): boolean {
  if (anon || (entry & PTE_WRITE) === 0 || (words[file + File.flags] & FILE_MEMORY) !== 0)
    return false;
  return (words[pageOf(pfn) + Page.flags] & PG_dirty) === 0;
}

/** From a mapped page a way leads back to the VMA that shows it, at the very address. */
function auditRmap(
  words: Int32Array,
  { address, pfn, anon }: MappedPage,
  vma: AuditedVma,
  name: string,
  faults: string[],
): void {
  const page = pageOf(pfn);
  const mapping = words[page + Page.mapping];
  if (!anon) {
    if (mapping !== vma.file) faults.push(`${name}: ${hex(address)} shows another file's page`);
    return;
  }
  if (!vma.anonVmas.has(mapping - PAGE_MAPPING_ANON)) {
    faults.push(`${name}: the anon_vma of the page at ${hex(address)} does not lead to its VMA`);
  }
  const index = (vma.pgoff + (address - vma.start) / PAGE_SIZE) | 0;
  expectEqual(`page[${pfn}].index (${hex(address)})`, words[page + Page.index], index, faults);
}

/** Each slot has exactly the references that point to it, and knows the page that the swap cache has for it. */
function auditSwap(words: Int32Array, claims: Claims, faults: string[]): void {
  if (SWAP_SLOTS === 0) return;
  expectUnlocked(words, SWAP + Swap.lock, 'swap.lock', faults);
  let free = 0;
  for (let slot = 0; slot < SWAP_SLOTS; slot++) {
    const pfn = words[SWAP_CACHE + slot];
    if (pfn !== 0) {
      claims.slots[slot] = claims.slots[slot] + 1;
      claims.others[pfn] = claims.others[pfn] + 1;
      expectEqual(`the slot of page[${pfn}]`, words[pageSlot(pfn)] - 1, slot, faults);
    }
    expectEqual(`swapMap[${slot}]`, words[SWAP_MAP + slot], claims.slots[slot], faults);
    if (claims.slots[slot] === 0) free++;
  }
  expectEqual('swap.freeSlots', words[SWAP + Swap.freeSlots], free, faults);
  for (let pfn = 0; pfn < FRAMES; pfn++) {
    const inCache = (words[pageOf(pfn) + Page.flags] & PG_swapcache) !== 0;
    const slot = words[pageSlot(pfn)] - 1;
    if (inCache !== slot >= 0 || (inCache && words[SWAP_CACHE + slot] !== pfn)) {
      faults.push(`page[${pfn}] and the swap cache do not agree`);
    }
  }
}

/** Each frame is free, or has exactly the references that point to it. */
function auditPages(words: Int32Array, claims: Claims, faults: string[]): void {
  for (let pfn = 0; pfn < FRAMES; pfn++) {
    const page = pageOf(pfn);
    const flags = words[page + Page.flags];
    auditUnmapped(words, pfn, claims, faults);
    const counted = {
      free: claims.free[pfn] === 1,
      cached: claims.cached[pfn] === 1,
      ptes: claims.ptes[pfn],
    };
    auditHostState(words, pfn, counted, faults);
    if ((flags & PG_reserved) !== 0) {
      if ((flags & PG_head) !== 0) pfn += HUGE_PAGES - 1;
      continue;
    }
    if ((flags & PG_head) !== 0) {
      auditHugePage(words, pfn, claims, faults);
      pfn += HUGE_PAGES - 1;
      continue;
    }
    if ((flags & PG_tail) !== 0) faults.push(`frame ${pfn} is of a huge page that has no head`);
    const refcount = words[page + Page.refcount];
    const references = claims.ptes[pfn] + claims.others[pfn];
    if (claims.free[pfn] === 1) {
      if (references > 0) faults.push(`frame ${pfn} is free, but ${references} point to it`);
      expectEqual(`page[${pfn}].refcount (free)`, refcount, 0, faults);
      continue;
    }
    if ((flags & PG_locked) !== 0) faults.push(`page[${pfn}] is locked`);
    if (references === 0) {
      faults.push(`frame ${pfn} is lost: not free, and nothing points to it`);
      continue;
    }
    expectEqual(`page[${pfn}].refcount`, refcount, references, faults);
    auditMapcount(words, pfn, claims, faults);
    expectEqual(`page[${pfn}].lru`, words[page + Page.lru], claims.lru[pfn], faults);
    expectEqual(
      `page[${pfn}] PG_table`,
      (flags & PG_table) !== 0 ? 1 : 0,
      claims.table[pfn],
      faults,
    );
  }
}

/** With DEBUG_PAGEALLOC exactly the free frames are unmapped from the kernel; without it none is. */
function auditUnmapped(words: Int32Array, pfn: Pfn, claims: Claims, faults: string[]): void {
  const unmapped = words[pageOf(pfn) + Page.mapping] < 0;
  if (unmapped === (DEBUG_PAGEALLOC && claims.free[pfn] === 1)) return;
  faults.push(`frame ${pfn} is ${unmapped ? 'not free, but unmapped' : 'free, but mapped'}`);
}

/** A page that one pte alone may write to is mapped by no other. */
function auditMapcount(words: Int32Array, pfn: Pfn, claims: Claims, faults: string[]): void {
  const page = pageOf(pfn);
  const mapcount = claims.ptes[pfn];
  expectEqual(`page[${pfn}].mapcount`, words[page + Page.mapcount], mapcount, faults);
  const exclusive = (words[page + Page.flags] & PG_anon_exclusive) !== 0;
  if (exclusive && mapcount > 1)
    faults.push(`page[${pfn}] is exclusive, and ${mapcount} ptes map it`);
}

/** The head of a huge page has all references; each frame has the ptes that map it. */
function auditHugePage(words: Int32Array, head: Pfn, claims: Claims, faults: string[]): void {
  let references = claims.pmds[head] + claims.others[head];
  for (let pfn = head; pfn < head + HUGE_PAGES; pfn++) {
    references += claims.ptes[pfn];
    if (claims.free[pfn] === 1) faults.push(`frame ${pfn} of a huge page is free`);
    auditMapcount(words, pfn, claims, faults);
    if (pfn === head) continue;
    const tail = (words[pageOf(pfn) + Page.flags] & PG_tail) !== 0;
    if (!tail) faults.push(`frame ${pfn} is in a huge page, and does not know`);
    expectEqual(`page[${pfn}].refcount (huge)`, words[pageOf(pfn) + Page.refcount], 0, faults);
  }
  const page = pageOf(head);
  if (references === 0) faults.push(`huge page ${head} is lost: nothing points to it`);
  expectEqual(`page[${head}].refcount (huge)`, words[page + Page.refcount], references, faults);
  expectEqual(`page[${head}]'s hugeMapcount`, words[hugeMapcount(head)], claims.pmds[head], faults);
  expectEqual(`page[${head}].lru`, words[page + Page.lru], claims.lru[head], faults);
}

/** A TLB may be behind the tables only in bits that the CPU sets itself. */
function auditTlb(memory: Memory, tlb: Tlb, mm: Word, faults: string[]): void {
  if (mm === 0) return;
  const mapped = new Map(mappedPages(memory, mm).map((page) => [page.address, page.pfn]));
  for (const { address, table } of tlb.cachedTables()) {
    const now = leafTableOf(memory.words, mm, address);
    if (now === wordPfn(table)) continue;
    faults.push(`a CPU takes frame ${wordPfn(table)} for the leaf table of ${hex(address)}`);
  }
  for (const { address, entry } of tlb.cached()) {
    if (mapped.get(address) !== entryPfn(entry)) {
      faults.push(`a TLB maps ${hex(address)} to frame ${entryPfn(entry)}, the tables do not`);
    }
  }
}
