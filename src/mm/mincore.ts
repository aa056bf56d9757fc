/** mincore (Linux: mm/mincore.c, 6.x). */
import { EINVAL, ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { PAGE_SIZE, TASK_SIZE, pageAlign, pageMask, pteOffset } from '../hardware/machine.js';
import { findGetPage } from './pagecache.js';
import { Mm } from './layout/mm.js';
import { Vma } from './layout/vma.js';
import { putPage } from './lru.js';
import { HUGE_LEAF, leafTable } from './pgwalk.js';
import { pteFile, pteMoved, pteSwap, pteToPgoff, pteToSlot, ptepGet } from './pte.js';
import { pteOffsetMap, pteUnmap } from './pteMap.js';
import { linearPageIndex } from './rmap.js';
import { lookupSwapCache } from './swapstate.js';
import { findVma } from './vmatree.js';
import { waitForMove } from './waitForMove.js';

/**
 * System call: tells which pages of a range a touch would find in memory.
 *
 * @param into - receives 1 or 0 for each page, up to the first that is not mapped
 * @returns 0 or a negative errno
 */
export function* sysMincore(cpu: Cpu, address: Vaddr, length: number, into: number[]): Op<number> {
  yield* cpu.spend(Work.SYSCALL);
  if (address !== pageMask(address)) return -EINVAL;
  const end = address + pageAlign(length);
  if (end > TASK_SIZE) return -ENOMEM;
  const mm = cpu.mm;
  let result = 0;
  yield* cpu.downRead(mm + Mm.mmapSem);
  for (let page = address; page < end; page += PAGE_SIZE) {
    const vma = yield* findVma(cpu, mm, page);
    if (vma === 0 || (yield* cpu.loadWide(vma + Vma.vmStart)) > page) {
      result = -ENOMEM;
      break;
    }
    into.push((yield* inCore(cpu, mm, vma, page)) ? 1 : 0);
  }
  yield* cpu.upRead(mm + Mm.mmapSem);
  return result;
}

/** Whether a page is mapped or, of a file, in the cache. */
function* inCore(cpu: Cpu, mm: Word, vma: Word, page: Vaddr): Op<boolean> {
  const table = yield* leafTable(cpu, mm, page);
  if (table === HUGE_LEAF) return true;
  const entry = table < 0 ? 0 : yield* entryOf(cpu, table + pteOffset(page));
  if (pteMoved(entry)) {
    yield* waitForMove(cpu, mm, page);
    return yield* inCore(cpu, mm, vma, page);
  }
  if (pteSwap(entry)) return yield* inSwapCache(cpu, pteToSlot(entry));
  if (entry !== 0 && !pteFile(entry)) return true;
  const file = yield* cpu.load(vma + Vma.vmFile);
  if (file === 0) return false;
  const index = pteFile(entry) ? pteToPgoff(entry) : yield* linearPageIndex(cpu, vma, page);
  const pfn = yield* findGetPage(cpu, file, index);
  if (pfn === 0) return false;
  yield* putPage(cpu, pfn);
  return true;
}

/** Reads a pte with no lock held. */
function* entryOf(cpu: Cpu, place: Word): Op<number> {
  const ptep = yield* pteOffsetMap(cpu, place);
  const entry = yield* ptepGet(cpu, ptep);
  yield* pteUnmap(cpu, ptep);
  return entry;
}

/** Whether a page that is in the swap file is in memory too. */
function* inSwapCache(cpu: Cpu, slot: number): Op<boolean> {
  const pfn = yield* lookupSwapCache(cpu, slot);
  if (pfn === 0) return false;
  yield* putPage(cpu, pfn);
  return true;
}
