/**
 * System calls and accesses that are made to the VM and to the reference model of contents, which
 * must agree.
 */
import { EAGAIN, EFAULT, EIO, ENOMEM } from '../base/errno.js';
import { InvariantError } from '../base/errors.js';
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE, pageMask } from '../hardware/machine.js';
import { sysBrk } from '../mm/brk.js';
import { openFile } from '../mm/pagecache.js';
import { sysFork } from '../mm/fork.js';
import { VM_ACCESS, VM_DONTCOPY, VM_LOCKED, VM_WIPEONFORK, Vma } from '../mm/layout/vma.js';
import {
  MADV_DOFORK,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_KEEPONFORK,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_REMOVE,
  MADV_WIPEONFORK,
  sysMadvise,
} from '../mm/madvise.js';
import { sysMincore } from '../mm/mincore.js';
import {
  MCL_CURRENT,
  MCL_FUTURE,
  MLOCK_ONFAULT,
  sysMlock,
  sysMlockall,
  sysMunlock,
  sysMunlockall,
} from '../mm/mlock.js';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_LOCKED,
  MAP_POPULATE,
  MAP_SHARED,
  sysMmap,
} from '../mm/mmap.js';
import { MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, sysMremap } from '../mm/mremap.js';
import { sysMprotect } from '../mm/mprotect.js';
import { MS_INVALIDATE, sysMsync } from '../mm/msync.js';
import { sysMunmap } from '../mm/munmap.js';
import { createTask, execMm, exitTask, mmAlloc, setBrk, switchTo } from '../mm/process.js';
import { sysRemapFilePages } from '../mm/remapFilePages.js';
import { truncateFile } from '../mm/truncate.js';
import { isUserFault, loadUser, storeUser, userFault } from '../mm/user.js';
import { VM_FAULT_OOM, VM_FAULT_SIGBUS, VM_FAULT_SIGSEGV, vmFaultName } from '../mm/vmfault.js';
import { findVma } from '../mm/vmatree.js';
import type { Contents, Fault, Process, SeenMapping } from '../oracle/contents.js';
import { MemoryObject } from '../oracle/memoryObject.js';
import { called, contentsError } from './report.js';

/** A file, as the VM and as the model have it. */
export interface CheckedFile {
  readonly file: Word;
  readonly object: MemoryObject;
}

/** A process, as the VM and as the model have it. */
export interface CheckedTask {
  readonly task: Word;
  readonly process: Process;
}

/** What the calls need to know, beside the CPU that makes them. */
export interface Checking {
  readonly contents: Contents;
  /** Whether the machine is so small that calls may fail for want of memory. */
  readonly mayRunOut: boolean;
  /** Whether requests to the device may fail. */
  readonly deviceFails: boolean;
  /** Whose memory it is; current on the CPU. */
  now: CheckedTask;
  /** The last call, for the report of what is wrong. */
  call: string;
  /** Loads whose values were compared. */
  loads: number;
}

/** @returns a file, or undefined when the table is full */
export function* openCheckedFile(
  cpu: Cpu,
  sizePages: number,
  flags: number,
  onDevice: boolean,
): Op<CheckedFile | undefined> {
  const file = yield* openFile(cpu, sizePages, flags);
  if (file === 0) return undefined;
  return { file, object: new MemoryObject(sizePages, onDevice ? file : 0) };
}

/** Starts a process with nothing mapped. @returns it, or undefined when memory is full */
export function* startChecked(
  cpu: Cpu,
  contents: Contents,
  pid: number,
): Op<CheckedTask | undefined> {
  const mm = yield* mmAlloc(cpu);
  if (mm === 0) return undefined;
  const task = yield* createTask(cpu, mm, pid);
  return task === 0 ? undefined : { task, process: contents.start() };
}

/** Ends the current process. The CPU is idle after. */
export function* exitChecked(cpu: Cpu, checking: Checking): Op<void> {
  checking.call = 'exit()';
  yield* exitTask(cpu);
  checking.contents.exit(checking.now.process);
}

export function* switchChecked(cpu: Cpu, checking: Checking, to: CheckedTask): Op<void> {
  checking.now = to;
  yield* switchTo(cpu, to.task);
}

/** @returns whether it could; not where memory is full, and nothing has changed then */
export function* execChecked(cpu: Cpu, checking: Checking): Op<boolean> {
  checking.call = 'exec()';
  if (yield* execMm(cpu)) {
    checking.now.process.exec();
    return true;
  }
  if (!checking.mayRunOut) throw new InvariantError('contents: memory is full');
  return false;
}

export function* setBrkChecked(cpu: Cpu, checking: Checking, start: Vaddr): Op<void> {
  yield* setBrk(cpu, start);
  checking.now.process.setBrk(start);
}

export function* checkedMmap(
  cpu: Cpu,
  checking: Checking,
  address: Vaddr,
  bytes: number,
  prot: number,
  flags: number,
  file: CheckedFile | undefined,
  pgoff: number,
): Op<number> {
  const { process } = checking.now;
  checking.call = called('mmap', address, bytes, prot, flags, file?.file ?? 0, pgoff);
  const result = yield* sysMmap(cpu, address, bytes, prot, flags, file?.file ?? 0, pgoff, 0);
  if (ranOut(checking, result)) {
    // What was there may have been unmapped to make room.
    if ((flags & MAP_FIXED) === 0) return result;
    process.adopt(address, yield* seeMappings(cpu, address, bytes), { unmap: true });
    return result;
  }
  process.mmap(
    address,
    bytes,
    {
      prot,
      fixed: (flags & MAP_FIXED) !== 0,
      noReplace: (flags & MAP_FIXED_NOREPLACE) !== 0,
      shared: (flags & MAP_SHARED) !== 0,
      object: (flags & MAP_ANONYMOUS) !== 0 ? undefined : file?.object,
      pgoff,
      growsDown: (flags & MAP_GROWSDOWN) !== 0,
      locked: (flags & MAP_LOCKED) !== 0,
      populate: (flags & MAP_POPULATE) !== 0,
    },
    result,
  );
  return result;
}

export function* checkedMunmap(
  cpu: Cpu,
  checking: Checking,
  address: Vaddr,
  bytes: number,
): Op<number> {
  checking.call = called('munmap', address, bytes);
  const result = yield* sysMunmap(cpu, address, bytes);
  if (!ranOut(checking, result)) checking.now.process.munmap(address, bytes, result);
  return result;
}

export function* checkedMprotect(
  cpu: Cpu,
  checking: Checking,
  address: Vaddr,
  bytes: number,
  prot: number,
): Op<number> {
  const { process } = checking.now;
  checking.call = called('mprotect', address, bytes, prot);
  const result = yield* sysMprotect(cpu, address, bytes, prot);
  if (ranOut(checking, result)) {
    process.adopt(address, yield* seeMappings(cpu, address, bytes), { prot });
  } else {
    process.mprotect(address, bytes, prot, result);
  }
  return result;
}

export function* checkedBrk(cpu: Cpu, checking: Checking, wish: Vaddr): Op<number> {
  checking.call = called('brk', wish);
  const result = yield* sysBrk(cpu, wish);
  // A heap that could not be changed for want of memory is as it was, and brk says so.
  const { process } = checking.now;
  if (!checking.mayRunOut || result !== process.brkEnd) process.brk(wish, result);
  return result;
}

export function* checkedMremap(
  cpu: Cpu,
  checking: Checking,
  address: Vaddr,
  oldBytes: number,
  newBytes: number,
  flags: number,
  newAddress: Vaddr,
): Op<number> {
  const { process } = checking.now;
  checking.call = called('mremap', address, oldBytes, newBytes, flags, newAddress);
  const result = yield* sysMremap(cpu, address, oldBytes, newBytes, flags, newAddress);
  const fixed = (flags & MREMAP_FIXED) !== 0;
  if (!ranOut(checking, result)) {
    const mayMove = (flags & MREMAP_MAYMOVE) !== 0;
    const dontUnmap = (flags & MREMAP_DONTUNMAP) !== 0;
    const request = { mayMove, fixed, dontUnmap, newAddress };
    process.mremap(address, oldBytes, newBytes, request, result);
    if (checking.mayRunOut && result >= 0 && result !== address) {
      const kept = Math.min(oldBytes, newBytes);
      process.adoptLeft(address, result, yield* seeMappings(cpu, address, kept));
    }
    return result;
  }
  // What is cut off, and what was where the mapping should go, may be gone. Of several mappings, some may
  // have moved.
  const cut = address + newBytes;
  const unmap = { unmap: true };
  if (fixed && oldBytes === newBytes) {
    const left = yield* seeMappings(cpu, address, oldBytes);
    process.adoptMove(address, newAddress, left, yield* seeMappings(cpu, newAddress, newBytes));
    process.adoptLeft(address, newAddress, left);
  }
  process.adopt(cut, yield* seeMappings(cpu, cut, oldBytes - newBytes), unmap);
  if (fixed) process.adopt(newAddress, yield* seeMappings(cpu, newAddress, newBytes), unmap);
  return result;
}

export function* checkedMadvise(
  cpu: Cpu,
  checking: Checking,
  address: Vaddr,
  bytes: number,
  advice: number,
): Op<number> {
  const { process } = checking.now;
  checking.call = called('madvise', address, bytes, advice);
  const result = yield* sysMadvise(cpu, address, bytes, advice);
  const populates = advice === MADV_POPULATE_READ || advice === MADV_POPULATE_WRITE;
  if (ranOut(checking, result) && (populates || result === -EAGAIN)) {
    process.adopt(address, yield* seeMappings(cpu, address, bytes));
    return result;
  }
  switch (advice) {
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
      process.dontNeed(address, bytes, advice === MADV_DONTNEED_LOCKED, result);
      break;
    case MADV_FREE:
      process.free(address, bytes, result);
      break;
    case MADV_REMOVE:
      process.remove(address, bytes, result);
      break;
    case MADV_DONTFORK:
    case MADV_DOFORK:
      process.adviseFork(address, bytes, advice === MADV_DONTFORK, result);
      break;
    case MADV_WIPEONFORK:
    case MADV_KEEPONFORK:
      process.adviseWipe(address, bytes, advice === MADV_WIPEONFORK, result);
      break;
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
      process.advisePopulate(address, bytes, advice === MADV_POPULATE_WRITE, result);
      break;
    default:
      process.adviseOther(address, bytes, result);
  }
  return result;
}

/** @param flags - 0 or MLOCK_ONFAULT */
export function* checkedMlock(
  cpu: Cpu,
  checking: Checking,
  address: Vaddr,
  bytes: number,
  flags: number,
): Op<number> {
  const { process } = checking.now;
  checking.call = called('mlock2', address, bytes, flags);
  const result = yield* sysMlock(cpu, address, bytes, flags);
  if (ranOut(checking, result)) {
    process.adopt(address, yield* seeMappings(cpu, address, bytes));
  } else {
    process.mlock(address, bytes, (flags & MLOCK_ONFAULT) !== 0, result);
  }
  return result;
}

export function* checkedMunlock(
  cpu: Cpu,
  checking: Checking,
  address: Vaddr,
  bytes: number,
): Op<number> {
  const { process } = checking.now;
  checking.call = called('munlock', address, bytes);
  const result = yield* sysMunlock(cpu, address, bytes);
  if (ranOut(checking, result)) {
    process.adopt(address, yield* seeMappings(cpu, address, bytes));
  } else {
    process.munlock(address, bytes, result);
  }
  return result;
}

/** @param flags - MCL_ bits; 0 unlocks all there is and will be */
export function* checkedLockAll(cpu: Cpu, checking: Checking, flags: number): Op<number> {
  const { process } = checking.now;
  checking.call = called(flags === 0 ? 'munlockall' : 'mlockall', flags);
  const result = flags === 0 ? yield* sysMunlockall(cpu) : yield* sysMlockall(cpu, flags);
  if (flags === 0) process.munlockall(result);
  else process.mlockall((flags & MCL_CURRENT) !== 0, (flags & MCL_FUTURE) !== 0, result);
  return result;
}

/** @param flags - MS_ bits */
export function* checkedMsync(
  cpu: Cpu,
  checking: Checking,
  address: Vaddr,
  bytes: number,
  flags: number,
): Op<number> {
  checking.call = called('msync', address, bytes, flags);
  const result = yield* sysMsync(cpu, address, bytes, flags);
  if (checking.deviceFails && result === -EIO) return result;
  checking.now.process.msync(address, bytes, (flags & MS_INVALIDATE) !== 0, result);
  return result;
}

export function* checkedMincore(
  cpu: Cpu,
  checking: Checking,
  address: Vaddr,
  bytes: number,
): Op<number> {
  checking.call = called('mincore', address, bytes);
  const result = yield* sysMincore(cpu, address, bytes, []);
  checking.now.process.mincore(address, bytes, result);
  return result;
}

/** Not for a machine where memory may be full: which pages a call did change is nowhere to be seen. */
export function* checkedRemapFilePages(
  cpu: Cpu,
  checking: Checking,
  address: Vaddr,
  bytes: number,
  pgoff: number,
  flags: number,
): Op<number> {
  checking.call = called('remap_file_pages', address, bytes, 0, pgoff, flags);
  const result = yield* sysRemapFilePages(cpu, address, bytes, 0, pgoff, flags);
  checking.now.process.remapFilePages(address, bytes, 0, pgoff, result);
  return result;
}

export function* checkedTruncate(
  cpu: Cpu,
  checking: Checking,
  { file, object }: CheckedFile,
  sizePages: number,
): Op<void> {
  checking.call = called('ftruncate', file, sizePages);
  yield* truncateFile(cpu, file, sizePages);
  checking.contents.truncate(object, sizePages);
}

/** @returns the child, or undefined when memory is full */
export function* forkChecked(
  cpu: Cpu,
  checking: Checking,
  pid: number,
): Op<CheckedTask | undefined> {
  checking.call = called('fork', pid);
  const task = yield* sysFork(cpu, pid);
  if (task > 0) return { task, process: checking.contents.fork(checking.now.process) };
  if (!ranOut(checking, task)) throw new InvariantError(`contents: fork gave ${task}`);
  return undefined;
}

/** @returns the value, or less than 0 for a fault, see `userFault` */
export function* checkedLoad(cpu: Cpu, checking: Checking, address: Vaddr): Op<number> {
  checking.call = called('load', address);
  const into = [0];
  const result = yield* loadUser(cpu, address, into);
  if (isUserFault(result) && (yield* isOutOfMemory(cpu, checking, address, result))) return result;
  const { process } = checking.now;
  const expected = process.load(address);
  if (typeof expected === 'string' || isUserFault(result)) {
    expectFault(result, typeof expected === 'string' ? expected : undefined);
    return result;
  }
  const [value] = into;
  checking.loads++;
  if (!expected.includes(value)) {
    throw contentsError(`contents: got ${value}, expected ${expected.join(' or ')}`);
  }
  process.loaded(address, value);
  return value;
}

/** @returns 0 or more, or less than 0 for a fault, see `userFault` */
export function* checkedStore(
  cpu: Cpu,
  checking: Checking,
  address: Vaddr,
  value: number,
): Op<number> {
  checking.call = called('store', address, value);
  const result = yield* storeUser(cpu, address, value);
  if (isUserFault(result) && (yield* isOutOfMemory(cpu, checking, address, result))) return result;
  expectFault(result, checking.now.process.store(address, value));
  return result;
}

/**
 * Whether an access failed for want of memory, or by the device: then the model follows, since the stack may have
 * grown for it. A stack that cannot grow for want of memory gives SIGSEGV.
 */
function* isOutOfMemory(cpu: Cpu, checking: Checking, address: Vaddr, result: number): Op<boolean> {
  const fault = userFault(result);
  // What lies behind the end of a file is SIGBUS too.
  if (fault === VM_FAULT_SIGBUS) {
    return checking.deviceFails && checking.now.process.load(address) !== 'SIGBUS';
  }
  if (!checking.mayRunOut || (fault !== VM_FAULT_OOM && fault !== VM_FAULT_SIGSEGV)) return false;
  const page = pageMask(address);
  const seen = yield* seeMappings(cpu, page, PAGE_SIZE);
  checking.now.process.adopt(page, seen);
  return fault === VM_FAULT_OOM || seen[0] === undefined;
}

function expectFault(result: number, expected: Fault | undefined): void {
  const got = isUserFault(result) ? vmFaultName(userFault(result)) : 'no fault';
  const wanted = expected === undefined ? 'no fault' : `VM_FAULT_${expected}`;
  if (got !== wanted) throw new InvariantError(`contents: got ${got}, expected ${wanted}`);
}

/** Whether a call failed for want of memory or by the device, in a machine where it may. */
function ranOut(checking: Checking, result: number): boolean {
  if (checking.deviceFails && (result === -EFAULT || result === -EIO)) return true;
  return checking.mayRunOut && (result === -ENOMEM || result === -EAGAIN);
}

/** What the VM has at each page of a range, for the model to follow a call that ran out of memory. */
function* seeMappings(cpu: Cpu, start: Vaddr, bytes: number): Op<(SeenMapping | undefined)[]> {
  const seen: (SeenMapping | undefined)[] = [];
  for (let address = start; address < start + bytes; address += PAGE_SIZE) {
    const vma = yield* findVma(cpu, cpu.mm, address);
    if (vma === 0 || (yield* cpu.loadWide(vma + Vma.vmStart)) > address) {
      seen.push(undefined);
      continue;
    }
    const vmFlags = yield* cpu.load(vma + Vma.vmFlags);
    seen.push({
      prot: vmFlags & VM_ACCESS,
      locked: (vmFlags & VM_LOCKED) !== 0,
      dontFork: (vmFlags & VM_DONTCOPY) !== 0,
      wipeOnFork: (vmFlags & VM_WIPEONFORK) !== 0,
    });
  }
  return seen;
}
