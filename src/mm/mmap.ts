/** mmap (Linux: do_mmap and mmap_region, mm/mmap.c and mm/vma.c, 6.x). */
import { EAGAIN, EEXIST, EINVAL, ENOMEM, EOPNOTSUPP } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import {
  HUGE_SIZE,
  PAGES_PER_BYTE,
  PAGE_SIZE,
  PMD_HUGE,
  TASK_SIZE,
  pageAlign,
  pageMask,
} from '../hardware/machine.js';
import { accountVm, mayExpandVm, mayLock } from './accounting.js';
import { MAX_MAP_COUNT } from './design.js';
import { freeFile, isFileMemory, openFile } from './pagecache.js';
import { FILE_MEMORY, FILE_NAMELESS } from './layout/file.js';
import { Mm } from './layout/mm.js';
import {
  VM_ACCESS,
  VM_ACCOUNT,
  VM_GROWSDOWN,
  VM_LOCKED,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_NOHUGEPAGE,
  VM_NORESERVE,
  VM_SHARED,
  isPrivateWritable,
} from './layout/vma.js';
import { doMunmap, mappedIn } from './munmap.js';
import { mmPopulate } from './populate.js';
import { allocVma, linkVma, mergeVma } from './vmas.js';
import { findVma, highestGap, vmStartGap } from './vmatree.js';
import { mmapWriteLock, mmapWriteUnlock } from './mmapLock.js';

/** Flags of the call (include/uapi/asm-generic/mman.h). */
export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_SHARED_VALIDATE = 0x03;
export const MAP_TYPE = 0x0f;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_GROWSDOWN = 0x0100;
export const MAP_LOCKED = 0x2000;
export const MAP_NORESERVE = 0x4000;
export const MAP_POPULATE = 0x8000;
export const MAP_NONBLOCK = 0x1_0000;
export const MAP_STACK = 0x2_0000;
export const MAP_FIXED_NOREPLACE = 0x10_0000;
/** What MAP_SHARED_VALIDATE accepts: the flags that older kernels knew (Linux: LEGACY_MAP_MASK). */
const KNOWN_FLAGS = 0x7_f9f3 | 0x7c00_0000;
/** The PROT_ bits are the numbers of VM_READ, VM_WRITE and VM_EXEC. */
export const PROT_READ = 1;
export const PROT_WRITE = 2;

/** What mmap asks of a mapping, once its arguments are found good. */
interface Request {
  readonly bytes: number;
  readonly flags: number;
  readonly vmFlags: number;
  readonly file: Word;
  readonly pgoff: number;
}

/**
 * System call.
 *
 * @param address - where, if MAP_FIXED; otherwise a hint
 * @param length - in bytes
 * @param prot - PROT_ bits
 * @param file - the file to map; 0 with MAP_ANONYMOUS
 * @param pgoff - offset in the file, in pages
 * @param extraFlags - VM_ bits that no system call sets, such as VM_PFNMAP
 * @returns the address, or a negative errno
 */
export function* sysMmap(
  cpu: Cpu,
  address: Vaddr,
  length: number,
  prot: number,
  flags: number,
  file: Word,
  pgoff: number,
  extraFlags: number,
): Op<Vaddr> {
  yield* cpu.spend(Work.SYSCALL);
  const mm = cpu.mm;
  const bytes = pageAlign(length);
  if (bytes <= 0 || ((flags & MAP_ANONYMOUS) === 0) !== (file !== 0)) return -EINVAL;
  yield* mmapWriteLock(cpu, mm);
  const defFlags = yield* cpu.load(mm + Mm.defFlags);
  const vmFlags = vmFlagsOf(prot, flags) | defFlags | extraFlags;
  const request = { bytes, flags, vmFlags, file, pgoff };
  const result = yield* doMmap(cpu, mm, address, request);
  yield* mmapWriteUnlock(cpu, mm);
  const present =
    (vmFlags & VM_LOCKED) !== 0 || (flags & (MAP_POPULATE | MAP_NONBLOCK)) === MAP_POPULATE;
  if (result >= 0 && present) yield* mmPopulate(cpu, mm, result, result + bytes);
  return result;
}

/** The VM_ bits of a mapping (Linux: calc_vm_prot_bits, calc_vm_flag_bits, do_mmap). */
function vmFlagsOf(prot: number, flags: number): number {
  let vmFlags = (prot & VM_ACCESS) | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
  if (isShared(flags)) vmFlags |= VM_SHARED | VM_MAYSHARE;
  if ((flags & MAP_GROWSDOWN) !== 0) vmFlags |= VM_GROWSDOWN;
  if ((flags & MAP_LOCKED) !== 0) vmFlags |= VM_LOCKED;
  if ((flags & MAP_NORESERVE) !== 0) vmFlags |= VM_NORESERVE;
  if ((flags & MAP_STACK) !== 0) vmFlags |= VM_NOHUGEPAGE;
  if (isPrivateWritable(vmFlags) && (vmFlags & VM_NORESERVE) === 0) vmFlags |= VM_ACCOUNT;
  return vmFlags;
}

function isShared(flags: number): boolean {
  const type = flags & MAP_TYPE;
  return type === MAP_SHARED || type === MAP_SHARED_VALIDATE;
}

/** Places the mapping, makes room for it and makes it. @returns its address or a negative errno */
function* doMmap(cpu: Cpu, mm: Word, address: Vaddr, request: Request): Op<Vaddr> {
  const { bytes, flags, vmFlags } = request;
  if ((yield* cpu.load(mm + Mm.mapCount)) > MAX_MAP_COUNT) return -ENOMEM;
  const start = yield* placeMapping(cpu, mm, address, request);
  if (start < 0) return start;
  const pages = bytes * PAGES_PER_BYTE;
  if ((vmFlags & VM_LOCKED) !== 0 && !(yield* mayLock(cpu, mm, pages))) return -EAGAIN;
  const type = flags & MAP_TYPE;
  const typeKnown = type === MAP_PRIVATE || isShared(flags);
  if (!typeKnown || (request.file === 0 && type === MAP_SHARED_VALIDATE)) return -EINVAL;
  if (type === MAP_SHARED_VALIDATE && (flags & ~KNOWN_FLAGS) !== 0) return -EOPNOTSUPP;
  const backed = request.file !== 0 || isShared(flags);
  if (backed && (vmFlags & VM_GROWSDOWN) !== 0) return -EINVAL;

  const replaced = yield* mappedIn(cpu, mm, start, start + bytes);
  if (!(yield* mayExpandVm(cpu, mm, 0, pages - replaced))) return -ENOMEM;
  if (replaced > 0) {
    const error = yield* doMunmap(cpu, mm, start, bytes);
    if (error < 0) return error;
  }
  return yield* mapBacked(cpu, mm, start, request);
}

/** Makes the mapping; one that is shared and has no file gets a nameless one (shmem_zero_setup). */
function* mapBacked(cpu: Cpu, mm: Word, start: Vaddr, request: Request): Op<Vaddr> {
  const { bytes, flags, vmFlags } = request;
  if (request.file !== 0 || !isShared(flags)) {
    return yield* mapRegion(cpu, mm, start, bytes, vmFlags, request.file, request.pgoff);
  }
  const file = yield* openFile(cpu, bytes * PAGES_PER_BYTE, FILE_MEMORY | FILE_NAMELESS);
  if (file === 0) return -ENOMEM;
  const mapped = yield* mapRegion(cpu, mm, start, bytes, vmFlags, file, 0);
  if (mapped < 0) yield* freeFile(cpu, file);
  return mapped;
}

/** @returns where the mapping goes, or a negative errno */
function* placeMapping(cpu: Cpu, mm: Word, address: Vaddr, request: Request): Op<Vaddr> {
  const { bytes, flags, file, pgoff } = request;
  if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) === 0) {
    const placed = { file, pgoff, shared: isShared(flags) };
    return yield* getUnmappedArea(cpu, mm, pageMask(address), bytes, placed);
  }
  if (bytes > TASK_SIZE || address > TASK_SIZE - bytes) return -ENOMEM;
  if (address !== pageMask(address)) return -EINVAL;
  if ((flags & MAP_FIXED_NOREPLACE) === 0) return address;
  return (yield* mappedIn(cpu, mm, address, address + bytes)) === 0 ? address : -EEXIST;
}

/** What is to be placed, as far as that matters for where. */
export interface Placed {
  readonly file: Word;
  /** In pages. */
  readonly pgoff: number;
  readonly shared: boolean;
}

/**
 * Finds room: at the hint if that is free, otherwise in the highest gap below mmap_base (Linux:
 * __get_unmapped_area, arch_get_unmapped_area_topdown). What may hold huge pages is placed so that they fit.
 *
 * @param hint - the address of a page; 0 for none
 * @returns the address, or -ENOMEM
 */
export function* getUnmappedArea(
  cpu: Cpu,
  mm: Word,
  hint: Vaddr,
  bytes: number,
  placed: Placed,
): Op<Vaddr> {
  if (bytes > TASK_SIZE) return -ENOMEM;
  const offset = yield* hugeOffset(cpu, hint, bytes, placed);
  if (offset >= 0) {
    if (yield* hintIsFree(cpu, mm, hint, bytes + HUGE_SIZE)) return hint;
    const start = yield* findGap(cpu, mm, bytes + HUGE_SIZE);
    if (start >= 0) return alignInGap(start, offset);
  }
  return (yield* hintIsFree(cpu, mm, hint, bytes)) ? hint : yield* findGap(cpu, mm, bytes);
}

function* hintIsFree(cpu: Cpu, mm: Word, hint: Vaddr, bytes: number): Op<boolean> {
  if (hint <= 0 || hint > TASK_SIZE - bytes) return false;
  const vma = yield* findVma(cpu, mm, hint);
  return vma === 0 || hint + bytes <= (yield* vmStartGap(cpu, vma));
}

/**
 * Where in a huge page a mapping should begin: private memory of whole huge pages at the start of one, a
 * file on a disk where its offset lies (Linux: thp_get_unmapped_area). @returns -1 where it does not matter
 */
function* hugeOffset(
  cpu: Cpu,
  hint: Vaddr,
  bytes: number,
  { file, pgoff, shared }: Placed,
): Op<number> {
  if (PMD_HUGE === 0) return -1;
  if (file === 0) return !shared && hint === 0 && bytes % HUGE_SIZE === 0 ? 0 : -1;
  if (yield* isFileMemory(cpu, file)) return -1;
  const from = pgoff * PAGE_SIZE;
  const firstHuge = Math.ceil(from / HUGE_SIZE) * HUGE_SIZE;
  return from + bytes - firstHuge >= HUGE_SIZE ? from % HUGE_SIZE : -1;
}

/** The first address in a gap, which has room for a huge page more, with this offset in a huge page. */
function alignInGap(start: Vaddr, offset: number): Vaddr {
  const above = (HUGE_SIZE + offset - (start % HUGE_SIZE)) % HUGE_SIZE;
  return start + (above === 0 ? HUGE_SIZE : above);
}

function* findGap(cpu: Cpu, mm: Word, bytes: number): Op<Vaddr> {
  const base = yield* cpu.loadWide(mm + Mm.mmapBase);
  const below = yield* highestGap(cpu, mm, bytes, base);
  if (below > 0) return below;
  // Nothing below mmap_base: perhaps above it.
  const above = yield* highestGap(cpu, mm, bytes, TASK_SIZE);
  return above > 0 ? above : -ENOMEM;
}

/**
 * Makes the VMA of a free range, merged with its neighbours where they are alike.
 *
 * @returns `start`, or -ENOMEM
 * Locks: mmap_sem for writing.
 */
function* mapRegion(
  cpu: Cpu,
  mm: Word,
  start: Vaddr,
  bytes: number,
  vmFlags: number,
  file: Word,
  pgoff: number,
): Op<Vaddr> {
  const offset = file === 0 ? (start * PAGES_PER_BYTE) | 0 : pgoff;
  const vma = yield* allocVma(cpu, mm, start, start + bytes, vmFlags, file, offset);
  if (vma === 0) return -ENOMEM;
  yield* linkVma(cpu, mm, vma);
  yield* mergeVma(cpu, mm, vma);
  yield* accountVm(cpu, mm, vmFlags, bytes * PAGES_PER_BYTE);
  return start;
}
