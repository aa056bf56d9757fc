/**
 * The way back from a page to the ptes that map it (Linux: page_referenced and try_to_unmap, mm/rmap.c; 2.6.10
 * with the anon_vma chains of 2.6.34).
 *
 * Locks: the page's, held by the caller; takes the file's mmapLock or that of the anon_vma's family, then those
 * of each pte.
 */
import type { Pfn, Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGES_PER_BYTE, PAGE_SIZE, entryPfn, pteOffset } from '../hardware/machine.js';
import { MOVE_REWALK } from './design.js';
import { File } from './layout/file.js';
import { PAGE_MAPPING_ANON, PG_head, Page, pageOf } from './layout/page.js';
import { AnonVma, AnonVmaChain, VM_NONLINEAR, Vma } from './layout/vma.js';
import { delimbo } from './limbo.js';
import { pteLock, pteUnlock } from './locking.js';
import { leafTable } from './pgwalk.js';
import { pteMoved, ptePresent, ptepGet, ptepNone } from './pte.js';
import { pteOffsetMapAtomic, pteUnmapAtomic } from './pteMap.js';
import { anonVmaUnlock } from './anonvma.js';
import { waitForMove } from './waitForMove.js';

/** A pte that maps the page, its lock held. */
export interface MappingPte {
  readonly mm: Word;
  readonly vma: Word;
  readonly vmFlags: number;
  readonly address: Vaddr;
  readonly ptep: Word;
  readonly entry: number;
}

/** What a walk finds out. */
export interface Found {
  yes: boolean;
  /** Whether an empty pte is looked at under its lock too: somebody may be about to map the page by it. */
  readonly awaitsEmpty?: boolean;
}

/** @returns whether to go on to the next pte */
export type PteVisit = (cpu: Cpu, pfn: Pfn, pte: MappingPte, found: Found) => Op<boolean>;

/** Visits the ptes that map a page. One that moves or comes meanwhile may be missed: mapcount tells. */
export function* rmapWalk(cpu: Cpu, pfn: Pfn, visit: PteVisit, found: Found): Op<void> {
  const mapping = yield* cpu.readOnce(pageOf(pfn) + Page.mapping);
  if (mapping === 0) return;
  if ((mapping & PAGE_MAPPING_ANON) !== 0) yield* walkAnon(cpu, pfn, visit, found);
  else yield* walkFile(cpu, pfn, mapping, visit, found);
}

function* walkAnon(cpu: Cpu, pfn: Pfn, visit: PteVisit, found: Found): Op<void> {
  const anonVma = yield* pageLockAnonVma(cpu, pfn);
  if (anonVma === 0) return;
  let chain = yield* cpu.load(anonVma + AnonVma.head);
  let goOn = true;
  while (chain !== 0 && goOn) {
    const vma = yield* cpu.load(chain + AnonVmaChain.vma);
    goOn = yield* visitVma(cpu, pfn, vma, visit, found);
    chain = yield* cpu.load(chain + AnonVmaChain.nextOfAnonVma);
  }
  yield* anonVmaUnlock(cpu, anonVma);
}

/**
 * Locks the family of a page's anon_vma, if the page is still mapped then: for so long nothing of it goes away. Until
 * the lock is held all that is read may be of records that were freed (Linux: page_lock_anon_vma).
 *
 * @returns the anon_vma, or 0
 */
export function* pageLockAnonVma(cpu: Cpu, pfn: Pfn): Op<Word> {
  const page = pageOf(pfn);
  const mapping = yield* cpu.readOnce(page + Page.mapping);
  if (!(yield* pageMapped(cpu, pfn))) return 0;
  const anonVma = mapping - PAGE_MAPPING_ANON;
  const root = yield* cpu.readOnce(anonVma + AnonVma.root);
  if (root === 0) return 0;
  yield* cpu.spinLock(root + AnonVma.lock);
  const mapped = yield* pageMapped(cpu, pfn);
  const same = (yield* cpu.readOnce(page + Page.mapping)) === mapping;
  if (mapped && same && (yield* cpu.readOnce(anonVma + AnonVma.root)) === root) return anonVma;
  yield* cpu.spinUnlock(root + AnonVma.lock);
  return 0;
}

/** Whether a pte maps a page, or an entry above the ptes the huge page that it heads (Linux: page_mapped). */
function* pageMapped(cpu: Cpu, pfn: Pfn): Op<boolean> {
  if ((yield* cpu.readOnce(pageOf(pfn) + Page.mapcount)) !== 0) return true;
  const flags = yield* cpu.readOnce(pageOf(pfn) + Page.flags);
  return (flags & PG_head) !== 0 && (yield* cpu.readOnce(pageOf(pfn) + Page.refcount)) > 1;
}

function* walkFile(cpu: Cpu, pfn: Pfn, file: Word, visit: PteVisit, found: Found): Op<void> {
  yield* cpu.spinLock(file + File.mmapLock);
  let vma = yield* cpu.load(file + File.mmapList);
  let goOn = true;
  while (vma !== 0 && goOn) {
    goOn = yield* visitVma(cpu, pfn, vma, visit, found);
    vma = yield* cpu.load(vma + Vma.fileNext);
  }
  yield* cpu.spinUnlock(file + File.mmapLock);
}

/** Looks where a VMA would map the page; a non-linear one may do so anywhere. */
function* visitVma(cpu: Cpu, pfn: Pfn, vma: Word, visit: PteVisit, found: Found): Op<boolean> {
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const end = yield* cpu.loadWide(vma + Vma.vmEnd);
  const vmFlags = yield* cpu.readOnce(vma + Vma.vmFlags);
  if ((vmFlags & VM_NONLINEAR) !== 0) {
    for (let address = start; address < end; address += PAGE_SIZE) {
      if (!(yield* visitPte(cpu, pfn, vma, vmFlags, address, visit, found))) return false;
    }
    return true;
  }
  const pgoff = yield* cpu.load(vma + Vma.vmPgoff);
  const index = yield* cpu.load(pageOf(pfn) + Page.index);
  const offset = (index - pgoff) | 0;
  if (offset < 0 || offset >= (end - start) * PAGES_PER_BYTE) return true;
  return yield* visitPte(cpu, pfn, vma, vmFlags, start + offset * PAGE_SIZE, visit, found);
}

function* visitPte(
  cpu: Cpu,
  pfn: Pfn,
  vma: Word,
  vmFlags: number,
  address: Vaddr,
  visit: PteVisit,
  found: Found,
): Op<boolean> {
  const mm = yield* cpu.load(vma + Vma.vmMm);
  // Its tables stay, or can be walked through, while the VMA is on the list that led here.
  const table = yield* leafTable(cpu, mm, address);
  if (table <= 0) return true;
  const there = yield* pteOffsetMapAtomic(cpu, table + pteOffset(address));
  let goOn = true;
  let moved = false;
  if (found.awaitsEmpty === true || !(yield* ptepNone(cpu, there))) {
    yield* pteLock(cpu, mm, there);
    const ptep = MOVE_REWALK ? yield* delimbo(cpu, mm, there, address) : there;
    const entry = yield* ptepGet(cpu, ptep);
    moved = pteMoved(entry);
    if (ptePresent(entry) && entryPfn(entry) === pfn) {
      goOn = yield* visit(cpu, pfn, { mm, vma, vmFlags, address, ptep, entry }, found);
    }
    yield* pteUnlock(cpu, mm, ptep);
  }
  yield* pteUnmapAtomic(cpu, there);
  if (!moved) return goOn;
  yield* waitForMove(cpu, mm, address);
  return yield* visitPte(cpu, pfn, vma, vmFlags, address, visit, found);
}
