/**
 * The reference model of contents: what the memory of every process must hold, and what every call
 * that changes it must answer.
 *
 * The model is flat. A process is a map from page numbers to what is mapped there; it knows no page
 * tables, no VMAs and no frames, so that nothing of the VM can be wrong here in the same way. Calls
 * take the VM's result: they check it where Linux leaves no freedom, follow it where it does (which
 * address is chosen, whether neighbours are one mapping), and throw where it cannot be.
 *
 * Where Linux leaves open what a page holds, such as after MADV_FREE, the page has more than one
 * possible content, until a load tells which it was.
 *
 * Semantics: Linux 6.18, tried out on one, except remap_file_pages, which is that of 2.6.
 */
import { EACCES, EBUSY, EEXIST, EFAULT, EINVAL, ENOMEM } from '../base/errno.js';
import { InvariantError } from '../base/errors.js';
import { MIB, type Vaddr } from '../base/units.js';
import { PAGES_PER_BYTE, PAGE_SIZE, TASK_SIZE, pageAlign } from '../hardware/machine.js';
import { MemoryObject } from './memoryObject.js';
import {
  ANY_ACCESS,
  NO_COPY,
  READ,
  WRITE,
  contentsOf,
  emptied,
  isBehindEnd,
  mayBePopulated,
  populated,
  withoutEquals,
  type PageMapping,
} from './pageMapping.js';

/** How an access fails. */
export type Fault = 'SIGSEGV' | 'SIGBUS';

/** How far below its end a stack may grow, in bytes (include/linux/resource.h: _STK_LIM). */
const STACK_LIMIT = 8 * MIB;
/** Pages that stay free between a stack and what lies below it. */
const STACK_GUARD_PAGES = 256;

/** What a call to mmap asks for, beside the place. */
export interface MmapRequest {
  readonly prot: number;
  /** At the address given, whatever is there. */
  readonly fixed?: boolean;
  /** At the address given, unless something is there. */
  readonly noReplace?: boolean;
  readonly shared?: boolean;
  /** The file, or undefined for anonymous memory. */
  readonly object?: MemoryObject | undefined;
  /** Where the mapping starts in the object, in pages. */
  readonly pgoff?: number;
  readonly growsDown?: boolean;
  readonly locked?: boolean;
  readonly populate?: boolean;
}

export interface MremapRequest {
  readonly mayMove?: boolean;
  /** To `newAddress`, whatever is there. */
  readonly fixed?: boolean;
  readonly dontUnmap?: boolean;
  /** With dontUnmap alone, a hint. */
  readonly newAddress?: Vaddr;
}

/** What the VM has at a page, as far as a call that ran out of memory may have changed it. */
export type SeenMapping = Pick<PageMapping, 'prot' | 'locked' | 'dontFork' | 'wipeOnFork'>;

/** What is the same for all pages of a mapping, and the page of the object that it starts with. */
type Attributes = Omit<PageMapping, 'index' | 'copies' | 'lazyFree' | 'dontFork' | 'wipeOnFork'> &
  Partial<PageMapping>;

const HEAP = { prot: READ | WRITE, shared: false, object: undefined, linear: 0, growsDown: false };

function pageOf(address: Vaddr): number {
  return Math.floor(address * PAGES_PER_BYTE);
}

function pageCount(bytes: number): number {
  return bytes * PAGES_PER_BYTE;
}

/** Which word of its page an address is in. */
function wordOf(address: Vaddr): number {
  return (address % PAGE_SIZE) >>> 2;
}

function isAligned(address: Vaddr): boolean {
  return address % PAGE_SIZE === 0;
}

/** The pages that a range of bytes touches. */
function wholePages(address: Vaddr, length: number): { start: Vaddr; bytes: number } {
  const start = pageOf(address) * PAGE_SIZE;
  return { start, bytes: pageAlign(address + length) - start };
}

/** Whether mremap may move a range to an address: into user space, and not onto itself. */
function isValidTarget(from: Vaddr, oldBytes: number, to: Vaddr, newBytes: number): boolean {
  if (!isAligned(to) || to + newBytes > TASK_SIZE) return false;
  return from + oldBytes <= to || to + newBytes <= from;
}

function expectResult(result: number, expected: number): void {
  if (result === expected) return;
  throw new InvariantError(`contents: the call gave ${result}, should give ${expected}`);
}

function hex(address: Vaddr): string {
  return `0x${address.toString(16)}`;
}

/** All processes that may see each other's memory, and how files change under them. */
export class Contents {
  private readonly processes = new Set<Process>();

  /** A process with nothing mapped. */
  start(): Process {
    const process = new Process();
    this.processes.add(process);
    return process;
  }

  fork(parent: Process): Process {
    const child = parent.copy();
    this.processes.add(child);
    return child;
  }

  exit(process: Process): void {
    this.processes.delete(process);
  }

  /** Changes the size of a file: what lies behind its end goes, private copies with it. */
  truncate(object: MemoryObject, sizePages: number): void {
    object.resize(sizePages);
    for (const process of this.processes) process.dropBehindEnd(object);
  }
}

export class Process {
  /** By page number. */
  private readonly pages = new Map<number, PageMapping>();
  private startBrk: Vaddr = 0;
  private end: Vaddr = 0;
  /** Whether what is mapped from now on is locked (mlockall with MCL_FUTURE). */
  private lockFuture = false;

  /** A child, as fork makes it. */
  copy(): Process {
    const child = new Process();
    for (const [page, mapping] of this.pages) {
      if (mapping.dontFork) continue;
      const copies = mapping.wipeOnFork ? NO_COPY : mapping.copies;
      child.pages.set(page, { ...mapping, copies, locked: false });
    }
    child.startBrk = this.startBrk;
    child.end = this.end;
    return child;
  }

  /** A new, empty address space. */
  exec(): void {
    this.pages.clear();
    this.setBrk(0);
    this.lockFuture = false;
  }

  /** Where the heap begins. */
  setBrk(start: Vaddr): void {
    this.startBrk = start;
    this.end = start;
  }

  /** Where the heap ends. */
  get brkEnd(): Vaddr {
    return this.end;
  }

  /** @returns the values that a load may give, or how it fails */
  load(address: Vaddr): Fault | readonly number[] {
    const mapping = this.reach(address, ANY_ACCESS);
    if (typeof mapping === 'string') return mapping;
    return mapping.copies.map((copy) => contentsOf(mapping, copy).load(wordOf(address)));
  }

  /** Tells which of the values that a load may give it gave: what does not agree with it is out. */
  loaded(address: Vaddr, value: number): void {
    const mapping = this.pages.get(pageOf(address));
    if (mapping === undefined || mapping.copies.length === 1) return;
    const agreeing = mapping.copies.filter(
      (copy) => contentsOf(mapping, copy).load(wordOf(address)) === value,
    );
    const dropped = mapping.lazyFree && agreeing.some((copy) => copy !== undefined);
    mapping.copies = dropped ? [...new Set([...agreeing, undefined])] : agreeing;
  }

  /** @returns how the store fails, if it does */
  store(address: Vaddr, value: number): Fault | undefined {
    const mapping = this.reach(address, WRITE);
    if (typeof mapping === 'string') return mapping;
    const word = wordOf(address);
    if (mapping.shared) {
      mapping.object!.store(mapping.index, word, value);
      return undefined;
    }
    mapping.lazyFree = false;
    const stored = mapping.copies.map((copy) => contentsOf(mapping, copy).store(word, value));
    mapping.copies = withoutEquals(stored);
    return undefined;
  }

  mmap(address: Vaddr, length: number, request: MmapRequest, result: number): void {
    const bytes = pageAlign(length);
    const { fixed = false, noReplace = false, object } = request;
    if (bytes <= 0) return expectResult(result, -EINVAL);
    const hint = Math.floor(address * PAGES_PER_BYTE) * PAGE_SIZE;
    if (fixed || noReplace) {
      if (address + bytes > TASK_SIZE) return expectResult(result, -ENOMEM);
      if (!isAligned(address)) return expectResult(result, -EINVAL);
      if (noReplace && !this.isFree(address, bytes)) return expectResult(result, -EEXIST);
      expectResult(result, address);
    } else {
      this.expectPlace(result, hint, bytes);
    }
    const locked = (request.locked ?? false) || this.lockFuture;
    this.mapPages(result, bytes, {
      prot: request.prot & ANY_ACCESS,
      shared: request.shared ?? false,
      object: request.shared ? (object ?? new MemoryObject(pageCount(bytes))) : object,
      linear: request.pgoff ?? 0,
      growsDown: request.growsDown ?? false,
      locked,
    });
    if (locked || request.populate) this.mayPopulate(result, bytes);
  }

  munmap(address: Vaddr, length: number, result: number): void {
    const bytes = pageAlign(length);
    if (!isAligned(address) || bytes <= 0 || address + bytes > TASK_SIZE) {
      return expectResult(result, -EINVAL);
    }
    expectResult(result, 0);
    this.unmapPages(address, bytes);
  }

  mprotect(address: Vaddr, length: number, prot: number, result: number): void {
    if (!isAligned(address)) return expectResult(result, -EINVAL);
    const hole = this.forMapped(address, length, (mapping) => {
      const wasWritable = (mapping.prot & WRITE) !== 0;
      mapping.prot = prot & ANY_ACCESS;
      // Locked memory is populated as soon as it may be written.
      if (mapping.locked && !wasWritable) mapping.copies = mayBePopulated(mapping);
    });
    expectResult(result, hole ? -ENOMEM : 0);
  }

  brk(wish: Vaddr, result: number): void {
    const oldEnd = pageAlign(this.end);
    const newEnd = pageAlign(wish);
    if (wish < this.startBrk || !this.mayMoveBrk(oldEnd, newEnd)) {
      return expectResult(result, this.end);
    }
    expectResult(result, wish);
    this.end = wish;
    if (newEnd < oldEnd) this.unmapPages(newEnd, oldEnd - newEnd);
    else this.mapPages(oldEnd, newEnd - oldEnd, { ...HEAP, locked: this.lockFuture });
  }

  /** A heap grows where a page stays free above it, and shrinks where there still is some of it. */
  private mayMoveBrk(oldEnd: Vaddr, newEnd: Vaddr): boolean {
    if (newEnd < oldEnd) return !this.isFree(newEnd, oldEnd - newEnd);
    return newEnd === oldEnd || this.hasRoom(oldEnd, newEnd - oldEnd + PAGE_SIZE);
  }

  mremap(
    address: Vaddr,
    oldLength: number,
    newLength: number,
    request: MremapRequest,
    result: number,
  ): void {
    const oldBytes = pageAlign(oldLength);
    const newBytes = pageAlign(newLength);
    const { mayMove = false, fixed = false, dontUnmap = false, newAddress = 0 } = request;
    const moves = fixed || dontUnmap;
    const first = this.pages.get(pageOf(address));
    if (
      !isAligned(address) ||
      newBytes <= 0 ||
      (moves && !mayMove) ||
      (dontUnmap && oldBytes !== newBytes) ||
      (moves && !isValidTarget(address, oldBytes, newAddress, newBytes))
    ) {
      return expectResult(result, -EINVAL);
    }
    if (first === undefined) return expectResult(result, -EFAULT);
    if (fixed && oldBytes === newBytes) {
      expectResult(result, newAddress);
      return this.moveAll(address, oldBytes, newAddress, dontUnmap);
    }
    if (!moves && newBytes <= oldBytes) {
      expectResult(result, address);
      return this.unmapPages(address + newBytes, oldBytes - newBytes);
    }
    if (oldBytes === 0 && !first.shared) return expectResult(result, -EINVAL);
    const kept = Math.min(oldBytes, newBytes);
    if (!this.isUniform(address, kept)) return expectResult(result, -EFAULT);
    // Neighbours that are alike may be two mappings yet.
    if (result === -EFAULT && kept > PAGE_SIZE) return;
    if (fixed) {
      expectResult(result, newAddress);
    } else if (dontUnmap) {
      this.expectPlace(result, newAddress, newBytes);
    } else if (this.isFree(address + oldBytes, newBytes - oldBytes)) {
      expectResult(result, address);
    } else if (mayMove) {
      this.expectPlace(result, 0, newBytes);
    } else {
      return expectResult(result, -ENOMEM);
    }
    this.movePages(address, oldBytes, newBytes, result, dontUnmap);
  }

  /** Moves all there is in a range; where nothing is, what is at the new place stays. */
  private moveAll(from: Vaddr, bytes: number, to: Vaddr, dontUnmap: boolean): void {
    for (let offset = 0; offset < bytes; offset += PAGE_SIZE) {
      if (!this.pages.has(pageOf(from + offset))) continue;
      this.movePages(from + offset, PAGE_SIZE, PAGE_SIZE, to + offset, dontUnmap);
    }
  }

  /** Moves what is mapped, and maps more of it behind where the new place is larger. */
  private movePages(
    from: Vaddr,
    oldBytes: number,
    newBytes: number,
    to: Vaddr,
    dontUnmap: boolean,
  ): void {
    const kept = Math.min(oldBytes, newBytes);
    const first = this.pages.get(pageOf(from))!;
    const moved: PageMapping[] = [];
    for (let offset = 0; offset < kept; offset += PAGE_SIZE) {
      moved.push(this.pages.get(pageOf(from + offset))!);
    }
    if (to !== from) {
      this.unmapPages(to, newBytes);
      this.unmapPages(from, oldBytes);
    }
    for (const [offset, mapping] of moved.entries()) {
      this.pages.set(pageOf(to) + offset, mapping);
      if (dontUnmap) {
        this.pages.set(pageOf(from) + offset, { ...emptied(mapping), locked: false });
      }
    }
    const linear = first.linear + pageCount(oldBytes);
    this.mapPages(to + kept, newBytes - kept, { ...first, linear });
    if (first.locked) this.mayPopulate(to, newBytes);
  }

  /** MADV_DONTNEED, and MADV_DONTNEED_LOCKED, which drops locked memory too. */
  dontNeed(address: Vaddr, length: number, evenLocked: boolean, result: number): void {
    this.advise(address, length, result, (mapping) => {
      if (mapping.locked && !evenLocked) return EINVAL;
      mapping.copies = NO_COPY;
      mapping.lazyFree = false;
      return 0;
    });
  }

  /** MADV_FREE. */
  free(address: Vaddr, length: number, result: number): void {
    this.advise(address, length, result, (mapping) => {
      if (mapping.object !== undefined || mapping.locked) return EINVAL;
      mapping.copies = [...new Set([...mapping.copies, undefined])];
      mapping.lazyFree = true;
      return 0;
    });
  }

  /** MADV_DONTFORK and MADV_DOFORK. */
  adviseFork(address: Vaddr, length: number, dontFork: boolean, result: number): void {
    this.advise(address, length, result, (mapping) => {
      mapping.dontFork = dontFork;
      return 0;
    });
  }

  /** MADV_WIPEONFORK and MADV_KEEPONFORK. */
  adviseWipe(address: Vaddr, length: number, wipeOnFork: boolean, result: number): void {
    this.advise(address, length, result, (mapping) => {
      if (wipeOnFork && mapping.object !== undefined) return EINVAL;
      mapping.wipeOnFork = wipeOnFork;
      return 0;
    });
  }

  /** MADV_REMOVE: punches a hole into what is mapped. */
  remove(address: Vaddr, length: number, result: number): void {
    this.advise(address, length, result, (mapping) => {
      if (mapping.locked || mapping.object === undefined) return EINVAL;
      if (!mapping.shared) return EACCES;
      mapping.object.clear(mapping.linear);
      return 0;
    });
  }

  /** Advice that changes no contents: only a hole is an error. */
  adviseOther(address: Vaddr, length: number, result: number): void {
    this.advise(address, length, result, () => 0);
  }

  /** MADV_POPULATE_READ and MADV_POPULATE_WRITE: the first page that cannot be says why. */
  advisePopulate(address: Vaddr, length: number, write: boolean, result: number): void {
    if (!isAligned(address)) return expectResult(result, -EINVAL);
    for (const mapping of this.mappings(address, length)) {
      if (mapping === undefined) return expectResult(result, -ENOMEM);
      if ((mapping.prot & (write ? WRITE : READ)) === 0) return expectResult(result, -EINVAL);
      if (isBehindEnd(mapping)) return expectResult(result, -EFAULT);
      if (write) mapping.copies = populated(mapping);
    }
    expectResult(result, 0);
  }

  /** @param onFault - MLOCK_ONFAULT: pages are locked when they are touched, not at once */
  mlock(address: Vaddr, length: number, onFault: boolean, result: number): void {
    const { start, bytes } = wholePages(address, length);
    const hole = this.forMapped(start, bytes, (mapping) => {
      mapping.locked = true;
    });
    if (hole) return expectResult(result, -ENOMEM);
    if (onFault) return expectResult(result, 0);
    for (const mapping of this.mappings(start, bytes)) {
      if ((mapping!.prot & ANY_ACCESS) === 0 || isBehindEnd(mapping!)) {
        return expectResult(result, -ENOMEM);
      }
      mapping!.copies = populated(mapping!);
    }
    expectResult(result, 0);
  }

  munlock(address: Vaddr, length: number, result: number): void {
    const { start, bytes } = wholePages(address, length);
    const hole = this.forMapped(start, bytes, (mapping) => {
      mapping.locked = false;
    });
    expectResult(result, hole ? -ENOMEM : 0);
  }

  /** @param current - MCL_CURRENT; future - MCL_FUTURE */
  mlockall(current: boolean, future: boolean, result: number): void {
    expectResult(result, 0);
    this.lockFuture = future;
    if (!current) return;
    for (const [page, mapping] of this.pages) {
      mapping.locked = true;
      this.mayPopulate(page * PAGE_SIZE, PAGE_SIZE);
    }
  }

  munlockall(result: number): void {
    expectResult(result, 0);
    this.lockFuture = false;
    for (const mapping of this.pages.values()) mapping.locked = false;
  }

  /** @param invalidate - MS_INVALIDATE */
  msync(address: Vaddr, length: number, invalidate: boolean, result: number): void {
    this.advise(address, length, result, ({ locked }) => (locked && invalidate ? EBUSY : 0));
  }

  mincore(address: Vaddr, length: number, result: number): void {
    if (!isAligned(address)) return expectResult(result, -EINVAL);
    const hole = this.mappings(address, length).includes(undefined);
    expectResult(result, hole ? -ENOMEM : 0);
  }

  remapFilePages(address: Vaddr, size: number, prot: number, pgoff: number, result: number): void {
    const [first] = this.mappings(address, size);
    if (prot !== 0 || !first?.shared || !this.isUniform(address, size)) {
      return expectResult(result, -EINVAL);
    }
    // Neighbours that are alike may be two mappings: what is in an order of its own is not told here.
    if (result === -EINVAL && size > PAGE_SIZE) return;
    expectResult(result, 0);
    for (const [offset, mapping] of this.mappings(address, size).entries()) {
      mapping!.index = pgoff + offset;
    }
  }

  /** Private copies of pages that an object no longer has are gone. */
  dropBehindEnd(object: MemoryObject): void {
    for (const mapping of this.pages.values()) {
      if (mapping.object === object && isBehindEnd(mapping)) mapping.copies = NO_COPY;
    }
  }

  /**
   * Follows the VM where a call ran out of memory and may have done a part of its work.
   *
   * @param seen - what the VM has at each page from `start`
   * @param could - what the call could have done to a page, beside its locks and marks
   */
  adopt(
    start: Vaddr,
    seen: readonly (SeenMapping | undefined)[],
    could: { readonly unmap?: boolean; readonly prot?: number } = {},
  ): void {
    for (const [offset, now] of seen.entries()) {
      const address = start + offset * PAGE_SIZE;
      const mapping = this.pages.get(pageOf(address)) ?? (now && this.growStack(address));
      if (now === undefined) {
        if (mapping !== undefined && could.unmap !== true) {
          throw new InvariantError(`contents: ${hex(address)} is not mapped any more`);
        }
        this.pages.delete(pageOf(address));
        continue;
      }
      if (mapping === undefined || (now.prot !== mapping.prot && now.prot !== could.prot)) {
        throw new InvariantError(
          `contents: ${hex(address)} has permissions ${now.prot}, should have ${mapping?.prot}`,
        );
      }
      Object.assign(mapping, now);
      mapping.copies = mayBePopulated(mapping);
    }
  }

  /**
   * Follows the VM where a move of all that is in a range ran out of memory on its way. What moved and was
   * left behind as well is known by its new place, and that only if nothing was there before.
   *
   * @param left - what the VM has at each page from `from`
   * @param arrived - what it has at each page from `to`
   */
  adoptMove(
    from: Vaddr,
    to: Vaddr,
    left: readonly (SeenMapping | undefined)[],
    arrived: readonly (SeenMapping | undefined)[],
  ): void {
    for (const [offset, now] of left.entries()) {
      const source = from + offset * PAGE_SIZE;
      const target = to + offset * PAGE_SIZE;
      const isNew = arrived[offset] !== undefined && !this.pages.has(pageOf(target));
      if (this.pages.has(pageOf(source)) && (now === undefined || isNew)) {
        this.movePages(source, PAGE_SIZE, PAGE_SIZE, target, false);
      }
    }
  }

  /**
   * Follows the VM where memory sufficed to move pages, but not to take their old mapping away: it stays as
   * it was, without its pages.
   *
   * @param left - what the VM has at each page from `from`
   */
  adoptLeft(from: Vaddr, to: Vaddr, left: readonly (SeenMapping | undefined)[]): void {
    for (const [offset, now] of left.entries()) {
      const page = pageOf(from) + offset;
      const moved = this.pages.get(pageOf(to) + offset);
      if (now === undefined || moved === undefined || this.pages.has(page)) continue;
      const parts = Object.keys(now) as (keyof SeenMapping)[];
      if (parts.some((part) => now[part] !== moved[part])) {
        throw new InvariantError(`contents: ${hex(page * PAGE_SIZE)} is not what moved from there`);
      }
      this.pages.set(page, emptied(moved));
    }
  }

  /** The mapping of an address that is accessed, after the stack has grown to it if it can. */
  private reach(address: Vaddr, needed: number): PageMapping | Fault {
    const mapping = this.pages.get(pageOf(address)) ?? this.growStack(address);
    if (mapping === undefined || (mapping.prot & needed) === 0) return 'SIGSEGV';
    return isBehindEnd(mapping) ? 'SIGBUS' : mapping;
  }

  /**
   * Extends a stack above an address down to it. The run of pages that are like its lowest is taken
   * for the mapping whose size is limited.
   */
  private growStack(address: Vaddr): PageMapping | undefined {
    const page = pageOf(address);
    let lowest = page + 1;
    while (!this.pages.has(lowest) && (lowest - page) * PAGE_SIZE <= STACK_LIMIT) lowest++;
    const stack = this.pages.get(lowest);
    if (stack?.growsDown !== true) return undefined;
    let end = lowest + 1;
    while (this.continues(end)) end++;
    if ((end - page) * PAGE_SIZE > STACK_LIMIT || this.isGuarded(page)) return undefined;
    const linear = stack.linear - (lowest - page);
    this.mapPages(page * PAGE_SIZE, (lowest - page) * PAGE_SIZE, { ...stack, linear });
    return this.pages.get(page);
  }

  /** Whether something that can be accessed, and is no stack, lies too near below a page. */
  private isGuarded(page: number): boolean {
    for (let below = page - 1; below >= page - STACK_GUARD_PAGES; below--) {
      const mapping = this.pages.get(below);
      if (mapping !== undefined) return !mapping.growsDown && mapping.prot !== 0;
    }
    return false;
  }

  /** Whether a page is mapped and alike to the one before it, so that both may be one mapping. */
  private continues(page: number): boolean {
    const low = this.pages.get(page - 1);
    const high = this.pages.get(page);
    return (
      low !== undefined &&
      high !== undefined &&
      low.prot === high.prot &&
      low.shared === high.shared &&
      low.object === high.object &&
      (low.object === undefined || low.linear + 1 === high.linear) &&
      low.growsDown === high.growsDown &&
      low.locked === high.locked &&
      low.dontFork === high.dontFork &&
      low.wipeOnFork === high.wipeOnFork
    );
  }

  /** Whether a range is mapped and may be one mapping. */
  private isUniform(start: Vaddr, bytes: number): boolean {
    const first = pageOf(start);
    for (let page = first + 1; page < first + pageCount(bytes); page++) {
      if (!this.continues(page)) return false;
    }
    return this.pages.has(first);
  }

  /** Whether a range is user address space where nothing is mapped. */
  private isFree(start: Vaddr, bytes: number): boolean {
    if (start + bytes > TASK_SIZE) return false;
    return this.mappings(start, bytes).every((mapping) => mapping === undefined);
  }

  /** Whether a range is free, and not too near below a stack. */
  private hasRoom(start: Vaddr, bytes: number): boolean {
    if (!this.isFree(start, bytes)) return false;
    const end = pageOf(start + bytes);
    for (let page = end; page < end + STACK_GUARD_PAGES; page++) {
      const mapping = this.pages.get(page);
      if (mapping !== undefined) return !mapping.growsDown;
    }
    return true;
  }

  /** The address that a call chose must be the hint where there is room, or one that is free. */
  private expectPlace(start: number, hint: Vaddr, bytes: number): void {
    if (hint > 0 && this.hasRoom(hint, bytes)) return expectResult(start, hint);
    if (start > 0 && isAligned(start) && this.isFree(start, bytes)) return;
    throw new InvariantError(`contents: got ${start}, expected an address with room`);
  }

  /** What is mapped at each page of a range. */
  private mappings(start: Vaddr, length: number): (PageMapping | undefined)[] {
    const pages = pageCount(pageAlign(length));
    return Array.from({ length: pages }, (_, offset) => this.pages.get(pageOf(start) + offset));
  }

  /** Does something to each page up to the first hole. @returns whether there is a hole */
  private forMapped(start: Vaddr, length: number, act: (mapping: PageMapping) => void): boolean {
    for (const mapping of this.mappings(start, length)) {
      if (mapping === undefined) return true;
      act(mapping);
    }
    return false;
  }

  /** Advice goes on behind holes, but not behind what refuses it. */
  private advise(
    address: Vaddr,
    length: number,
    result: number,
    act: (mapping: PageMapping) => number,
  ): void {
    if (!isAligned(address)) return expectResult(result, -EINVAL);
    let expected = 0;
    for (const mapping of this.mappings(address, length)) {
      const error = mapping === undefined ? ENOMEM : act(mapping);
      if (error !== 0) expected = -error;
      if (error !== 0 && mapping !== undefined) break;
    }
    expectResult(result, expected);
  }

  private mapPages(start: Vaddr, bytes: number, attributes: Attributes): void {
    const first = pageOf(start);
    for (let offset = 0; offset < pageCount(bytes); offset++) {
      this.pages.set(first + offset, {
        dontFork: false,
        wipeOnFork: false,
        ...attributes,
        linear: attributes.linear + offset,
        index: attributes.linear + offset,
        copies: NO_COPY,
        lazyFree: false,
      });
    }
  }

  private unmapPages(start: Vaddr, bytes: number): void {
    const first = pageOf(start);
    for (let page = first; page < first + pageCount(bytes); page++) this.pages.delete(page);
  }

  /** Faults pages in as far as memory allows: no one is told how far that was. */
  private mayPopulate(start: Vaddr, bytes: number): void {
    this.forMapped(start, bytes, (mapping) => {
      mapping.copies = mayBePopulated(mapping);
    });
  }
}
