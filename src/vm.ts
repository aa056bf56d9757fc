/**
 * Everything that is built per machine configuration: the VM, its audit and the programs that run
 * on it. The build makes the plain and the stepped form of this module and of all it imports
 * (build/build.mjs); engines/instance.ts loads them.
 */
export * from './hardware/frames.js';
export * from './hardware/hostStates.js';
export { hostTakeFrames } from './hardware/host.js';
export * from './hardware/machine.js';
export { attachMemory, createMemory, CpuLine, cpuLine } from './hardware/memory.js';
export { Access, translate, walk } from './hardware/mmu.js';
export { Tlb } from './hardware/tlb.js';
export { sysBrk } from './mm/brk.js';
export { oops, unmappedWord } from './mm/debugPagealloc.js';
export { DEBUG_PAGEALLOC, HIGHPTE, KMAP_CHECKED, KMAP_POOL } from './mm/design.js';
export { doDiscardFault } from './mm/discard.js';
export { kmapHigh, preemptCount, sleepsWithKmap } from './mm/kmap.js';
export { PF_INSTR, PF_PROT, PF_WRITE, doPageFault } from './mm/fault.js';
export { warmCachePage } from './mm/filemap.js';
export { deleteFromPageCache, openFile } from './mm/pagecache.js';
export { FILE_MAX_PAGES, FILE_MEMORY, FILE_NO_MAP_PAGES, File } from './mm/layout/file.js';
export { Mm, RLIM_INFINITY, Task } from './mm/layout/mm.js';
export { nameOf, wordsNamed } from './mm/layout/names.js';
export {
  PG_anon_exclusive,
  PG_cache,
  PG_dirty,
  PG_head,
  PG_locked,
  PG_readahead,
  PG_referenced,
  PG_swapcache,
  PG_tail,
  PG_uptodate,
  PG_zeroed,
  Page,
  ZERO_PFN,
  folioFlags,
  hugeMapcount,
  pageOf,
} from './mm/layout/page.js';
export { sysFork } from './mm/fork.js';
export { KMAP, KMAP_BASE, Kmap } from './mm/layout/kmap.js';
export { Percpu, PageState, percpuOf } from './mm/layout/percpu.js';
export * from './mm/layout/swap.js';
export { Zone, zoneOf } from './mm/layout/zone.js';
export { TABLES, TOTAL_WORDS } from './mm/layout/slab.js';
export { lruAddDrain } from './mm/lru.js';
export { allocPage, allocZeroedPage } from './mm/allocpages.js';
export { freeNewPage } from './mm/pagealloc.js';
export { tryToFreePages } from './mm/vmscan.js';
export { scrubBlock, scrubNode } from './mm/scrubd.js';
export * from './mm/layout/vma.js';
export * from './mm/madvise.js';
export { defragment, moveTablesOutOf } from './mm/memoryOffline.js';
export { migratePages } from './mm/migratePages.js';
export { ALL_TABLES, migratePageTables, moveTables } from './mm/migrateTables.js';
export * from './mm/mincore.js';
export * from './mm/mlock.js';
export * from './mm/mmap.js';
export { sysMprotect } from './mm/mprotect.js';
export * from './mm/mremap.js';
export * from './mm/msync.js';
export { sysMunmap } from './mm/munmap.js';
export * from './mm/process.js';
export { procStatm } from './mm/statm.js';
export { sysRemapFilePages } from './mm/remapFilePages.js';
export { dropPages, truncateFile } from './mm/truncate.js';
export { loadUser, storeUser, touchUser, userFault } from './mm/user.js';
export { audit } from './oracle/audit.js';
export { leaks } from './oracle/leaks.js';
export {
  frameUses,
  framesInUse,
  freeSwapSlots,
  pageStates,
  readMm,
  readZone,
} from './oracle/counts.js';
export { mappedPages, swapEntries, tableNames, visitTables } from './oracle/pageTables.js';
export { PFT_BASE } from './workloads/pft.js';
export { END_CHECKS } from './workloads/endChecks.js';
export { ReferenceForm } from './workloads/referenceProblem.js';
export { PROGRAMS } from './workloads/programs.js';
export { findVma } from './mm/vmatree.js';
export {
  VM_FAULT_MAJOR,
  VM_FAULT_MINOR,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
  VM_FAULT_SIGSEGV,
  vmFaultName,
} from './mm/vmfault.js';
