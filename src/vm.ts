/**
 * Everything that is built per machine configuration: the VM, its audit and the programs that run
 * on it. The build makes the plain and the stepped form of this module and of all it imports
 * (build/build.mjs); engines/instance.ts loads them.
 */
export * from './hardware/frames.js';
export * from './hardware/machine.js';
export { attachMemory, createMemory, CpuLine, cpuLine } from './hardware/memory.js';
export { Access, translate, walk } from './hardware/mmu.js';
export { Tlb } from './hardware/tlb.js';
export { sysBrk } from './mm/brk.js';
export { PF_INSTR, PF_PROT, PF_WRITE, doPageFault } from './mm/fault.js';
export { deleteFromPageCache, openFile, warmCachePage } from './mm/filemap.js';
export { FILE_MAX_PAGES, FILE_MEMORY, FILE_NO_MAP_PAGES, File } from './mm/layout/file.js';
export { Mm, Task } from './mm/layout/mm.js';
export { nameOf } from './mm/layout/names.js';
export { PG_readahead, PG_uptodate, Page, ZERO_PFN, pageOf } from './mm/layout/page.js';
export { Percpu, PageState, percpuOf } from './mm/layout/percpu.js';
export { TABLES, TOTAL_WORDS } from './mm/layout/slab.js';
export { lruAddDrain } from './mm/lru.js';
export { VM_GROWSDOWN, VM_PFNMAP, Vma } from './mm/layout/vma.js';
export { MADV_DONTNEED, sysMadvise } from './mm/madvise.js';
export {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_WRITE,
  sysMmap,
} from './mm/mmap.js';
export { sysMprotect } from './mm/mprotect.js';
export { MREMAP_FIXED, MREMAP_MAYMOVE, sysMremap } from './mm/mremap.js';
export { sysMunmap } from './mm/munmap.js';
export { createTask, execMm, exitTask, mmAlloc, setBrk, switchTo } from './mm/process.js';
export { loadUser, storeUser, touchUser, userFault } from './mm/user.js';
export { audit, mappedPages, tableNames } from './oracle/audit.js';
export { pageStates, readMm, readZone } from './oracle/counts.js';
export { PFT_BASE } from './workloads/pft.js';
export { ReferenceForm, referenceCheck } from './workloads/referenceProblem.js';
export { PROGRAMS } from './workloads/programs.js';
export { findVma } from './mm/vmas.js';
export { VM_FAULT_MINOR, VM_FAULT_OOM, vmFaultName } from './mm/vmfault.js';
