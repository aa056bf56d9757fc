/**
 * Replays a recorded program through our VM, fault by fault.
 *
 * The recording drives: system calls change the address space where and how the kernel changed it,
 * and every fault that the kernel took is a fault for us to explain. A fault is explained when our
 * MMU would have trapped on the same access for the same reason, that is with the same error code;
 * then our VM handles it. docs/traces.md has the rules, and why each.
 */
import { ENOMEM } from '../base/errno.js';
import { InputError, InvariantError } from '../base/errors.js';
import type { Vaddr, Word } from '../base/units.js';
import { vmConfig } from '../engines/configuration.js';
import { createPlain, type PlainVm } from '../engines/instance.js';
import { PlainCpu } from '../engines/parallel/plainCpu.js';
import type { Cpu } from '../hardware/cpu.js';
import type { Memory } from '../hardware/memory.js';
import type { VmDesign } from '../mm/design.js';
import type { PageStateName } from '../mm/layout/percpu.js';
import type { MmCounts } from '../oracle/counts.js';
import { ProcessTally, type FaultKind } from './faultKinds.js';
import { KernelRss } from './kernelRss.js';
import type { TraceEvent } from './perfScript.js';
import { TracedFiles, type TracedFile } from './tracedFiles.js';
import type { Truth } from './truth.js';

const CLONE_VM = 0x100;
const CLONE_THREAD = 0x1_0000;
/** Calls that change an address space and that replay does not know yet. */
const UNKNOWN_CALLS = new Set([
  'mlock',
  'mlock2',
  'mlockall',
  'munlock',
  'munlockall',
  'msync',
  'remap_file_pages',
  'shmat',
  'shmdt',
  'process_madvise',
  'userfaultfd',
]);
/** Record tables large enough for any program that fits the machine. */
const REPLAY_LIMITS = { tasks: 4096, mms: 1024, vmas: 65536, anonVmas: 65536, files: 8192 };

/** An address space that a process runs in from its exec on. */
interface Space {
  /** Our mm; 0 once it is gone. */
  mm: Word;
  readonly kernel: KernelRss;
  /** Files mapped, by the VM's record. */
  readonly files: Map<Word, TracedFile>;
  brkKnown: boolean;
}

/** What a process was when it ended. */
export interface FinishedProcess {
  readonly pid: number;
  readonly comm: string;
  readonly tally: ProcessTally;
  readonly kernelPeakBytes: number;
  readonly counts: MmCounts;
  /** Pages of our table at exit, but for the bare frames of [vvar]: address to kind. */
  readonly pages: ReadonlyMap<Vaddr, 1 | 2>;
  /** Whether its parent forked it, or it forked, which is not modelled yet. */
  readonly forked: boolean;
}

interface Process {
  readonly pid: number;
  comm: string;
  /** Unknown before the first exec that is in the trace. */
  space: Space | undefined;
  tally: ProcessTally;
  finished: boolean;
  forked: boolean;
}

interface PendingCall {
  readonly name: string;
  readonly args: readonly number[];
  mmap2?: { readonly path: string; readonly inode: number };
  applied?: true;
}

interface PendingFault {
  readonly address: Vaddr;
  readonly errorCode: number;
  /** Whether our MMU would have trapped alike when the kernel's did. */
  readonly explained: boolean;
  readonly kind: FaultKind;
  window?: { readonly first: number; readonly last: number };
}

interface TracedThread {
  readonly tid: number;
  readonly pid: number;
  task: Word;
  call: PendingCall | undefined;
  fault: PendingFault | undefined;
  /** Between the exec itself and the end of the call. */
  inExec: boolean;
  /** The new space's hash and its argument pages, seen before exec takes effect. */
  execMmId: string | undefined;
  execPages: number;
}

export class Replay {
  readonly finished: FinishedProcess[] = [];
  /** Things the reader should know, each with how often. */
  readonly notes = new Map<string, number>();
  private readonly processes = new Map<number, Process>();
  private readonly threads = new Map<number, TracedThread>();
  private readonly kernelMms = new Map<string, KernelRss>();
  private readonly files: TracedFiles;
  private readonly cpu: PlainCpu;
  /** The same CPU, as the VM's functions call it. */
  private readonly vmCpu: Cpu;
  private events = 0;
  private place = { file: '', line: 0 };

  private constructor(
    readonly design: VmDesign,
    private readonly vm: PlainVm,
    private readonly memory: Memory,
    truth: Truth | undefined,
  ) {
    this.cpu = new PlainCpu(vm, memory, 0);
    this.vmCpu = this.cpu as unknown as Cpu;
    vm.PROGRAMS.boot(this.vmCpu);
    this.files = new TracedFiles(vm, this.cpu, truth);
  }

  /** @param frames - physical memory of the machine, in 4 KiB pages */
  static async create(design: VmDesign, frames: number, truth: Truth | undefined): Promise<Replay> {
    const config = vmConfig({ arch: 'x86_64', frames, cpus: 1, nodes: 1 }, design, REPLAY_LIMITS);
    const { vm, memory } = await createPlain(config);
    return new Replay(design, vm, memory, truth);
  }

  /** Applies one event. @param place - where it stands, for messages */
  feed(event: TraceEvent, file: string, line: number): void {
    this.events++;
    this.place = { file, line };
    const process = this.processOf(event);
    const thread = this.threadOf(event);
    switch (event.kind) {
      case 'exception':
        this.exception(process, thread, event.address, event.errorCode);
        break;
      case 'fault':
        this.faultDone(process, thread);
        break;
      case 'enter':
        this.enter(process, thread, event.call, event.args);
        break;
      case 'exit':
        this.exit(process, thread, event.call, event.result);
        break;
      case 'mmap2':
        this.mmap2(process, thread, event);
        break;
      case 'exec':
        this.exec(process, thread, event.comm);
        break;
      case 'newTask':
        this.newTask(process, event.cloneFlags);
        break;
      case 'taskExit':
        this.taskExit(process, thread, event.groupDead);
        break;
      case 'rssStat':
        this.rssStat(process, thread, event.mmId, event.current, event.member, event.bytes);
        break;
      case 'mapPages':
        if (thread.fault !== undefined) thread.fault.window = event;
        break;
      case 'pageCache':
        this.files.cacheChanged(event.inode, event.added, event.index, event.pages);
        break;
      case 'lost':
        this.note('lost records: faults and calls are missing');
        break;
    }
  }

  /** Events applied so far. */
  get eventCount(): number {
    return this.events;
  }

  /** Processes that ran a program and had not ended when the trace did. */
  unfinished(): number[] {
    return [...this.processes.values()]
      .filter(({ space, finished }) => space !== undefined && !finished)
      .map(({ pid }) => pid);
  }

  /** Ends what still runs. @throws InvariantError when our VM's own audit fails */
  close(): void {
    for (const process of this.processes.values()) this.finish(process);
    const faults = this.vm.audit(this.memory);
    if (faults.length > 0) {
      throw new InvariantError(
        `the audit after the replay found: ${faults.slice(0, 5).join('; ')}`,
      );
    }
  }

  /** The event counts of our system. */
  pageStates(): Record<PageStateName, number> {
    return this.vm.pageStates(this.memory);
  }

  /** Free frames and all frames, in pages. */
  memoryPages(): { free: number; total: number } {
    let free = 0;
    for (let node = 0; node < this.vm.NODES; node++)
      free += this.vm.readZone(this.memory, node).freePages;
    return { free, total: this.vm.FRAMES };
  }

  private processOf({ pid, comm }: TraceEvent): Process {
    let process = this.processes.get(pid);
    if (process === undefined) {
      process = {
        pid,
        comm,
        space: undefined,
        tally: new ProcessTally(),
        finished: false,
        forked: false,
      };
      this.processes.set(pid, process);
    }
    process.comm = comm;
    return process;
  }

  private threadOf({ pid, tid }: TraceEvent): TracedThread {
    let thread = this.threads.get(tid);
    if (thread === undefined) {
      thread = {
        tid,
        pid,
        task: 0,
        call: undefined,
        fault: undefined,
        inExec: false,
        execMmId: undefined,
        execPages: 1,
      };
      this.threads.set(tid, thread);
    }
    return thread;
  }

  /** Lets our CPU run a thread. @returns false where its address space is not known */
  private run(process: Process, thread: TracedThread): boolean {
    if (process.space === undefined || process.finished) return false;
    if (thread.task === 0) {
      thread.task = this.vm.createTask(this.vmCpu, process.space.mm, thread.tid);
      if (thread.task === 0) throw this.full('a task');
    }
    if (this.cpu.current !== thread.task) this.vm.switchTo(this.vmCpu, thread.task);
    return true;
  }

  private exception(
    process: Process,
    thread: TracedThread,
    address: Vaddr,
    errorCode: number,
  ): void {
    if (!(address < this.vm.TASK_SIZE) || !this.run(process, thread)) return;
    const explained = this.wouldFault(address, errorCode);
    thread.fault = { address, errorCode, explained, kind: this.kindOf(address, errorCode) };
  }

  /** Whether our MMU traps on an access with the very error code that the kernel's saw. */
  private wouldFault(address: Vaddr, errorCode: number): boolean {
    const { vm, memory, vmCpu } = this;
    const ptep = vm.walk(vmCpu, address);
    const entry = ptep === 0 ? 0 : memory.words[ptep];
    const present = (entry & vm.PTE_PRESENT) !== 0;
    if (present !== ((errorCode & vm.PF_PROT) !== 0)) return false;
    if (!present) return true;
    if ((errorCode & vm.PF_WRITE) !== 0) return (entry & vm.PTE_WRITE) === 0;
    return (errorCode & vm.PF_INSTR) !== 0 && (memory.words[ptep + 1] & vm.NO_EXEC_HIGH) !== 0;
  }

  private kindOf(address: Vaddr, errorCode: number): FaultKind {
    const { vm, memory } = this;
    const write = (errorCode & vm.PF_WRITE) !== 0;
    if ((errorCode & vm.PF_PROT) !== 0) return 'writeProtect';
    const vma = vm.findVma(this.vmCpu, this.cpu.mm, address);
    const file = vma !== 0 && memory.words[vma + vm.Vma.vmFile] !== 0;
    if (file) return write ? 'fileWrite' : 'fileRead';
    return write ? 'anonWrite' : 'anonRead';
  }

  /** The kernel has handled the thread's fault: so do we. */
  private faultDone(process: Process, thread: TracedThread): void {
    process.tally.events++;
    const fault = thread.fault;
    thread.fault = undefined;
    if (!this.run(process, thread)) {
      process.tally.beforeExec++;
      return;
    }
    if (fault === undefined) {
      throw new InputError(
        'TRACE_EVENTS',
        'a fault was handled and no exceptions:page_fault_* event came before: record both',
        this.place,
      );
    }
    const { address, errorCode } = fault;
    const explained = fault.explained || this.wouldFault(address, errorCode);
    process.tally.kernelFault(fault.kind, explained);
    if (fault.window !== undefined) this.sawWindow(process.space!, address, fault.window);
    if (!explained) {
      this.note(`unexplained: ${this.describeFault(address, errorCode)}`);
      this.unmapForRetry(address);
    }
    if (this.wouldFault(address, errorCode) || !explained) this.handle(process, address, errorCode);
  }

  /** Without a truth, what the kernel mapped around a fault was in its cache. */
  private sawWindow(
    space: Space,
    address: Vaddr,
    window: { readonly first: number; readonly last: number },
  ): void {
    const vma = this.vm.findVma(this.vmCpu, this.cpu.mm, address);
    const file = space.files.get(this.memory.words[vma + this.vm.Vma.vmFile]);
    if (file !== undefined) this.files.sawCached(file, window.first, window.last);
  }

  /** Brings our table back to where the kernel's was: the page it found missing goes. */
  private unmapForRetry(address: Vaddr): void {
    const page = this.vm.pageMask(address);
    this.vm.sysMadvise(this.vmCpu, page, this.vm.PAGE_SIZE, this.vm.MADV_DONTNEED);
  }

  private handle(process: Process, address: Vaddr, errorCode: number): void {
    const { vm } = this;
    const counts = vm.percpuOf(this.cpu.id) + vm.Percpu.pageState;
    const result = process.tally.ourFault(
      (name) => this.memory.words[counts + vm.PageState[name]],
      () => vm.doPageFault(this.vmCpu, address, errorCode),
    );
    if (result === vm.VM_FAULT_OOM) throw this.full(`the page at 0x${address.toString(16)}`);
    if (result < vm.VM_FAULT_MINOR) {
      this.note(`${vm.vmFaultName(result)}: ${this.describeFault(address, errorCode)}`);
    }
  }

  private describeFault(address: Vaddr, errorCode: number): string {
    const { vm, memory } = this;
    const vma = vm.findVma(this.vmCpu, this.cpu.mm, address);
    const inside = vma !== 0 && memory.wides[(vma + vm.Vma.vmStart) / 2] <= address;
    const record = inside ? memory.words[vma + vm.Vma.vmFile] : 0;
    const mapped = [...this.processes.values()].flatMap(({ space }) => [
      ...(space?.files.values() ?? []),
    ]);
    const path = mapped.find(({ file }) => file === record)?.path;
    const what = inside ? (path ?? 'anonymous memory') : 'no mapping';
    const access = (errorCode & vm.PF_WRITE) !== 0 ? 'write' : 'read';
    const present = (errorCode & vm.PF_PROT) !== 0 ? 'present' : 'missing';
    return `${access} of a ${present} page of ${what}`;
  }

  private enter(
    process: Process,
    thread: TracedThread,
    name: string,
    args: readonly number[],
  ): void {
    thread.call = { name, args };
    if (name === 'execve' || name === 'execveat') {
      thread.execMmId = undefined;
      thread.execPages = 1;
    }
    if (name === 'exit_group') this.finish(process);
    // munmap takes effect at once: others may map its range before it returns.
    if (name === 'munmap' && this.run(process, thread)) {
      this.expectSuccess('munmap', this.vm.sysMunmap(this.vmCpu, args[0], args[1]));
    }
  }

  private exit(process: Process, thread: TracedThread, name: string, result: number): void {
    const { call } = thread;
    thread.call = undefined;
    if (name === 'execve' || name === 'execveat') thread.inExec = false;
    if (call?.name !== name || !this.run(process, thread)) return;
    if (UNKNOWN_CALLS.has(name)) this.note(`${name} is not replayed yet`);
    if (result < 0 && name !== 'madvise') return;
    const { vm, vmCpu } = this;
    const [a, b, c, d] = call.args as [number, number, number, number];
    switch (name) {
      case 'mmap':
        this.mmapDone(process.space!, call, result);
        break;
      case 'brk':
        this.brkDone(process.space!, result);
        break;
      case 'mprotect':
      case 'pkey_mprotect':
        this.expectSuccess(name, vm.sysMprotect(vmCpu, a, b, c));
        break;
      case 'mremap': {
        const flags = vm.MREMAP_MAYMOVE | (result === a ? 0 : vm.MREMAP_FIXED);
        const moved = vm.sysMremap(vmCpu, a, b, c, flags, result);
        if (moved !== result) this.callDiffers('mremap', moved, result);
        if ((d & ~(vm.MREMAP_MAYMOVE | vm.MREMAP_FIXED)) !== 0) this.note('mremap flags not known');
        break;
      }
      case 'madvise':
        this.dontneed(call);
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
    const keep = flags & ~(3 | vm.MAP_ANONYMOUS | vm.MAP_FIXED_NOREPLACE);
    let file: TracedFile | undefined;
    if ((flags & vm.MAP_ANONYMOUS) === 0) {
      file =
        call.mmap2 === undefined
          ? this.files.sharedMemory(offset / vm.PAGE_SIZE + pages)
          : this.files.named(call.mmap2.path, call.mmap2.inode);
    } else if (shared) {
      file = this.files.sharedMemory(pages);
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
      this.vmCpu,
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
      this.vm.setBrk(this.vmCpu, result);
      return;
    }
    const ours = this.vm.sysBrk(this.vmCpu, result);
    if (ours !== result) this.callDiffers('brk', ours, result);
  }

  /** MADV_DONTNEED takes effect at its first rss_stat, or at its end if there was none. */
  private dontneed(call: PendingCall): void {
    const [address, length, advice] = call.args as [number, number, number];
    if (call.applied === true) return;
    call.applied = true;
    this.vm.sysMadvise(this.vmCpu, address, length, advice);
  }

  /** A mapping that appears outside of the calls: exec's, or the growth of a stack. */
  private mmap2(
    process: Process,
    thread: TracedThread,
    event: Extract<TraceEvent, { kind: 'mmap2' }>,
  ): void {
    const { call } = thread;
    if (call !== undefined && call.name !== 'execve' && call.name !== 'execveat') {
      call.mmap2 = { path: event.path, inode: event.inode };
      return;
    }
    if (!thread.inExec || !this.run(process, thread)) return;
    this.mapForExec(process.space!, thread, event);
  }

  private mapForExec(
    space: Space,
    thread: TracedThread,
    { start, length, offset, inode, prot, path }: Extract<TraceEvent, { kind: 'mmap2' }>,
  ): void {
    const { vm } = this;
    const bits = (prot[0] === 'r' ? 1 : 0) | (prot[1] === 'w' ? 2 : 0) | (prot[2] === 'x' ? 4 : 0);
    const flags = vm.MAP_FIXED | vm.MAP_PRIVATE;
    if (path === '[stack]') {
      const anonymous = flags | vm.MAP_ANONYMOUS;
      this.map(space, start, length, bits, anonymous, undefined, 0, vm.VM_GROWSDOWN);
      this.writeArguments(start + length, thread.execPages);
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
      const result = this.vm.storeUser(this.vmCpu, top - page * this.vm.PAGE_SIZE, 0);
      if (result < 0) throw this.full('the arguments of a program');
    }
  }

  private exec(process: Process, thread: TracedThread, comm: string): void {
    process.comm = comm;
    process.tally.beforeExec = process.tally.events;
    process.tally.execs++;
    this.leave(process);
    const mm = this.vm.mmAlloc(this.vmCpu);
    if (mm === 0) throw this.full('an address space');
    const kernel = new KernelRss();
    kernel.set('MM_ANONPAGES', thread.execPages * this.vm.PAGE_SIZE);
    if (thread.execMmId !== undefined) this.kernelMms.set(thread.execMmId, kernel);
    process.space = { mm, kernel, files: new Map(), brkKnown: false };
    process.finished = false;
    thread.inExec = true;
  }

  private newTask(parent: Process, cloneFlags: number): void {
    // A thread of the same process gets its task when it first does something.
    if ((cloneFlags & CLONE_THREAD) !== 0) return;
    if (parent.space === undefined || parent.finished) return;
    if ((cloneFlags & CLONE_VM) !== 0) {
      this.note('a child borrows its parent’s memory until exec (vfork): not modelled yet');
    } else {
      this.note('fork is not modelled yet: later write faults of the parent go unexplained');
    }
    parent.forked = true;
  }

  private taskExit(process: Process, thread: TracedThread, groupDead: boolean): void {
    if (groupDead) {
      this.finish(process);
      this.leave(process);
      this.processes.delete(process.pid);
    } else if (thread.task !== 0 && !process.finished) {
      this.endTask(thread);
    }
    this.threads.delete(thread.tid);
  }

  private endTask(thread: TracedThread): void {
    this.vm.switchTo(this.vmCpu, thread.task);
    this.vm.exitTask(this.vmCpu);
    thread.task = 0;
  }

  /** Takes down what a process was, before its memory goes. */
  private finish(process: Process): void {
    if (process.space === undefined || process.finished) return;
    const { mm, kernel } = process.space;
    this.finished.push({
      pid: process.pid,
      comm: process.comm,
      tally: process.tally,
      kernelPeakBytes: kernel.peakBytes,
      counts: this.vm.readMm(this.memory, mm),
      pages: this.pagesOf(mm),
      forked: process.forked,
    });
    process.finished = true;
    this.leave(process);
  }

  private pagesOf(mm: Word): Map<Vaddr, 1 | 2> {
    const { vm, memory } = this;
    const pages = new Map<Vaddr, 1 | 2>();
    for (const { address, pfn, anon } of vm.mappedPages(memory, mm)) {
      const vma = vm.findVma(this.vmCpu, mm, address);
      if ((memory.words[vma + vm.Vma.vmFlags] & vm.VM_PFNMAP) !== 0) continue;
      pages.set(address, anon || pfn === vm.ZERO_PFN ? 1 : 2);
    }
    return pages;
  }

  /** Ends all of a process's tasks, and with the last its address space. */
  private leave(process: Process): void {
    if (process.space === undefined) return;
    const tasks = [...this.threads.values()].filter(
      ({ pid, task }) => pid === process.pid && task !== 0,
    );
    if (tasks.length === 0 && process.space.mm !== 0) {
      const thread = this.threadOf({ pid: process.pid, tid: process.pid } as TraceEvent);
      thread.task = this.vm.createTask(this.vmCpu, process.space.mm, process.pid);
      tasks.push(thread);
    }
    if (process.space.mm !== 0) for (const thread of tasks) this.endTask(thread);
    process.space.mm = 0;
  }

  private rssStat(
    process: Process,
    thread: TracedThread,
    mmId: string,
    current: boolean,
    member: string,
    bytes: number,
  ): void {
    const execStarted = thread.call?.name.startsWith('execve') === true && !thread.inExec;
    if (current && !execStarted) {
      const kernel = process.space?.kernel;
      if (kernel === undefined) return;
      this.kernelMms.set(mmId, kernel);
      kernel.set(member, bytes);
      if (thread.call?.name === 'madvise' && this.run(process, thread)) this.dontneed(thread.call);
      return;
    }
    const known = this.kernelMms.get(mmId);
    const fresh = known === undefined || known !== process.space?.kernel;
    if (!current && execStarted && fresh && member === 'MM_ANONPAGES' && bytes > 0) {
      if (thread.execMmId === undefined || thread.execMmId === mmId) {
        thread.execMmId = mmId;
        thread.execPages = bytes / this.vm.PAGE_SIZE;
        return;
      }
    }
    known?.set(member, bytes);
  }

  private expectSuccess(call: string, result: number): void {
    if (result < 0) this.callDiffers(call, result, 0);
  }

  private callDiffers(call: string, ours: number, kernel: number): void {
    if (ours === -ENOMEM) throw this.full(`a ${call}`);
    this.note(`${call}: the kernel returned ${show(kernel)}, we ${show(ours)}`);
  }

  private full(what: string): InputError {
    const mebibytes = (this.vm.FRAMES * this.vm.PAGE_SIZE) / 2 ** 20;
    return new InputError(
      'MACHINE_FULL',
      `out of memory (VM_FAULT_OOM): no frame or record is left for ${what} on a machine of ` +
        `${mebibytes} MiB; give more with --memory`,
      this.place,
    );
  }

  private note(text: string): void {
    this.notes.set(text, (this.notes.get(text) ?? 0) + 1);
  }
}

function show(value: number): string {
  return value < 0 ? String(value) : `0x${value.toString(16)}`;
}
