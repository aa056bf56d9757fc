/**
 * How many pages of a process are in memory, counted pte by pte (Linux: statm_pgd_range, fs/proc/array.c, 2.4). The walk
 * lets others have the CPU now and then, for lower latency: with its table still mapped where it may be held so long.
 */
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { HUGE_PAGES, PAGE_SIZE, pteOffset } from '../hardware/machine.js';
import { KMAP_WALK_ATOMIC } from './design.js';
import { Mm } from './layout/mm.js';
import { Vma } from './layout/vma.js';
import { HUGE_LEAF, leafTable, nextSpan } from './pgwalk.js';
import { pteMoved, ptePresent, ptepGet } from './pte.js';
import { pteOffsetMap, pteUnmap } from './pteMap.js';
import { waitForMove } from './waitForMove.js';

/** Ptes that are looked at before others may have the CPU. */
const RESCHED_PTES = 128;
/** Its entries are elsewhere now. */
const TABLE_MOVED = -1;

/**
 * Counts the pages that an address space maps, the zero page too.
 *
 * Locks: takes mmap_sem for reading, and no lock of ptes: what changes meanwhile may be counted or not.
 */
export function* procStatm(cpu: Cpu, mm: Word): Op<number> {
  let resident = 0;
  yield* cpu.downRead(mm + Mm.mmapSem);
  let vma = yield* cpu.load(mm + Mm.mmap);
  while (vma !== 0) {
    const start = yield* cpu.loadWide(vma + Vma.vmStart);
    const end = yield* cpu.loadWide(vma + Vma.vmEnd);
    resident += yield* statmRange(cpu, mm, start, end);
    vma = yield* cpu.load(vma + Vma.vmNext);
  }
  yield* cpu.upRead(mm + Mm.mmapSem);
  return resident;
}

function* statmRange(cpu: Cpu, mm: Word, start: Vaddr, end: Vaddr): Op<number> {
  let resident = 0;
  let address = start;
  while (address < end) {
    const table = yield* leafTable(cpu, mm, address);
    const next = nextSpan(address, table < 0 ? -table : 1);
    if (table === HUGE_LEAF) resident += HUGE_PAGES;
    else if (table > 0) {
      const counted = yield* statmTable(cpu, table, address, Math.min(end, next));
      if (counted === TABLE_MOVED) {
        yield* waitForMove(cpu, mm, address);
        continue;
      }
      resident += counted;
    }
    address = next;
  }
  return resident;
}

/** @returns pages that are present, or TABLE_MOVED */
function* statmTable(cpu: Cpu, table: Word, start: Vaddr, end: Vaddr): Op<number> {
  let resident = 0;
  let looked = 0;
  let mapped = yield* pteOffsetMap(cpu, table);
  for (let address = start; address < end; address += PAGE_SIZE) {
    const entry = yield* ptepGet(cpu, mapped + pteOffset(address));
    if (pteMoved(entry)) {
      yield* pteUnmap(cpu, mapped);
      return TABLE_MOVED;
    }
    if (ptePresent(entry)) resident++;
    looked++;
    const last = address + PAGE_SIZE >= end;
    if (last || looked % RESCHED_PTES === 0) mapped = yield* condResched(cpu, table, mapped);
  }
  yield* pteUnmap(cpu, mapped);
  return resident;
}

/** Lets another task have the CPU. @returns the table, mapped: again, where it must not be held meanwhile */
function* condResched(cpu: Cpu, table: Word, mapped: Word): Op<Word> {
  if (KMAP_WALK_ATOMIC) yield* pteUnmap(cpu, mapped);
  yield* cpu.interrupts();
  return KMAP_WALK_ATOMIC ? yield* pteOffsetMap(cpu, table) : mapped;
}
