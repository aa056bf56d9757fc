/**
 * Anticipatory prefault as Lameter posted it, with what is wrong in it: V1 of 8 December and V2 of 13 December 2004
 * (SPEC S5). It is written for 2.6.10, whose page_table_lock is held over the walk. docs/findings.md tells what the
 * checker shows.
 *
 *   order   V1 counts successes without end. A pagevec is the most that a fault maps, until 1 << order is negative:
 *           then the run goes as far as mapping and pmd do. C leaves a shift out of range undefined; it is done
 *           here in full width, which does what V2's changelog tells of: pointers to pages lie behind the
 *           pagevec, which is on the stack. V2 goes back to order 3.
 *   reads   V1 looks at no pte but the first, and replaces what the others hold by the zero page. V2 throws the
 *           pointer to the next pte away: it sets the first again for each, and tells the MMU of pages that
 *           the tables do not map.
 *
 * V1 also runs ahead where VM_RAND_READ is set, and answers a full memory with one more fault; both are left out.
 */
import { InvariantError } from '../base/errors.js';
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { LEVEL_SPAN, PAGES_PER_BYTE, PAGE_SIZE, pteOffset } from '../hardware/machine.js';
import { allocZeroedPage } from './allocpages.js';
import { mapNewPage } from './anonymous.js';
import { anonVmaPrepare } from './anonvma.js';
import { countEvent, countEvents } from './counters.js';
import { PREFAULT_V1 } from './design.js';
import { Task } from './layout/mm.js';
import { ZERO_PFN } from './layout/page.js';
import { PAGEVEC_SIZE, PageState, Percpu, STACK_WORDS, percpuOf } from './layout/percpu.js';
import { VM_RAND_READ, Vma } from './layout/vma.js';
import { pageTableAtomicStart, pageTableAtomicStop } from './locking.js';
import { freeNewPage } from './pagealloc.js';
import { mkPte, ptepSet, setPteHigh, updateMmuCache } from './pte.js';
import { VM_FAULT_MINOR, VM_FAULT_OOM } from './vmfault.js';

/** An address of the kernel's code, where i386 has it. */
const RETURN_ADDRESS = 0xc014_0000 | 0;

/** The order that V2 goes on with once a run fills a pagevec. */
const V2_ORDER = 3;

/**
 * The posted do_anonymous_page. The pte was read empty.
 *
 * @returns a VM_FAULT_ code
 * Locks: entered with page_table_lock, which it lets go.
 * @throws InvariantError where the return address was overwritten
 */
export function* doAnonymousPosted(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  write: boolean,
  ptep: Word,
): Op<number> {
  yield* cpu.store(percpuOf(cpu.id) + Percpu.stackReturn, RETURN_ADDRESS);
  const end = yield* anticipatedEnd(cpu, vma, address);
  const result = write
    ? yield* mapNewPages(cpu, mm, vma, address, end, ptep)
    : yield* mapZeroPages(cpu, mm, vma, address, end, ptep);
  yield* expectReturn(cpu);
  return result;
}

function* expectReturn(cpu: Cpu): Op<void> {
  const found = yield* cpu.load(percpuOf(cpu.id) + Percpu.stackReturn);
  if (found === RETURN_ADDRESS) return;
  throw new InvariantError(
    `cpu ${cpu.id}'s stack: the return address behind the pagevec is overwritten with page ${found}`,
  );
}

/** Where the run of a fault is to end. */
function* anticipatedEnd(cpu: Cpu, vma: Word, address: Vaddr): Op<Vaddr> {
  const orderWord = cpu.current + Task.anonFaultOrder;
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const expected = yield* cpu.loadWide(cpu.current + Task.anonFaultNextAddr);
  if ((vmFlags & VM_RAND_READ) !== 0 || address !== expected) {
    yield* cpu.store(orderWord, 0);
    return address + PAGE_SIZE;
  }
  const order = (yield* cpu.load(orderWord)) + 1;
  const fits = 1 << order < PAGEVEC_SIZE;
  yield* cpu.store(orderWord, fits || PREFAULT_V1 ? order : V2_ORDER);
  const pages = fits ? 2 ** order : PAGEVEC_SIZE;
  const end = Math.min(address + pages * PAGE_SIZE, yield* cpu.loadWide(vma + Vma.vmEnd));
  const pmdOfEnd = Math.floor(end / LEVEL_SPAN[1]);
  return Math.floor(address / LEVEL_SPAN[1]) === pmdOfEnd ? end : pmdOfEnd * LEVEL_SPAN[1];
}

/** Maps pages that were allocated with the lock let go. @returns a VM_FAULT_ code */
function* mapNewPages(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  end: Vaddr,
  ptep: Word,
): Op<number> {
  yield* pageTableAtomicStop(cpu, mm);
  if (!(yield* anonVmaPrepare(cpu, vma))) return VM_FAULT_OOM;
  const pagevec = percpuOf(cpu.id) + Percpu.stackPagevec;
  const wanted = (end - address) * PAGES_PER_BYTE;
  let allocated = 0;
  while (allocated < wanted) {
    const pfn = yield* allocZeroedPage(cpu);
    if (pfn === 0) break;
    yield* cpu.store(pagevec + allocated, pfn);
    allocated++;
    // Where the stack ends, another CPU's memory begins, and then the locks: no more is needed to see it.
    if (allocated === STACK_WORDS) yield* expectReturn(cpu);
  }
  if (allocated === 0) return VM_FAULT_OOM;

  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  let mapped = 0;
  const table = ptep - pteOffset(address);
  yield* pageTableAtomicStart(cpu, mm);
  for (let index = 0; index < allocated; index++) {
    const pfn = yield* cpu.load(pagevec + index);
    const at = address + index * PAGE_SIZE;
    const slot = table + pteOffset(at);
    if (yield* mapNewPage(cpu, mm, vma, vmFlags, at, slot, pfn)) mapped++;
    else yield* freeNewPage(cpu, pfn);
  }
  yield* expectFault(cpu, address + allocated * PAGE_SIZE);
  yield* countEvent(cpu, PageState.fault_anon_write);
  yield* countEvents(cpu, PageState.prefault_pages, Math.max(0, mapped - 1));
  yield* pageTableAtomicStop(cpu, mm);
  return VM_FAULT_MINOR;
}

/** Maps the zero page, or means to. @returns a VM_FAULT_ code */
function* mapZeroPages(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  end: Vaddr,
  ptep: Word,
): Op<number> {
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const zero = mkPte(ZERO_PFN, vmFlags);
  const table = ptep - pteOffset(address);
  for (let at = address; at < end; at += PAGE_SIZE) {
    const slot = PREFAULT_V1 ? table + pteOffset(at) : ptep;
    yield* setPteHigh(cpu, slot, vmFlags);
    yield* ptepSet(cpu, slot, zero);
    updateMmuCache(cpu, at, zero, vmFlags);
  }
  yield* expectFault(cpu, end);
  yield* countEvent(cpu, PageState.fault_anon_read);
  if (PREFAULT_V1) {
    yield* countEvents(cpu, PageState.prefault_pages, (end - address) * PAGES_PER_BYTE - 1);
  }
  yield* pageTableAtomicStop(cpu, mm);
  return VM_FAULT_MINOR;
}

function* expectFault(cpu: Cpu, address: Vaddr): Op<void> {
  yield* cpu.storeWide(cpu.current + Task.anonFaultNextAddr, address);
}
