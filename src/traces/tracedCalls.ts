/**
 * The system calls of a trace, made again on our VM: where and how the kernel made them.
 */
import { ENOMEM } from '../base/errno.js';
import type { InputError } from '../base/errors.js';
import type { Vaddr, Word } from '../base/units.js';
import type { PlainVm } from '../engines/instance.js';
import type { PlainCpu } from '../engines/parallel/plainCpu.js';
import type { KernelRss } from './kernelRss.js';
import type { MappedAhead } from './mappedAhead.js';
import type { TraceEvent } from './perfScript.js';
import type { TracedFile, TracedFiles } from './tracedFiles.js';

/** Calls that change an address space and that replay does not know yet. */
const UNKNOWN_CALLS = new Set(['shmat', 'shmdt', 'process_madvise', 'userfaultfd']);
/** An address space that a process runs in from its exec on. */
export interface Space {
  /** Our mm; 0 once it is gone. */
  mm: Word;
  readonly kernel: KernelRss;
  /** Files mapped, by the VM's record. */
  readonly files: Map<Word, TracedFile>;
  brkKnown: boolean;
  /** What is mapped ahead, where the design has prefault. */
  readonly ahead: MappedAhead | undefined;
}

/** A call that has been entered and has not returned. */
export interface PendingCall {
  readonly name: string;
  readonly args: readonly number[];
  mmap2?: { readonly path: string; readonly inode: number };
  applied?: true;
}

/** What a reader should be told. */
export interface Report {
  note(text: string): void;
  /** @returns the error that ends a replay whose machine is too small */
  full(what: string): InputError;
}

/** All calls are those of the task that the CPU runs. */
export class TracedCalls {
  constructor(
    private readonly vm: PlainVm,
    private readonly cpu: PlainCpu,
    private readonly files: TracedFiles,
    private readonly report: Report,
  ) {}

  /** munmap takes effect when it is entered: others may map its range before it returns. */
  munmap(address: Vaddr, length: number): void {
    this.expectSuccess('munmap', this.vm.sysMunmap(this.cpu, address, length));
  }

  /** All other calls take effect when they return. @param result - the kernel's */
  returned(space: Space, call: PendingCall, result: number): void {
    const { name } = call;
    if (UNKNOWN_CALLS.has(name)) this.report.note(`${name} is not replayed yet`);
    if (result < 0 && name !== 'madvise') return;
    const [a, b, c, d] = call.args as [number, number, number, number];
    switch (name) {
      case 'mmap':
        this.mmapDone(space, call, result);
        break;
      case 'brk':
        this.brkDone(space, result);
        break;
      case 'mprotect':
      case 'pkey_mprotect':
        this.expectSuccess(name, this.vm.sysMprotect(this.cpu, a, b, c));
        break;
      case 'mremap':
        this.mremapDone(a, b, c, d, result);
        break;
      case 'madvise':
        this.madvise(call);
        break;
      case 'mlock':
      case 'mlock2':
        this.expectSuccess(name, this.vm.sysMlock(this.cpu, a, b, name === 'mlock2' ? c : 0));
        break;
      case 'munlock':
        this.expectSuccess(name, this.vm.sysMunlock(this.cpu, a, b));
        break;
      case 'mlockall':
        this.expectSuccess(name, this.vm.sysMlockall(this.cpu, a));
        break;
      case 'munlockall':
        this.expectSuccess(name, this.vm.sysMunlockall(this.cpu));
        break;
      case 'msync':
        this.expectSuccess(name, this.vm.sysMsync(this.cpu, a, b, c));
        break;
    }
  }

  private mmapDone(space: Space, call: PendingCall, address: Vaddr): void {
    const { vm } = this;
    const [, length, prot, flags, , offset] = call.args as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const shared = (flags & 3) !== vm.MAP_PRIVATE;
    const pages = vm.pageAlign(length) / vm.PAGE_SIZE;
    const keep = flags & ~(vm.MAP_TYPE | vm.MAP_ANONYMOUS | vm.MAP_FIXED_NOREPLACE);
    let file: TracedFile | undefined;
    if ((flags & vm.MAP_ANONYMOUS) === 0) {
      file =
        call.mmap2 === undefined
          ? this.files.sharedMemory(offset / vm.PAGE_SIZE + pages)
          : this.files.named(call.mmap2.path, call.mmap2.inode);
    }
    const ourFlags =
      keep |
      vm.MAP_FIXED |
      (shared ? vm.MAP_SHARED : vm.MAP_PRIVATE) |
      (file ? 0 : vm.MAP_ANONYMOUS);
    this.map(space, address, length, prot, ourFlags, file, offset / vm.PAGE_SIZE, 0);
  }

  /** Maps at a fixed address, and remembers the file. */
  private map(
    space: Space,
    address: Vaddr,
    length: number,
    prot: number,
    flags: number,
    file: TracedFile | undefined,
    pgoff: number,
    extraFlags: number,
  ): void {
    if (file !== undefined) space.files.set(file.file, file);
    const record = file?.file ?? 0;
    const result = this.vm.sysMmap(
      this.cpu,
      address,
      length,
      prot,
      flags,
      record,
      pgoff,
      extraFlags,
    );
    if (result !== address) this.callDiffers('mmap', result, address);
  }

  private brkDone(space: Space, result: Vaddr): void {
    if (!space.brkKnown) {
      space.brkKnown = true;
      this.vm.setBrk(this.cpu, result);
      return;
    }
    const ours = this.vm.sysBrk(this.cpu, result);
    if (ours !== result) this.callDiffers('brk', ours, result);
  }

  /** MADV_DONTNEED takes effect at its first rss_stat, or at its end if there was none. */
  dontneed(call: PendingCall): void {
    if (call.args[2] === this.vm.MADV_DONTNEED) this.madvise(call);
  }

  private madvise(call: PendingCall): void {
    const [address, length, advice] = call.args as [number, number, number];
    if (call.applied === true) return;
    call.applied = true;
    this.vm.sysMadvise(this.cpu, address, length, advice);
  }

  private mremapDone(
    address: Vaddr,
    oldLength: number,
    newLength: number,
    flags: number,
    result: Vaddr,
  ): void {
    const { MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP } = this.vm;
    const kept = flags & MREMAP_DONTUNMAP;
    const ourFlags = result === address ? 0 : MREMAP_MAYMOVE | MREMAP_FIXED | kept;
    const moved = this.vm.sysMremap(this.cpu, address, oldLength, newLength, ourFlags, result);
    if (moved !== result) this.callDiffers('mremap', moved, result);
  }

  /**
   * A mapping that exec makes.
   *
   * @param argumentPages - pages of arguments and environment, for the stack
   */
  mapForExec(
    space: Space,
    argumentPages: number,
    { start, length, offset, inode, prot, path }: Extract<TraceEvent, { kind: 'mmap2' }>,
  ): void {
    const { vm } = this;
    const bits = (prot[0] === 'r' ? 1 : 0) | (prot[1] === 'w' ? 2 : 0) | (prot[2] === 'x' ? 4 : 0);
    const flags = vm.MAP_FIXED | vm.MAP_PRIVATE;
    if (path === '[stack]') {
      const anonymous = flags | vm.MAP_ANONYMOUS;
      this.map(space, start, length, bits, anonymous, undefined, 0, vm.VM_GROWSDOWN);
      this.writeArguments(start + length, argumentPages);
    } else if (path === '//anon' || path === '[heap]') {
      this.map(space, start, length, bits, flags | vm.MAP_ANONYMOUS, undefined, 0, 0);
    } else if (path.startsWith('[')) {
      const bare = path.startsWith('[vvar') ? vm.VM_PFNMAP : 0;
      this.map(space, start, length, bits, flags, this.files.special(path), 0, bare);
    } else {
      const file = this.files.named(path, inode);
      this.map(space, start, length, bits, flags, file, offset / vm.PAGE_SIZE, 0);
    }
  }

  /** exec copied arguments and environment into the top of the stack before it took effect. */
  private writeArguments(top: Vaddr, pages: number): void {
    for (let page = 1; page <= pages; page++) {
      const result = this.vm.storeUser(this.cpu, top - page * this.vm.PAGE_SIZE, 0);
      if (result < 0) throw this.report.full('the arguments of a program');
    }
  }

  private expectSuccess(call: string, result: number): void {
    if (result < 0) this.callDiffers(call, result, 0);
  }

  private callDiffers(call: string, ours: number, kernel: number): void {
    if (ours === -ENOMEM) throw this.report.full(`a ${call}`);
    this.report.note(`${call}: the kernel returned ${show(kernel)}, we ${show(ours)}`);
  }
}

/** A call's result, as messages have it. */
export function show(value: number): string {
  return value < 0 ? String(value) : `0x${value.toString(16)}`;
}
