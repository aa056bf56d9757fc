/**
 * Anticipatory prefault of anonymous memory, as Lameter's mails of December 2004 mean it (SPEC S5): a task that
 * touches new pages in sequence is given some more with each fault.
 *
 *   fault at      0   1     3           7                       15
 *   order         0   1     2           3                       4          each success adds one
 *   maps          |0| |1 2| |3 4 5 6|   |7 ........... 14|      |15 ... 28|      up to a pagevec's pages
 *
 * A run ends with its mapping, with its leaf table (the pmd boundary), and at an entry that is already there. Each
 * neighbour is looked at again when it is its turn under the design's lock, or by compare-exchange: another CPU may
 * have filled it meanwhile, which ends the run too. What is mapped ahead is taken only from memory that is free.
 *
 * Locks: as for one page, but that those of ptes cover the run: all of it lies in one leaf table and one VMA.
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { ENTRY_WORDS, PAGES_PER_BYTE, PAGE_SIZE, levelIndex } from '../hardware/machine.js';
import { allocZeroedPage, allocZeroedPageNowait } from './allocpages.js';
import { doAnonymousPage, mapNewPage, mapZeroPage } from './anonymous.js';
import { anonVmaPrepare } from './anonvma.js';
import { countEvent, countEvents } from './counters.js';
import { Task } from './layout/mm.js';
import { PAGEVEC_SIZE, PageState } from './layout/percpu.js';
import { VM_RAND_READ, Vma } from './layout/vma.js';
import {
  anonWritePtesStart,
  anonWritePtesStop,
  entryLock,
  entryUnlock,
  pageTableAtomicStop,
  sectionPtesStart,
  sectionPtesStop,
} from './locking.js';
import { freeNewPage } from './pagealloc.js';
import { PTRS_PER_PTE } from './pgwalk.js';
import { ptepGet } from './pte.js';
import { VM_FAULT_MINOR, VM_FAULT_OOM } from './vmfault.js';

/** log2 of pages: the first order that fills a pagevec. It grows no further. */
const MAX_FAULT_ORDER = Math.ceil(Math.log2(PAGEVEC_SIZE));

/**
 * A first touch of anonymous memory: maps its page and, of a task that touches in sequence, pages behind it. The pte
 * was read empty.
 *
 * @returns a VM_FAULT_ code; VM_FAULT_OOM only where not even the first page could be had
 * Locks: entered in an atomic section, which it ends.
 */
export function* doAnonymousPages(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  write: boolean,
  ptep: Word,
): Op<number> {
  const anticipated = yield* anticipate(cpu, vma, address);
  const pages = yield* emptyPtes(cpu, ptep, anticipated);
  yield* expectFault(cpu, address, pages);
  if (pages === 1) return yield* doAnonymousPage(cpu, mm, vma, address, write, ptep);
  return write
    ? yield* mapNewPages(cpu, mm, vma, address, ptep, pages)
    : yield* mapZeroPages(cpu, mm, vma, address, ptep, pages);
}

/** How many pages the current task is likely to touch from here on, as far as one run may go. */
function* anticipate(cpu: Cpu, vma: Word, address: Vaddr): Op<number> {
  const task = cpu.current;
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const expected = yield* cpu.loadWide(task + Task.anonFaultNextAddr);
  if (address !== expected || (vmFlags & VM_RAND_READ) !== 0) {
    yield* cpu.store(task + Task.anonFaultOrder, 0);
    return 1;
  }
  const before = yield* cpu.load(task + Task.anonFaultOrder);
  const order = Math.min(before + 1, MAX_FAULT_ORDER);
  yield* cpu.store(task + Task.anonFaultOrder, order);
  const vmEnd = yield* cpu.loadWide(vma + Vma.vmEnd);
  const ofVma = (vmEnd - address) * PAGES_PER_BYTE;
  const ofTable = PTRS_PER_PTE - levelIndex(address, 0);
  return Math.min(1 << order, PAGEVEC_SIZE, ofVma, ofTable);
}

/** How many ptes from one that was read empty are empty, of so many. */
function* emptyPtes(cpu: Cpu, ptep: Word, most: number): Op<number> {
  let pages = 1;
  while (pages < most && (yield* ptepGet(cpu, ptep + pages * ENTRY_WORDS)) === 0) pages++;
  return pages;
}

/** Notes where the current task will fault next if it goes on behind so many pages. */
function* expectFault(cpu: Cpu, address: Vaddr, pages: number): Op<void> {
  yield* cpu.storeWide(cpu.current + Task.anonFaultNextAddr, address + pages * PAGE_SIZE);
}

/** Maps the zero page by a run of ptes. @returns a VM_FAULT_ code */
function* mapZeroPages(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  ptep: Word,
  pages: number,
): Op<number> {
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  let mapped = 0;
  yield* sectionPtesStart(cpu, mm, ptep);
  while (mapped < pages) {
    const slot = ptep + mapped * ENTRY_WORDS;
    yield* entryLock(cpu, slot);
    const empty = (yield* ptepGet(cpu, slot)) === 0;
    const done = empty && (yield* mapZeroPage(cpu, vmFlags, address + mapped * PAGE_SIZE, slot));
    yield* entryUnlock(cpu, slot);
    if (!done) break;
    mapped++;
  }
  yield* sectionPtesStop(cpu, mm, ptep);
  yield* countRun(cpu, address, pages, mapped, false);
  return VM_FAULT_MINOR;
}

/** Maps new pages, to be written to, by a run of ptes. @returns a VM_FAULT_ code */
function* mapNewPages(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  ptep: Word,
  pages: number,
): Op<number> {
  yield* pageTableAtomicStop(cpu, mm);
  if (!(yield* anonVmaPrepare(cpu, vma))) return VM_FAULT_OOM;
  const frames = yield* allocRun(cpu, pages);
  if (frames.length === 0) return VM_FAULT_OOM;

  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  let mapped = 0;
  yield* anonWritePtesStart(cpu, mm, ptep);
  while (mapped < frames.length) {
    const slot = ptep + mapped * ENTRY_WORDS;
    const at = address + mapped * PAGE_SIZE;
    yield* entryLock(cpu, slot);
    const empty = (yield* ptepGet(cpu, slot)) === 0;
    const done = empty && (yield* mapNewPage(cpu, mm, vma, vmFlags, at, slot, frames[mapped]));
    yield* entryUnlock(cpu, slot);
    if (!done) break;
    mapped++;
  }
  yield* anonWritePtesStop(cpu, mm, ptep);
  for (let left = mapped; left < frames.length; left++) yield* freeNewPage(cpu, frames[left]);
  yield* countRun(cpu, address, pages, mapped, true);
  return VM_FAULT_MINOR;
}

/**
 * Takes frames of zeros: the first as any fault does, the others only while some are free. Nobody's memory is
 * reclaimed, and no process killed, for what may never be touched.
 */
function* allocRun(cpu: Cpu, pages: number): Op<Pfn[]> {
  const frames: Pfn[] = [];
  let pfn = yield* allocZeroedPage(cpu);
  while (pfn !== 0) {
    frames.push(pfn);
    if (frames.length === pages) break;
    pfn = yield* allocZeroedPageNowait(cpu);
  }
  return frames;
}

/**
 * Counts a fault that mapped so many pages of those that it was to map. If another CPU was faster with the very
 * first, the fault is handled all the same.
 */
function* countRun(
  cpu: Cpu,
  address: Vaddr,
  pages: number,
  mapped: number,
  write: boolean,
): Op<void> {
  if (mapped < pages) yield* expectFault(cpu, address, Math.max(1, mapped));
  if (mapped === 0) {
    const lost = write ? PageState.cmpxchg_fail_anon_write : PageState.cmpxchg_fail_anon_read;
    yield* countEvent(cpu, lost);
    return;
  }
  yield* countEvent(cpu, write ? PageState.fault_anon_write : PageState.fault_anon_read);
  yield* countEvents(cpu, PageState.prefault_pages, mapped - 1);
}
