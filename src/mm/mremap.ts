/** mremap (Linux: do_mremap, move_vma and move_page_tables, mm/mremap.c, 6.17 and later). */
import { EAGAIN, EFAULT, EINVAL, ENOMEM } from '../base/errno.js';
import type { Vaddr, Word } from '../base/units.js';
import { Work, type Cpu, type Op } from '../hardware/cpu.js';
import {
  ADDRESSES,
  HUGE_SIZE,
  NO_EXEC_HIGH,
  PAGES_PER_BYTE,
  PAGE_SIZE,
  TASK_SIZE,
  UPPER_ENTRY_WORDS,
  pageAlign,
  pageMask,
  pteOffset,
} from '../hardware/machine.js';
import { accountLocked, accountVm, mayExpandVm, mayLock } from './accounting.js';
import { anonVmaClone, anonVmaUnlink } from './anonvma.js';
import { MAX_MAP_COUNT, MREMAP_POSTED } from './design.js';
import { hugeMask, splitHugePmd } from './hugeSplit.js';
import { Mm } from './layout/mm.js';
import { VM_LOCKED, VM_LOCKED_MASK, VM_MAYSHARE, VM_PFNMAP, Vma } from './layout/vma.js';
import { entryLock, entryUnlock, twoTablesLock, twoTablesUnlock } from './locking.js';
import { getUnmappedArea } from './mmap.js';
import { movePtesPosted } from './mremapPosted.js';
import { doMunmap } from './munmap.js';
import { pteAlloc } from './pgtable.js';
import { HUGE_LEAF, findPmd, leafTable, nextSpan } from './pgwalk.js';
import { ptepGetAndClear, ptepNone, ptepSet } from './pte.js';
import { pteOffsetMapTwo, pteUnmapTwo } from './pteMap.js';
import { mmPopulate } from './populate.js';
import { linearPageIndex } from './rmap.js';
import { flushTlbMm } from './tlbflush.js';
import { allocVma, freeVma, linkVma, mergeVma, rmapLock, rmapUnlock } from './vmas.js';
import { findVma } from './vmatree.js';
import { mmapWriteLock, mmapWriteUnlock, vmaStartWrite } from './mmapLock.js';

/** Flags of the call (include/uapi/linux/mman.h). */
export const MREMAP_MAYMOVE = 1;
export const MREMAP_FIXED = 2;
export const MREMAP_DONTUNMAP = 4;

/** VMAs that a move may need while it goes on, beside those there are. */
const MOVE_VMAS = 5;

/** What the call asks for, as in Linux's struct vma_remap_struct; lengths are whole pages, in bytes. */
interface Remap {
  readonly address: Vaddr;
  readonly oldBytes: number;
  readonly newBytes: number;
  readonly flags: number;
  readonly newAddress: Vaddr;
}

/**
 * System call: shrinks, grows or moves a mapping.
 *
 * @param oldLength - in bytes; 0 maps what a shared mapping shows a second time
 * @param newLength - in bytes
 * @param newAddress - where to, with MREMAP_FIXED; a hint with MREMAP_DONTUNMAP
 * @returns the address of the mapping after the call, or a negative errno
 */
export function* sysMremap(
  cpu: Cpu,
  address: Vaddr,
  oldLength: number,
  newLength: number,
  flags: number,
  newAddress: Vaddr,
): Op<Vaddr> {
  yield* cpu.spend(Work.SYSCALL);
  const remap = {
    address,
    oldBytes: pageAlign(oldLength),
    newBytes: pageAlign(newLength),
    flags,
    newAddress,
  };
  const mm = cpu.mm;
  yield* mmapWriteLock(cpu, mm);
  const wrong = yield* checkArguments(cpu, mm, remap);
  const result = wrong < 0 ? wrong : yield* doMremap(cpu, mm, remap);
  const grown = result >= 0 && remap.newBytes > remap.oldBytes;
  const locked = grown && (yield* isLocked(cpu, mm, result));
  yield* mmapWriteUnlock(cpu, mm);
  if (locked) yield* mmPopulate(cpu, mm, result + remap.oldBytes, result + remap.newBytes);
  return result;
}

/** Locked memory is present as soon as it is mapped. */
function* isLocked(cpu: Cpu, mm: Word, address: Vaddr): Op<boolean> {
  const vma = yield* findVma(cpu, mm, address);
  return ((yield* cpu.load(vma + Vma.vmFlags)) & VM_LOCKED) !== 0;
}

/** Linux: check_mremap_params. */
function* checkArguments(cpu: Cpu, mm: Word, remap: Remap): Op<number> {
  const { address, oldBytes, newBytes, flags, newAddress } = remap;
  if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) return -EINVAL;
  if (address !== pageMask(address)) return -EINVAL;
  if (newBytes <= 0 || newBytes > TASK_SIZE) return -EINVAL;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) === 0) return 0;
  if (newAddress > TASK_SIZE - newBytes || newAddress !== pageMask(newAddress)) return -EINVAL;
  if ((flags & MREMAP_MAYMOVE) === 0) return -EINVAL;
  if ((flags & MREMAP_DONTUNMAP) !== 0 && oldBytes !== newBytes) return -EINVAL;
  const oldEnd = address + oldBytes;
  const wrapped = oldEnd >= ADDRESSES ? oldEnd - ADDRESSES : oldEnd;
  if (wrapped > newAddress && newAddress + newBytes > address) return -EINVAL;
  return (yield* cpu.load(mm + Mm.mapCount)) + MOVE_VMAS >= MAX_MAP_COUNT ? -ENOMEM : 0;
}

function* doMremap(cpu: Cpu, mm: Word, remap: Remap): Op<Vaddr> {
  const { address, oldBytes, newBytes, flags } = remap;
  if ((flags & MREMAP_FIXED) !== 0 && oldBytes === newBytes) {
    return yield* moveRange(cpu, mm, remap);
  }
  const vma = yield* vmaAt(cpu, mm, address);
  const error = vma === 0 ? -EFAULT : yield* checkVma(cpu, mm, vma, remap);
  if (error < 0) return error;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) return yield* mremapTo(cpu, mm, remap);
  if (newBytes === oldBytes) return address;
  if (newBytes < oldBytes) {
    const shrunk = yield* doMunmap(cpu, mm, address + newBytes, oldBytes - newBytes);
    return shrunk < 0 ? shrunk : address;
  }
  return yield* expand(cpu, mm, vma, remap);
}

/** The VMA that holds an address, or 0 (Linux: vma_lookup). */
function* vmaAt(cpu: Cpu, mm: Word, address: Vaddr): Op<Word> {
  const vma = yield* findVma(cpu, mm, address);
  return vma !== 0 && (yield* cpu.loadWide(vma + Vma.vmStart)) <= address ? vma : 0;
}

/** Moves all there is in a range, each VMA by the same distance (Linux 6.17: remap_move). */
function* moveRange(cpu: Cpu, mm: Word, remap: Remap): Op<Vaddr> {
  const end = remap.address + remap.oldBytes;
  const distance = remap.newAddress - remap.address;
  let from = remap.address;
  let moved = false;
  while (from < end || !moved) {
    const vma = yield* findVma(cpu, mm, from);
    if (vma === 0) break;
    const vmStart = yield* cpu.loadWide(vma + Vma.vmStart);
    if (!moved && vmStart > from) return -EFAULT;
    from = Math.max(from, vmStart);
    if (from >= end && moved) break;
    const bytes = Math.min(end, yield* cpu.loadWide(vma + Vma.vmEnd)) - from;
    const part = {
      address: from,
      oldBytes: bytes,
      newBytes: bytes,
      flags: remap.flags,
      newAddress: from + distance,
    };
    const error = yield* checkVma(cpu, mm, vma, part);
    const result = error < 0 ? error : yield* mremapTo(cpu, mm, part);
    if (result < 0) return result;
    moved = true;
    from += bytes;
  }
  return moved ? remap.newAddress : -EFAULT;
}

/** Linux: check_prep_vma. */
function* checkVma(cpu: Cpu, mm: Word, vma: Word, remap: Remap): Op<number> {
  const { address, oldBytes, newBytes, flags } = remap;
  const moves = (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0;
  if (newBytes <= oldBytes && !moves) return 0;
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  if (oldBytes === 0 && (vmFlags & VM_MAYSHARE) === 0) return -EINVAL;
  if ((flags & MREMAP_DONTUNMAP) !== 0 && (vmFlags & VM_PFNMAP) !== 0) return -EINVAL;
  const kept = Math.min(oldBytes, newBytes);
  if (kept > (yield* cpu.loadWide(vma + Vma.vmEnd)) - address) return -EFAULT;
  if (newBytes <= oldBytes) return 0;
  if ((vmFlags & VM_PFNMAP) !== 0) return -EFAULT;
  const pages = (newBytes - oldBytes) * PAGES_PER_BYTE;
  if ((vmFlags & VM_LOCKED) !== 0 && !(yield* mayLock(cpu, mm, pages))) return -EAGAIN;
  return (yield* mayExpandVm(cpu, mm, 0, pages)) ? 0 : -ENOMEM;
}

/** A move to where the caller says, in the place of what is there (Linux: mremap_to). */
function* mremapTo(cpu: Cpu, mm: Word, remap: Remap): Op<Vaddr> {
  const { address, newBytes, flags, newAddress } = remap;
  let { oldBytes } = remap;
  if ((flags & MREMAP_FIXED) !== 0) {
    const error = yield* doMunmap(cpu, mm, newAddress, newBytes);
    if (error < 0) return error;
    // That may have taken the source too.
    if ((yield* vmaAt(cpu, mm, address)) === 0) return -EFAULT;
  }
  if (newBytes < oldBytes) {
    const error = yield* doMunmap(cpu, mm, address + newBytes, oldBytes - newBytes);
    if (error < 0) return error;
    oldBytes = newBytes;
  }
  const vma = yield* vmaAt(cpu, mm, address);
  if (vma === 0) return -EFAULT;
  if ((flags & MREMAP_DONTUNMAP) !== 0) {
    const pages = oldBytes * PAGES_PER_BYTE;
    if (!(yield* mayExpandVm(cpu, mm, 0, pages))) return -ENOMEM;
  }
  let target = newAddress;
  if ((flags & MREMAP_FIXED) === 0)
    target = yield* placeFor(cpu, mm, vma, address, newAddress, newBytes);
  if (target < 0) return target;
  return yield* moveVma(cpu, mm, { ...remap, oldBytes }, target);
}

function* placeFor(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  hint: Vaddr,
  bytes: number,
): Op<Vaddr> {
  const file = yield* cpu.load(vma + Vma.vmFile);
  const pgoff = yield* linearPageIndex(cpu, vma, address);
  return yield* getUnmappedArea(cpu, mm, hint, bytes, { file, pgoff, shared: file !== 0 });
}

/** Grows a mapping where it is or, if it may move, elsewhere (Linux: expand_vma). */
function* expand(cpu: Cpu, mm: Word, vma: Word, remap: Remap): Op<Vaddr> {
  const { address, oldBytes, newBytes, flags } = remap;
  const vmEnd = yield* cpu.loadWide(vma + Vma.vmEnd);
  if (address + oldBytes === vmEnd && (yield* roomBehind(cpu, vma, vmEnd, newBytes - oldBytes))) {
    return (yield* growInPlace(cpu, mm, vma, vmEnd, newBytes - oldBytes)) ? address : -ENOMEM;
  }
  if ((flags & MREMAP_MAYMOVE) === 0) return -ENOMEM;
  const target = yield* placeFor(cpu, mm, vma, address, 0, newBytes);
  return target < 0 ? target : yield* moveVma(cpu, mm, remap, target);
}

function* roomBehind(cpu: Cpu, vma: Word, vmEnd: Vaddr, bytes: number): Op<boolean> {
  if (vmEnd + bytes > TASK_SIZE) return false;
  const next = yield* cpu.load(vma + Vma.vmNext);
  return next === 0 || (yield* cpu.loadWide(next + Vma.vmStart)) >= vmEnd + bytes;
}

/** Maps more of the same behind a VMA, as one with it, and with what follows if that is alike. */
function* growInPlace(cpu: Cpu, mm: Word, vma: Word, vmEnd: Vaddr, bytes: number): Op<boolean> {
  const grown = yield* cloneVma(cpu, mm, vma, vmEnd, vmEnd, bytes);
  if (grown === 0) return false;
  yield* mergeVma(cpu, mm, grown);
  return true;
}

/**
 * Makes a VMA that shows at `target` what `vma` does, or would, from `address` on (Linux: copy_vma, which
 * merges it at once).
 *
 * @returns the VMA, or 0 when a table is full
 */
function* cloneVma(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  address: Vaddr,
  target: Vaddr,
  bytes: number,
): Op<Word> {
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  const file = yield* cpu.load(vma + Vma.vmFile);
  // While no page is in it, anonymous memory belongs to wherever it is.
  const untouched = file === 0 && (yield* cpu.readOnce(vma + Vma.anonVma)) === 0;
  let pgoff = yield* linearPageIndex(cpu, vma, address);
  if (untouched) pgoff = (target * PAGES_PER_BYTE) | 0;
  const copy = yield* allocVma(cpu, mm, target, target + bytes, vmFlags, file, pgoff);
  if (copy === 0) return 0;
  if (!(yield* anonVmaClone(cpu, copy, vma))) {
    yield* freeVma(cpu, copy);
    return 0;
  }
  yield* linkVma(cpu, mm, copy);
  yield* accountVm(cpu, mm, vmFlags, bytes * PAGES_PER_BYTE);
  return copy;
}

/**
 * Makes the mapping anew at `target`, moves the ptes, and unmaps the old range unless that is to stay.
 *
 * @returns `target` or a negative errno
 */
function* moveVma(cpu: Cpu, mm: Word, remap: Remap, target: Vaddr): Op<Vaddr> {
  const { address, oldBytes, newBytes, flags } = remap;
  const source = yield* vmaAt(cpu, mm, address);
  yield* vmaStartWrite(cpu, source);
  const copy = yield* cloneVma(cpu, mm, source, address, target, newBytes);
  if (copy === 0) return -ENOMEM;
  if (!(yield* movePageTables(cpu, mm, source, address, target, oldBytes))) {
    // The old range has what could not be moved; put back what was, and leave no trace: the copy is still
    // a VMA of its own, so that to unmap it needs no memory.
    yield* movePageTables(cpu, mm, source, target, address, oldBytes);
    yield* doMunmap(cpu, mm, target, newBytes);
    return -ENOMEM;
  }
  const merged = yield* mergeVma(cpu, mm, copy);
  if ((flags & MREMAP_DONTUNMAP) !== 0) {
    yield* emptyOldVma(cpu, mm, address, oldBytes, merged);
  } else if (oldBytes > 0) {
    // Where there is no memory to split its VMA, the old range stays mapped, without a page (Linux:
    // unmap_source_vma). The move is done all the same.
    yield* doMunmap(cpu, mm, address, oldBytes);
  }
  return target;
}

/** MREMAP_DONTUNMAP leaves a mapping behind: not locked, and with no page of its own. */
function* emptyOldVma(cpu: Cpu, mm: Word, address: Vaddr, bytes: number, copy: Word): Op<void> {
  const vma = yield* vmaAt(cpu, mm, address);
  const start = yield* cpu.loadWide(vma + Vma.vmStart);
  const end = yield* cpu.loadWide(vma + Vma.vmEnd);
  const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
  if ((vmFlags & VM_LOCKED) !== 0) yield* accountLocked(cpu, mm, -(end - start) * PAGES_PER_BYTE);
  yield* cpu.writeOnce(vma + Vma.vmFlags, vmFlags & ~VM_LOCKED_MASK);
  if (vma !== copy && start === address && end === address + bytes) yield* anonVmaUnlink(cpu, vma);
}

/** Moves the ptes of a range, in order. @returns whether all could be; false when memory is full */
function* movePageTables(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  from: Vaddr,
  to: Vaddr,
  bytes: number,
): Op<boolean> {
  let offset = 0;
  while (offset < bytes) {
    const address = from + offset;
    const target = to + offset;
    const table = yield* leafTable(cpu, mm, address);
    if (table < 0) {
      offset = nextSpan(address, -table) - from;
      continue;
    }
    const whole = address === hugeMask(address) && offset + HUGE_SIZE <= bytes;
    if (whole && target === hugeMask(target)) {
      const pmdp = yield* findPmd(cpu, mm, address);
      if (yield* movePmd(cpu, mm, vma, pmdp, target)) {
        offset += HUGE_SIZE;
        continue;
      }
    }
    if (table === HUGE_LEAF) {
      yield* splitHugePmd(cpu, mm, yield* findPmd(cpu, mm, address));
      continue;
    }
    // As far as both stay in one leaf table.
    const extent = Math.min(
      bytes - offset,
      nextSpan(address, 1) - address,
      nextSpan(target, 1) - target,
    );
    const moved = MREMAP_POSTED
      ? yield* movePtesPosted(cpu, mm, table, address, target, extent)
      : yield* movePtes(cpu, mm, vma, table, address, target, extent);
    if (!moved) return false;
    offset += extent;
  }
  return true;
}

/**
 * Moves the ptes of one leaf table to another. Who looks for the ptes of a page walks the lists of its
 * VMAs: while a pte is in neither place, that must wait.
 *
 * @returns false when there is no memory for the other table
 */
function* movePtes(
  cpu: Cpu,
  mm: Word,
  vma: Word,
  table: Word,
  from: Vaddr,
  to: Vaddr,
  bytes: number,
): Op<boolean> {
  const target = yield* pteAlloc(cpu, mm, to, 0);
  if (target === 0) return false;
  const targetTable = target - pteOffset(to);
  const mapped = yield* pteOffsetMapTwo(cpu, table, targetTable);
  yield* rmapLock(cpu, vma);
  yield* twoTablesLock(cpu, mm, table, mm, targetTable);
  for (let offset = 0; offset < bytes; offset += PAGE_SIZE) {
    const source = mapped.one + pteOffset(from + offset);
    yield* movePte(cpu, source, mapped.other + pteOffset(to + offset));
  }
  yield* twoTablesUnlock(cpu, mm, table, mm, targetTable);
  yield* flushTlbMm(cpu, mm);
  yield* rmapUnlock(cpu, vma);
  yield* pteUnmapTwo(cpu, mapped);
  return true;
}

function* movePte(cpu: Cpu, from: Word, to: Word): Op<void> {
  if (yield* ptepNone(cpu, from)) return;
  yield* entryLock(cpu, from);
  yield* entryLock(cpu, to);
  const entry = yield* ptepGetAndClear(cpu, from);
  if (NO_EXEC_HIGH !== 0) yield* moveHighWord(cpu, from, to);
  yield* ptepSet(cpu, to, entry);
  yield* entryUnlock(cpu, to);
  yield* entryUnlock(cpu, from);
}

function* moveHighWord(cpu: Cpu, from: Word, to: Word): Op<void> {
  const high = yield* cpu.readOnce(from + 1);
  yield* cpu.writeOnce(to + 1, high);
  yield* cpu.writeOnce(from + 1, 0);
}

/**
 * Moves an entry above the leaves, and with it a whole leaf table or a huge page, to where nothing is
 * (Linux: move_normal_pmd, move_huge_pmd).
 *
 * @returns whether it could; if not, memory is full or a table is in the way: ptes must be moved one by one
 */
function* movePmd(cpu: Cpu, mm: Word, vma: Word, pmdp: Word, to: Vaddr): Op<boolean> {
  const target = yield* pteAlloc(cpu, mm, to, 1);
  if (target === 0 || (yield* cpu.readOnce(target)) !== 0) return false;
  yield* rmapLock(cpu, vma);
  yield* cpu.spinLock(mm + Mm.pageTableLock);
  const entry = yield* cpu.xchg(pmdp, 0);
  if (UPPER_ENTRY_WORDS === 2) yield* moveHighWord(cpu, pmdp, target);
  yield* cpu.writeOnce(target, entry);
  yield* cpu.spinUnlock(mm + Mm.pageTableLock);
  yield* flushTlbMm(cpu, mm);
  yield* rmapUnlock(cpu, vma);
  return true;
}
