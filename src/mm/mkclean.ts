/** Takes write from all ptes that show a page of a file, so that the next write is noticed (Linux: page_mkclean). */
import type { Pfn } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PTE_DIRTY, PTE_WRITE } from '../hardware/machine.js';
import { VM_SHARED } from './layout/vma.js';
import { ptepClearBits } from './pte.js';
import { rmapWalk, type MappingPte } from './rmapwalk.js';
import { flushTlbPage } from './tlbflush.js';

/**
 * A fault that has marked the page dirty may be about to map it writable by a pte that is still empty: its lock is waited
 * for.
 *
 * Locks: the page's; takes the file's mmapLock and those of the ptes.
 */
export function* pageMkclean(cpu: Cpu, pfn: Pfn): Op<void> {
  yield* rmapWalk(cpu, pfn, pageMkcleanOne, { yes: false, awaitsEmpty: true });
}

function* pageMkcleanOne(cpu: Cpu, _pfn: Pfn, pte: MappingPte): Op<boolean> {
  if ((pte.vmFlags & VM_SHARED) === 0 || (pte.entry & (PTE_WRITE | PTE_DIRTY)) === 0) return true;
  yield* ptepClearBits(cpu, pte.ptep, PTE_WRITE | PTE_DIRTY);
  yield* flushTlbPage(cpu, pte.mm, pte.address);
  return true;
}
