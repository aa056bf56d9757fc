/**
 * The last word when memory is full: a process is chosen and loses its memory, so that the others can go on
 * (Linux: mm/oom_kill.c, 2.6.10; the reaper of 4.6, which does not wait for the victim to run).
 *
 * The victim's faults fail from then on with VM_FAULT_OOM: whoever runs it ends it.
 */
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { MmCounter, countEvent, getMmCounter } from './counters.js';
import { MMF_OOM_KILLED, MMF_OOM_SKIP, Mm } from './layout/mm.js';
import { PageState } from './layout/percpu.js';
import { Slab, TABLES } from './layout/slab.js';
import { VM_LOCKED, VM_PFNMAP, Vma } from './layout/vma.js';
import { unmapPageRange } from './zap.js';
import { mmapWriteTrylock, mmapWriteUnlock, vmaStartWrite } from './mmapLock.js';

/**
 * Chooses the process with the most memory and takes its private memory away.
 *
 * @returns whether there may be memory now; false where the caller is itself the one, or all there are were killed
 */
export function* outOfMemory(cpu: Cpu): Op<boolean> {
  const victim = yield* selectBadProcess(cpu);
  if (victim === 0) return false;
  const flags = yield* cpu.or(victim + Mm.flags, MMF_OOM_KILLED);
  if ((flags & MMF_OOM_KILLED) === 0) yield* countEvent(cpu, PageState.oom_kill);
  if (victim === cpu.mm) return false;
  yield* reap(cpu, victim);
  return true;
}

/**
 * The address space with the most mapped pages (badness). One that was killed before and still has its memory comes
 * first, so that no other dies meanwhile.
 *
 * @returns it, or 0 where the memory of all was taken
 */
function* selectBadProcess(cpu: Cpu): Op<Word> {
  const { slab, base, record } = TABLES.mm;
  const end = yield* cpu.readOnce(slab + Slab.fresh);
  let victim = 0;
  let worst = -1;
  for (let mm = base; mm < end; mm += record) {
    if ((yield* cpu.readOnce(mm + Mm.mmUsers)) === 0) continue;
    const flags = yield* cpu.readOnce(mm + Mm.flags);
    if ((flags & MMF_OOM_SKIP) !== 0) continue;
    if ((flags & MMF_OOM_KILLED) !== 0) return mm;
    yield* cpu.spinLock(mm + Mm.pageTableLock);
    const points = yield* getMmCounter(cpu, mm, MmCounter.rss);
    yield* cpu.spinUnlock(mm + Mm.pageTableLock);
    if (points <= worst) continue;
    worst = points;
    victim = mm;
  }
  return victim;
}

/** Unmaps the private memory of a process that will not miss it; not while that is at work on it itself. */
function* reap(cpu: Cpu, mm: Word): Op<void> {
  if (!(yield* mmapWriteTrylock(cpu, mm))) return;
  let vma = yield* cpu.load(mm + Mm.mmap);
  while (vma !== 0) {
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    const anonymous = (yield* cpu.load(vma + Vma.vmFile)) === 0;
    if (anonymous && (vmFlags & (VM_LOCKED | VM_PFNMAP)) === 0) {
      yield* vmaStartWrite(cpu, vma);
      const start = yield* cpu.loadWide(vma + Vma.vmStart);
      const end = yield* cpu.loadWide(vma + Vma.vmEnd);
      yield* unmapPageRange(cpu, mm, vma, start, end, true);
    }
    vma = yield* cpu.load(vma + Vma.vmNext);
  }
  yield* cpu.or(mm + Mm.flags, MMF_OOM_SKIP);
  yield* mmapWriteUnlock(cpu, mm);
}
