/**
 * The anonymous write fault of V18, written by hand as one plain function over the same memory: what
 * the stripped build is measured against. It does the same work on the same words in the same order,
 * and the audit must find nothing wrong afterwards.
 */
import type { PlainVm } from '../src/engines/instance.js';
import type { PlainCpu } from '../src/engines/parallel/plainCpu.js';
import type { Memory } from '../src/hardware/memory.js';

/**
 * @returns a function that touches a run of pages of a pft process as pftTouch does, for a design
 *   with no lock and atomic counters, on x86_64
 */
export function handwrittenTouch(
  vm: PlainVm,
  memory: Memory,
  cpu: PlainCpu,
): (task: number, first: number, pages: number) => number {
  const { words, wides } = memory;
  const { tags, entries, noExec } = cpu.tlb;
  const FRAME_BASE = vm.frameOf(0);
  const PAGES = vm.pageOf(0);
  const PERCPU = vm.percpuOf(cpu.id);
  const PCP_COUNT = PERCPU + vm.Percpu.pcpCount;
  const PCP = PERCPU + vm.Percpu.pcp;
  const LRU_COUNT = PERCPU + vm.Percpu.lruAddActiveCount;
  const LRU = PERCPU + vm.Percpu.lruAddActive;
  const EVENTS = PERCPU + vm.Percpu.pageState;
  const LINE = vm.cpuLine(cpu.id);
  const { Mm, Vma, Task, Page, PageState } = vm;
  const MMAP_SEM = Mm.mmapSem;
  const MMAP_CACHE = Mm.mmapCache;
  const RSS = Mm.rss;
  const ANON_RSS = Mm.anonRss;
  const PGD = Mm.pgd;
  const VM_START = Vma.vmStart;
  const VM_END = Vma.vmEnd;
  const VM_FLAGS = Vma.vmFlags;
  const VM_FILE = Vma.vmFile;
  const ANON_VMA = Vma.anonVma;
  const MIN_FLT = Task.minFlt;
  const VM_PGOFF = Vma.vmPgoff;
  const FLAGS = Page.flags;
  const EXCLUSIVE = vm.PG_anon_exclusive;
  const REFCOUNT = Page.refcount;
  const MAPCOUNT = Page.mapcount;
  const MAPPING = Page.mapping;
  const INDEX = Page.index;
  const PGFAULT = EVENTS + PageState.pgfault;
  const PGALLOC = EVENTS + PageState.pgalloc;
  const ANON_WRITE = EVENTS + PageState.fault_anon_write;
  const IPI = LINE + vm.CpuLine.ipiRequested;
  const BASE = vm.PFT_BASE;
  let interruptsDone = words[LINE + vm.CpuLine.ipiDone];

  function leafEntry(pgd: number, page: number): number {
    let table = FRAME_BASE + (pgd << 10);
    let entry = words[table + (((page / 134217728) & 511) << 1)];
    if (entry === 0) return 0;
    table = FRAME_BASE + ((entry >>> 12) << 10);
    entry = words[table + (((page / 262144) & 511) << 1)]!;
    if (entry === 0) return 0;
    table = FRAME_BASE + ((entry >>> 12) << 10);
    entry = words[table + (((page / 512) & 511) << 1)]!;
    if (entry === 0) return 0;
    return FRAME_BASE + ((entry >>> 12) << 10) + ((page & 511) << 1);
  }

  function fault(task: number, mm: number, pgd: number, address: number, page: number): boolean {
    if (Atomics.add(words, mm + MMAP_SEM, 1) < 0) return false;
    const vma = words[mm + MMAP_CACHE];
    const found =
      vma !== 0 && wides[(vma + VM_END) / 2] > address && wides[(vma + VM_START) / 2] <= address;
    const ptep = leafEntry(pgd, page);
    const vmFlags = words[vma + VM_FLAGS];
    const anonVma = words[vma + ANON_VMA];
    const count = words[PCP_COUNT];
    // Whatever is rare is left to the VM itself.
    const common =
      found &&
      (vmFlags & 3) === 3 &&
      words[vma + VM_FILE] === 0 &&
      ptep !== 0 &&
      anonVma !== 0 &&
      count > 0;
    if (!common || words[ptep] !== 0) {
      Atomics.sub(words, mm + MMAP_SEM, 1);
      return false;
    }
    words[PGFAULT] = words[PGFAULT] + 1;
    const pfn = words[PCP + count - 1];
    words[PCP_COUNT] = count - 1;
    words[PGALLOC] = words[PGALLOC] + 1;
    const record = PAGES + (pfn << 3);
    words[record + REFCOUNT] = 2;
    cpu.zeroPage(FRAME_BASE + (pfn << 10));
    words[ptep + 1] = 1 << 31;
    if (Atomics.compareExchange(words, ptep, 0, (pfn << 12) | 0x67) !== 0) throw new Error('raced');
    const slot = page & 1023;
    tags[slot] = ((page / 1024) | 0) + 1;
    entries[slot] = (pfn << 12) | 0x67;
    noExec[slot] = 1;
    words[record + FLAGS] = EXCLUSIVE;
    words[record + MAPPING] = anonVma + 1;
    const start = wides[(vma + VM_START) / 2];
    words[record + INDEX] = (words[vma + VM_PGOFF] + (address - start) / 4096) | 0;
    words[record + MAPCOUNT] = 1;
    Atomics.add(words, mm + ANON_RSS, 1);
    const waiting = words[LRU_COUNT];
    words[LRU + waiting] = pfn;
    words[LRU_COUNT] = waiting + 1;
    if (waiting + 1 === 14) vm.lruAddDrain(cpu);
    Atomics.add(words, mm + RSS, 1);
    words[ANON_WRITE] = words[ANON_WRITE] + 1;
    Atomics.sub(words, mm + MMAP_SEM, 1);
    words[task + MIN_FLT] = words[task + MIN_FLT] + 1;
    return true;
  }

  return (task, first, pages) => {
    vm.switchTo(cpu, task);
    const { mm } = cpu;
    const pgd = words[mm + PGD];
    for (let index = first; index < first + pages; index++) {
      const address = BASE + index * 4096;
      const page = address / 4096;
      const slot = page & 1023;
      const tag = ((page / 1024) | 0) + 1;
      for (;;) {
        if (words[IPI] !== interruptsDone) {
          cpu.interrupts();
          interruptsDone = words[IPI]!;
        }
        let entry = tags[slot] === tag ? entries[slot] : 0;
        if ((entry & 0x42) !== 0x42) {
          const ptep = leafEntry(pgd, page);
          entry = ptep === 0 ? 0 : words[ptep];
          if ((entry & 0x63) === 0x63) {
            tags[slot] = tag;
            entries[slot] = entry;
            noExec[slot] = words[ptep + 1] < 0 ? 1 : 0;
          }
        }
        if ((entry & 0x63) === 0x63) {
          words[FRAME_BASE + ((entry >>> 12) << 10)] = index;
          break;
        }
        if (!fault(task, mm, pgd, address, page)) vm.storeUser(cpu, address, index);
      }
    }
    return pages;
  };
}
