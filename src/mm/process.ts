/**
 * Birth and death of address spaces and tasks (Linux: kernel/fork.c, fs/exec.c, exit_mmap of
 * mm/mmap.c, switch_mm).
 */
import { InvariantError } from '../base/errors.js';
import { MIB, type Vaddr, type Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import { CpuLine, cpuLine } from '../hardware/memory.js';
import { PAGE_SIZE, TASK_SIZE, TOP_LEVEL } from '../hardware/machine.js';
import { MmCounter, getMmCounter, raiseHiwaterRss } from './counters.js';
import { FREE_AFTER_RCU } from './design.js';
import { Mm, RLIM_INFINITY, Task } from './layout/mm.js';
import { TABLES } from './layout/slab.js';
import { lruAddDrain } from './lru.js';
import { doMunmap } from './munmap.js';
import { freeTable } from './freepgtables.js';
import { allocTable } from './pgtable.js';
import { topTable } from './pgwalk.js';
import { quiescentState } from './rcu.js';
import { slabAlloc, slabFree } from './slab.js';
import { putSwapToken } from './swaptoken.js';
import { flushTlbMm } from './tlbflush.js';
import { mmapWriteLock, mmapWriteUnlock } from './mmapLock.js';

/** Bytes that a stack may have if no limit is set (include/linux/resource.h: _STK_LIM). */
const STACK_LIMIT = 8 * MIB;
/** Room for the stack above what mmap places, if not set otherwise. */
const MMAP_BASE: Vaddr = TASK_SIZE - 128 * MIB;

/** @returns an empty address space, or 0 when memory is full (Linux: mm_alloc) */
export function* mmAlloc(cpu: Cpu): Op<Word> {
  const mm = yield* slabAlloc(cpu, TABLES.mm);
  if (mm === 0) return 0;
  const pgd = yield* allocTable(cpu, TOP_LEVEL);
  if (pgd === 0) {
    yield* slabFree(cpu, TABLES.mm, mm);
    return 0;
  }
  yield* cpu.store(mm + Mm.pgd, pgd);
  yield* cpu.add(mm + Mm.nrTables, 1);
  yield* cpu.storeWide(mm + Mm.mmapBase, MMAP_BASE);
  yield* cpu.store(mm + Mm.rlimitAs, RLIM_INFINITY);
  yield* cpu.store(mm + Mm.rlimitMemlock, RLIM_INFINITY);
  yield* cpu.store(mm + Mm.rlimitStack, STACK_LIMIT / PAGE_SIZE);
  return mm;
}

/** Limits of an address space, in pages (Linux: setrlimit). */
export interface Rlimits {
  readonly as: number;
  readonly memlock: number;
  readonly stack: number;
}

/** Sets the limits of the current address space. */
export function* setRlimits(cpu: Cpu, { as, memlock, stack }: Rlimits): Op<void> {
  const mm = cpu.mm;
  yield* mmapWriteLock(cpu, mm);
  yield* cpu.store(mm + Mm.rlimitAs, as);
  yield* cpu.store(mm + Mm.rlimitMemlock, memlock);
  yield* cpu.store(mm + Mm.rlimitStack, stack);
  yield* mmapWriteUnlock(cpu, mm);
}

/** Sets below what address mappings are placed, before the first of them (Linux: arch_pick_mmap_layout). */
export function* setMmapBase(cpu: Cpu, base: Vaddr): Op<void> {
  yield* cpu.storeWide(cpu.mm + Mm.mmapBase, base);
}

/**
 * Makes a task that runs in an address space (Linux: copy_process with CLONE_VM).
 *
 * @returns the task, or 0 when the table is full
 */
export function* createTask(cpu: Cpu, mm: Word, pid: number): Op<Word> {
  const task = yield* slabAlloc(cpu, TABLES.task);
  if (task === 0) return 0;
  yield* cpu.store(task + Task.pid, pid);
  yield* attachMm(cpu, task, mm);
  return task;
}

function* attachMm(cpu: Cpu, task: Word, mm: Word): Op<void> {
  yield* cpu.store(task + Task.mm, mm);
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const head = yield* cpu.load(mm + Mm.taskList);
  yield* cpu.store(task + Task.nextOfMm, head);
  yield* cpu.store(mm + Mm.taskList, task);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  yield* cpu.add(mm + Mm.mmUsers, 1);
}

/** Lets a CPU run a task, or nothing (Linux: switch_mm, and cr3 with it). @param task - or 0 */
export function* switchTo(cpu: Cpu, task: Word): Op<void> {
  const mm = task === 0 ? 0 : yield* cpu.load(task + Task.mm);
  cpu.current = task;
  if (mm === cpu.mm) return;
  cpu.tlb.drop(-1);
  cpu.mm = mm;
  // First: who moves the table must find that this CPU is to be told, or have moved it by now.
  yield* cpu.writeOnce(cpuLine(cpu.id) + CpuLine.activeMm, mm);
  cpu.pgd = mm === 0 ? 0 : yield* topTable(cpu, mm);
  if (FREE_AFTER_RCU) yield* quiescentState(cpu);
}

/**
 * Gives the current task a new, empty address space and leaves the old one (Linux: exec_mmap).
 *
 * @returns whether it could; false when memory is full, and nothing has changed
 */
export function* execMm(cpu: Cpu): Op<boolean> {
  yield* cpu.spend(Work.SYSCALL);
  const task = cpu.current;
  const old = cpu.mm;
  const mm = yield* mmAlloc(cpu);
  if (mm === 0) return false;
  yield* detachMm(cpu, task, old);
  yield* attachMm(cpu, task, mm);
  yield* switchTo(cpu, task);
  yield* mmPut(cpu, old);
  return true;
}

/** Sets where the heap begins: behind the program's data (Linux: set_brk). */
export function* setBrk(cpu: Cpu, start: Vaddr): Op<void> {
  const mm = cpu.mm;
  yield* mmapWriteLock(cpu, mm);
  yield* cpu.storeWide(mm + Mm.startBrk, start);
  yield* cpu.storeWide(mm + Mm.brk, start);
  yield* mmapWriteUnlock(cpu, mm);
}

/** Ends the current task; its address space goes with the last one (Linux: exit_mm). */
export function* exitTask(cpu: Cpu): Op<void> {
  yield* cpu.spend(Work.SYSCALL);
  const task = cpu.current;
  const mm = cpu.mm;
  yield* lruAddDrain(cpu);
  yield* detachMm(cpu, task, mm);
  yield* switchTo(cpu, 0);
  yield* slabFree(cpu, TABLES.task, task);
  yield* mmPut(cpu, mm);
}

/** Takes a task out of its mm's list and folds its counts into the mm's. */
function* detachMm(cpu: Cpu, task: Word, mm: Word): Op<void> {
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  yield* raiseHiwaterRss(cpu, mm);
  yield* foldCounter(cpu, task, mm, MmCounter.rss);
  yield* foldCounter(cpu, task, mm, MmCounter.anonRss);
  let link = mm + Mm.taskList;
  for (;;) {
    const other = yield* cpu.load(link);
    if (other === 0) throw new InvariantError(`task ${task} is not in the list of mm ${mm}`);
    if (other === task) break;
    link = other + Task.nextOfMm;
  }
  const next = yield* cpu.load(task + Task.nextOfMm);
  yield* cpu.store(link, next);
  yield* cpu.store(task + Task.nextOfMm, 0);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
}

function* foldCounter(cpu: Cpu, task: Word, mm: Word, counter: MmCounter): Op<void> {
  const delta = yield* cpu.load(task + Task.rss + counter);
  if (delta === 0) return;
  yield* cpu.store(task + Task.rss + counter, 0);
  yield* cpu.add(mm + Mm.rss + counter, delta);
}

/** Ends a task that never ran, and its address space with it. */
export function* discardTask(cpu: Cpu, task: Word): Op<void> {
  const mm = yield* cpu.load(task + Task.mm);
  yield* detachMm(cpu, task, mm);
  yield* slabFree(cpu, TABLES.task, task);
  yield* mmPut(cpu, mm);
}

/** Drops a use of an address space; the last one unmaps and frees it (Linux: mmput). */
export function* mmPut(cpu: Cpu, mm: Word): Op<void> {
  const before = yield* cpu.add(mm + Mm.mmUsers, -1);
  if (before > 1) return;
  yield* mmapWriteLock(cpu, mm);
  yield* doMunmap(cpu, mm, 0, TASK_SIZE);
  yield* mmapWriteUnlock(cpu, mm);
  yield* flushTlbMm(cpu, mm);
  yield* putSwapToken(cpu, mm);
  const rss = yield* getMmCounter(cpu, mm, MmCounter.rss);
  const tables = yield* cpu.load(mm + Mm.nrTables);
  if (rss !== 0 || tables !== 1) {
    throw new InvariantError(`mm ${mm} ends with rss ${rss} and ${tables} page-table pages`);
  }
  const pgd = yield* cpu.load(mm + Mm.pgd);
  yield* freeTable(cpu, pgd, TOP_LEVEL);
  yield* slabFree(cpu, TABLES.mm, mm);
}
