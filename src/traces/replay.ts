/**
 * Replays a recorded program through our VM, fault by fault.
 *
 * The recording drives: system calls change the address space where and how the kernel changed it,
 * and every fault that the kernel took is a fault for us to explain. A fault is explained when our
 * MMU would have trapped on the same access for the same reason, that is with the same error code;
 * then our VM handles it. docs/traces.md has the rules, and why each.
 */
import { InputError, InvariantError } from '../base/errors.js';
import type { Vaddr, Word } from '../base/units.js';
import { vmConfig } from '../engines/configuration.js';
import { createPlain, type PlainVm } from '../engines/instance.js';
import { PlainCpu } from '../engines/parallel/plainCpu.js';
import type { Memory } from '../hardware/memory.js';
import type { VmDesign } from '../mm/design.js';
import type { PageStateName } from '../mm/layout/percpu.js';
import type { MmCounts } from '../oracle/counts.js';
import { countersOf, ProcessTally, type FaultCounter, type FaultKind } from './faultKinds.js';
import { KernelRss } from './kernelRss.js';
import { MappedAhead, type PrefaultAtExit } from './mappedAhead.js';
import type { TraceEvent } from './perfScript.js';
import { ReplayedHost, type HostTotals } from './replayedHost.js';
import { TracedCalls, show, type PendingCall, type Space } from './tracedCalls.js';
import { TracedFiles } from './tracedFiles.js';
import type { Truth } from './truth.js';

const CLONE_VM = 0x100;
const CLONE_THREAD = 0x1_0000;
/** Record tables large enough for any program that fits the machine. */
const REPLAY_LIMITS = {
  tasks: 4096,
  mms: 1024,
  vmas: 65536,
  anonVmas: 65536,
  anonVmaChains: 131072,
  files: 8192,
};

/**
 * Faults that one access may need: its page is read, and copied, while reclaim takes what it can.
 * A machine that needs more has no room for the pages of an access.
 */
const FAULTS_OF_AN_ACCESS = 64;

/** What memory pressure did, in pages. */
export interface Pressure {
  /** Size of the swap file. */
  readonly swap: number;
  readonly majorFaults: number;
  readonly swappedOut: number;
  readonly swappedIn: number;
  /** Not counting those that the kernel had in its cache before, or read while the program was recorded. */
  readonly fileRead: number;
  readonly fileWritten: number;
  readonly scanned: number;
  readonly reclaimed: number;
  /** Times, not pages: that an allocation had to reclaim, and that a huge page was not to be had. */
  readonly allocationStalls: number;
  readonly hugeFallbacks: number;
}

/** The machine that a trace is replayed on, in 4 KiB pages. */
export interface ReplayMachine {
  readonly frames: number;
  readonly swapPages: number;
  /** What a host wants of its memory, under designs with hinting: 0 to 1; nothing if left out. */
  readonly hostShare?: number | undefined;
}

/** What a process was when it ended. */
export interface FinishedProcess {
  readonly pid: number;
  readonly comm: string;
  readonly tally: ProcessTally;
  readonly kernelPeakBytes: number;
  readonly counts: MmCounts;
  /** Whether memory ran short before it ended. */
  readonly ranShort: boolean;
  /** Pages of our table at exit, in memory or swap, but for the bare frames of [vvar]: address to kind. */
  readonly pages: ReadonlyMap<Vaddr, 1 | 2>;
  /** What is mapped ahead, where the design has prefault. */
  readonly prefault: PrefaultAtExit | undefined;
}

/** Where the fault of a design that is broken on purpose, or as posted, ended its replay. */
export interface Stopped {
  readonly line: number;
  /** What did not hold. */
  readonly what: string;
}

interface Process {
  readonly pid: number;
  comm: string;
  /** Unknown before the first exec that is in the trace. */
  space: Space | undefined;
  tally: ProcessTally;
  finished: boolean;
  /** Whether its space is its parent's (vfork), until it execs. */
  borrows: boolean;
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

function isExec(call: string): boolean {
  return call === 'execve' || call === 'execveat';
}

export class Replay {
  readonly finished: FinishedProcess[] = [];
  /** Things the reader should know, each with how often. */
  readonly notes = new Map<string, number>();
  stopped: Stopped | undefined;
  /** What ran when it stopped. */
  readonly running: FinishedProcess[] = [];
  lostRecords = false;
  /** Whether processes still ran when the trace ended. */
  cutOff = false;
  private readonly processes = new Map<number, Process>();
  private readonly threads = new Map<number, TracedThread>();
  private readonly kernelMms = new Map<string, KernelRss>();
  private readonly files: TracedFiles;
  private readonly calls: TracedCalls;
  private readonly cpu: PlainCpu;
  private readonly host: ReplayedHost | undefined;
  private readonly faultCounters: readonly FaultCounter[];
  /** Counts the times that an allocation had to reclaim. */
  private readonly stalls: Word;
  private events = 0;
  private place = { file: '', line: 0 };

  private constructor(
    readonly design: VmDesign,
    private readonly vm: PlainVm,
    private readonly memory: Memory,
    truth: Truth | undefined,
    hostShare: number | undefined,
  ) {
    this.cpu = new PlainCpu(vm, memory, 0, { contents: false });
    vm.PROGRAMS.boot(this.cpu);
    this.host =
      hostShare === undefined || !vm.HINTING
        ? undefined
        : new ReplayedHost(vm, memory, this.cpu, hostShare);
    const counts = vm.percpuOf(this.cpu.id) + vm.Percpu.pageState;
    this.faultCounters = countersOf((name) => counts + vm.PageState[name]);
    this.stalls = counts + vm.PageState.allocstall;
    this.files = new TracedFiles(vm, this.cpu, truth, (what) => this.full(what));
    this.calls = new TracedCalls(vm, this.cpu, this.files, {
      note: (text) => this.note(text),
      full: (what) => this.full(what),
    });
  }

  static async create(
    design: VmDesign,
    { frames, swapPages, hostShare }: ReplayMachine,
    truth: Truth | undefined,
  ): Promise<Replay> {
    const machine = { arch: 'x86_64', frames, swapPages, cpus: 1, nodes: 1 } as const;
    const config = vmConfig(machine, design, REPLAY_LIMITS);
    const { vm, memory } = await createPlain(config);
    return new Replay(design, vm, memory, truth, hostShare);
  }

  /** Applies one event, unless the replay has stopped. `file` and `line` are for messages. */
  feed(event: TraceEvent, file: string, line: number): void {
    if (this.stopped !== undefined) return;
    try {
      this.apply(event, file, line);
    } catch (error) {
      this.stopOr(error, line);
    }
  }

  /** A design that is known to be broken may fail: that is a result of its replay. */
  private stopOr(error: unknown, line: number): void {
    if (this.design.broken === undefined || !(error instanceof InvariantError)) throw error;
    this.stopped = { line, what: error.message };
    for (const process of this.processes.values()) {
      if (process.space !== undefined && !process.finished)
        this.running.push(this.takeDown(process));
    }
  }

  private apply(event: TraceEvent, file: string, line: number): void {
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
        this.newTask(process, thread, event.child, event.cloneFlags);
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
        this.files.cacheChanged(event.inode, event);
        break;
      case 'lost':
        this.lostRecords = true;
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
    if (this.stopped !== undefined) return;
    this.cutOff = this.unfinished().length > 0;
    try {
      for (const process of this.processes.values()) this.finish(process);
      this.audit();
    } catch (error) {
      this.stopOr(error, this.place.line);
    }
  }

  private audit(): void {
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

  /** Whether the kernel may have had pages that we have not: taken by reclaim, or not cached for want of room. */
  get ranShort(): boolean {
    return this.files.leftSomeOut || this.memory.words[this.stalls] > 0;
  }

  /** Whether we may lack pages that the kernel had, for whatever reason. */
  private get mayLackPages(): boolean {
    return this.ranShort || this.host?.tookPages === true;
  }

  /** What a host took, where one wants something. */
  hostTotals(): HostTotals | undefined {
    return this.host?.totals();
  }

  /** @returns undefined where memory sufficed and no limit was asked for */
  pressure(): Pressure | undefined {
    if (this.vm.SWAP_SLOTS === 0 && !this.mayLackPages) return undefined;
    const states = this.pageStates();
    return {
      swap: this.vm.SWAP_SLOTS,
      majorFaults: states.pgmajfault,
      swappedOut: states.pswpout,
      swappedIn: states.pswpin,
      fileRead: states.pgpgin - this.files.pagesWarmed,
      fileWritten: states.pgpgout,
      scanned: states.pgscan_direct,
      reclaimed: states.pgsteal,
      allocationStalls: states.allocstall,
      hugeFallbacks: states.thp_fault_fallback,
    };
  }

  /** Free frames and all frames, in pages. */
  memoryPages(): { free: number; total: number } {
    let free = 0;
    for (let node = 0; node < this.vm.NODES; node++)
      free += this.vm.readZone(this.memory, node).freePages;
    return { free, total: this.vm.FRAMES };
  }

  private processOf({ pid, comm }: Pick<TraceEvent, 'pid' | 'comm'>): Process {
    let process = this.processes.get(pid);
    if (process === undefined) {
      process = {
        pid,
        comm,
        space: undefined,
        tally: new ProcessTally(),
        finished: false,
        borrows: false,
      };
      this.processes.set(pid, process);
    }
    process.comm = comm;
    return process;
  }

  private threadOf({ pid, tid }: Pick<TraceEvent, 'pid' | 'tid'>): TracedThread {
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
      thread.task = this.vm.createTask(this.cpu, process.space.mm, thread.tid);
      if (thread.task === 0) throw this.full('a task');
    }
    if (this.cpu.current !== thread.task) this.vm.switchTo(this.cpu, thread.task);
    return true;
  }

  private exception(
    process: Process,
    thread: TracedThread,
    address: Vaddr,
    errorCode: number,
  ): void {
    if (!(address < this.vm.TASK_SIZE) || !this.run(process, thread)) return;
    this.bringBack(process, address, errorCode);
    const explained = this.wouldFault(address, errorCode);
    thread.fault = { address, errorCode, explained, kind: this.kindOf(address, errorCode) };
  }

  /** The word of the entry that maps an address, a huge page's among them; 0 if there is no table for it. */
  private entryOf(address: Vaddr): Word {
    // Below 0 it is the entry of a huge page, which has the same bits.
    return Math.abs(this.vm.walk(this.cpu, address));
  }

  /** Whether our MMU traps on an access with the very error code that the kernel's saw. */
  private wouldFault(address: Vaddr, errorCode: number): boolean {
    const { vm, memory } = this;
    const ptep = this.entryOf(address);
    const entry = ptep === 0 ? 0 : memory.words[ptep];
    const present = (entry & vm.PTE_PRESENT) !== 0;
    if (present !== ((errorCode & vm.PF_PROT) !== 0)) return false;
    if (!present) return true;
    if ((errorCode & vm.PF_WRITE) !== 0) return (entry & vm.PTE_WRITE) === 0;
    return (errorCode & vm.PF_INSTR) !== 0 && (memory.words[ptep + 1] & vm.NO_EXEC_HIGH) !== 0;
  }

  /**
   * A page that was present when the kernel's trapped, and that reclaim may have taken from us, comes back by a
   * read: a fault that the kernel did not have, before the one that it had.
   */
  private bringBack(process: Process, address: Vaddr, errorCode: number): void {
    const { vm } = this;
    if (!this.mayLackPages || (errorCode & vm.PF_PROT) === 0) return;
    if (this.errorCodeNow(address, errorCode) === errorCode) return;
    this.extraFault(process, address, errorCode & ~(vm.PF_PROT | vm.PF_WRITE | vm.PF_INSTR));
  }

  /** @returns whether our VM could handle a fault that the kernel did not have */
  private extraFault(process: Process, address: Vaddr, errorCode: number): boolean {
    process.tally.extraFaults++;
    return this.doFault(process, address, errorCode);
  }

  private kindOf(address: Vaddr, errorCode: number): FaultKind {
    const { vm, memory } = this;
    const write = (errorCode & vm.PF_WRITE) !== 0;
    if ((errorCode & vm.PF_PROT) !== 0) return 'writeProtect';
    const vma = vm.findVma(this.cpu, this.cpu.mm, address);
    const file = vma !== 0 && memory.words[vma + vm.Vma.vmFile] !== 0;
    if (file) return write ? 'fileWrite' : 'fileRead';
    return write ? 'anonWrite' : 'anonRead';
  }

  /** The kernel has handled the thread's fault: so do we. */
  private faultDone(process: Process, thread: TracedThread): void {
    process.tally.events++;
    this.host?.afterFault();
    const fault = thread.fault;
    thread.fault = undefined;
    if (!this.run(process, thread)) return;
    if (fault === undefined) {
      throw new InputError(
        'TRACE_EVENTS',
        'a fault was handled and no exceptions:page_fault_* event came before: record both',
        this.place,
      );
    }
    const { address, errorCode } = fault;
    if (fault.window !== undefined) this.sawWindow(process.space!, address, fault.window);
    this.bringBack(process, address, errorCode);
    if (!fault.explained && this.mappedEarly(address, errorCode)) {
      const access = this.describeFault(address, errorCode);
      this.note(`mapped too early, around a page that had to be read again: ${access}`);
      const ours = this.errorCodeNow(address, errorCode);
      const handled = !this.wouldFault(address, ours) || this.handle(process, address, ours);
      process.tally.kernelFault(fault.kind, handled);
      return;
    }
    if (!fault.explained && this.metMappedAhead(process, fault)) return;
    const trapsNow = this.wouldFault(address, errorCode);
    const alike = fault.explained || trapsNow;
    if (!alike) this.unmapForRetry(address);
    // Another thread may have mapped the page between the two traps: then there is nothing left to do.
    const handled = alike && !trapsNow ? true : this.handle(process, address, errorCode);
    process.tally.kernelFault(fault.kind, alike && handled);
    if (!alike || !handled) this.note(`unexplained: ${this.describeFault(address, errorCode)}`);
    else this.touchedAhead(process, address, errorCode);
  }

  /**
   * Whether prefault mapped what the kernel's fault found missing, or read-only. With us the access does not trap, or
   * for another reason: a write to the zero page, or to a page that parent and child share.
   */
  private metMappedAhead(process: Process, { address, errorCode, kind }: PendingFault): boolean {
    const ahead = process.space?.ahead;
    if (kind === 'fileRead' || kind === 'fileWrite') return false;
    if (ahead?.has(address) !== true || this.wouldFault(address, errorCode)) return false;
    const ours = this.errorCodeNow(address, errorCode);
    if (this.wouldFault(address, ours)) {
      const handled = this.handle(process, address, ours);
      process.tally.kernelFault(kind, handled);
      process.tally.prefault.otherReason++;
    } else {
      process.tally.avoidedFault(kind);
    }
    this.touchedAhead(process, address, errorCode);
    return true;
  }

  /** After a recorded fault is dealt with: its page is touched, whether it was mapped ahead or not. */
  private touchedAhead(process: Process, address: Vaddr, errorCode: number): void {
    const ahead = process.space?.ahead;
    if (ahead === undefined) return;
    // Another thread's run mapped the zero page between the trap and its handling: the write traps again.
    if (ahead.has(address) && this.traps(address, errorCode)) {
      this.extraFault(process, address, this.errorCodeNow(address, errorCode));
    }
    ahead.touch(address, (errorCode & this.vm.PF_WRITE) !== 0);
    ahead.sample();
  }

  /**
   * Whether fault-around mapped a page of a file for us that the kernel had not mapped yet. It goes where the
   * kernel's did not when a page is read that had been read before, and no page marks read-ahead any more.
   */
  private mappedEarly(address: Vaddr, errorCode: number): boolean {
    const { vm, memory } = this;
    if (!this.mayLackPages || (errorCode & vm.PF_PROT) !== 0) return false;
    const ptep = this.entryOf(address);
    const entry = ptep === 0 ? 0 : memory.words[ptep];
    if ((entry & vm.PTE_PRESENT) === 0) return false;
    return (memory.words[vm.pageOf(vm.entryPfn(entry)) + vm.Page.flags] & vm.PG_cache) !== 0;
  }

  /** Without a truth, what the kernel mapped around a fault was in its cache. */
  private sawWindow(
    space: Space,
    address: Vaddr,
    window: { readonly first: number; readonly last: number },
  ): void {
    const vma = this.vm.findVma(this.cpu, this.cpu.mm, address);
    const file = space.files.get(this.memory.words[vma + this.vm.Vma.vmFile]);
    if (file !== undefined) this.files.sawCached(file, window.first, window.last);
  }

  /** Brings our table back to where the kernel's was: the page it found missing goes. */
  private unmapForRetry(address: Vaddr): void {
    const page = this.vm.pageMask(address);
    this.vm.sysMadvise(this.cpu, page, this.vm.PAGE_SIZE, this.vm.MADV_DONTNEED);
  }

  /** @returns whether our VM could map the page, as the kernel's did */
  private handle(process: Process, address: Vaddr, errorCode: number): boolean {
    const { words } = this.memory;
    let handled = process.tally.ourFault(words, this.faultCounters, () =>
      this.doFault(process, address, errorCode),
    );
    // Reclaim may take the page that is to be copied while a frame is found for the copy.
    for (let faults = 1; handled && this.mayLackPages && this.traps(address, errorCode); faults++) {
      if (faults === FAULTS_OF_AN_ACCESS) throw this.full(`the access to ${show(address)}`);
      handled = this.extraFault(process, address, this.errorCodeNow(address, errorCode));
    }
    return handled;
  }

  private doFault(process: Process, address: Vaddr, errorCode: number): boolean {
    const { vm } = this;
    const result = this.watchPrefault(process, address, errorCode, () =>
      vm.doPageFault(this.cpu, address, errorCode),
    );
    if (result === vm.VM_FAULT_OOM) throw this.full(`the page at ${show(address)}`);
    if (result === vm.VM_FAULT_MAJOR) process.tally.majors++;
    if (result < vm.VM_FAULT_MINOR) return false;
    if (this.host?.discards(this.entryOf(address)) !== true) return true;
    return this.extraFault(process, address, this.errorCodeNow(address, errorCode));
  }

  /** Lets `handle` handle a fault; of one that may map pages ahead it is noted which. */
  private watchPrefault(
    process: Process,
    address: Vaddr,
    errorCode: number,
    handle: () => number,
  ): number {
    const ahead = process.space?.ahead;
    if (ahead === undefined) return handle();
    const kind = this.kindOf(address, errorCode);
    const anonymous = kind === 'anonRead' || kind === 'anonWrite';
    return anonymous ? ahead.watchFault(process.tally.prefault, address, handle) : handle();
  }

  /** Whether an access traps, for whatever reason. */
  private traps(address: Vaddr, errorCode: number): boolean {
    return this.wouldFault(address, this.errorCodeNow(address, errorCode));
  }

  /** The error code of an access as our MMU would push it now. */
  private errorCodeNow(address: Vaddr, errorCode: number): number {
    const { vm, memory } = this;
    const ptep = this.entryOf(address);
    const present = ptep !== 0 && (memory.words[ptep] & vm.PTE_PRESENT) !== 0;
    return present ? errorCode | vm.PF_PROT : errorCode & ~vm.PF_PROT;
  }

  private describeFault(address: Vaddr, errorCode: number): string {
    const { vm, memory } = this;
    const vma = vm.findVma(this.cpu, this.cpu.mm, address);
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
    if (isExec(name)) {
      thread.execMmId = undefined;
      thread.execPages = 1;
    }
    if (name === 'exit_group') this.finish(process);
    // munmap takes effect at once: others may map its range before it returns.
    if (name === 'munmap' && this.run(process, thread)) {
      this.calls.munmap(args[0], args[1]);
      process.space?.ahead?.sweep();
    }
  }

  private exit(process: Process, thread: TracedThread, name: string, result: number): void {
    const { call } = thread;
    thread.call = undefined;
    if (isExec(name)) thread.inExec = false;
    if (call?.name !== name || !this.run(process, thread)) return;
    const space = process.space!;
    const make = (): void => this.calls.returned(space, call, result);
    if (space.ahead === undefined) make();
    else space.ahead.watchCall(process.tally.prefault, call, result, make);
  }

  /** A mapping that appears outside of the calls: exec's, or the growth of a stack. */
  private mmap2(
    process: Process,
    thread: TracedThread,
    event: Extract<TraceEvent, { kind: 'mmap2' }>,
  ): void {
    const { call } = thread;
    if (call !== undefined && !isExec(call.name)) {
      call.mmap2 = { path: event.path, inode: event.inode };
      return;
    }
    if (!thread.inExec || !this.run(process, thread)) return;
    this.calls.mapForExec(process.space!, thread.execPages, event);
    process.space?.ahead?.sample();
  }

  private exec(process: Process, thread: TracedThread, comm: string): void {
    process.comm = comm;
    process.tally.execs++;
    this.leave(process);
    const mm = this.vm.mmAlloc(this.cpu);
    if (mm === 0) throw this.full('an address space');
    const kernel = new KernelRss();
    kernel.set('MM_ANONPAGES', thread.execPages * this.vm.PAGE_SIZE);
    if (thread.execMmId !== undefined) this.kernelMms.set(thread.execMmId, kernel);
    const ahead =
      this.design.prefault === undefined
        ? undefined
        : new MappedAhead(this.vm, this.memory, this.cpu, mm);
    process.space = { mm, kernel, files: new Map(), brkKnown: false, ahead };
    process.finished = false;
    process.borrows = false;
    thread.inExec = true;
  }

  private newTask(
    parent: Process,
    thread: TracedThread,
    childPid: number,
    cloneFlags: number,
  ): void {
    // A thread of the same process gets its task when it first does something.
    if ((cloneFlags & CLONE_THREAD) !== 0) return;
    if (!this.run(parent, thread)) return;
    const borrows = (cloneFlags & CLONE_VM) !== 0;
    const { vm, cpu } = this;
    const { mm, files, kernel, brkKnown, ahead } = parent.space!;
    const task = borrows ? vm.createTask(cpu, mm, childPid) : vm.sysFork(cpu, childPid);
    if (task <= 0) throw this.full('a process');
    const child = this.processOf({ pid: childPid, comm: parent.comm });
    const childMm = this.memory.words[task + vm.Task.mm];
    child.borrows = borrows;
    child.space = {
      mm: childMm,
      kernel: borrows ? kernel : this.kernelRssOf(childMm),
      files: new Map(files),
      brkKnown,
      ahead: borrows ? ahead : ahead?.inheritedBy(childMm, child.tally.prefault),
    };
    this.threadOf({ pid: childPid, tid: childPid }).task = task;
  }

  /** The kernel tells nothing of what fork copied: it is taken to be what ours did. */
  private kernelRssOf(mm: Word): KernelRss {
    const { rss, anonRss } = this.vm.readMm(this.memory, mm);
    const swapped = this.vm.swapEntries(this.memory.words, mm).length;
    const kernel = new KernelRss();
    kernel.set('MM_ANONPAGES', (anonRss + swapped) * this.vm.PAGE_SIZE);
    kernel.set('MM_FILEPAGES', (rss - anonRss) * this.vm.PAGE_SIZE);
    return kernel;
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
    this.vm.switchTo(this.cpu, thread.task);
    this.vm.exitTask(this.cpu);
    thread.task = 0;
  }

  /** Takes down what a process was, before its memory goes. */
  private finish(process: Process): void {
    if (process.space === undefined || process.finished) return;
    // What it borrowed is shown as its parent's.
    if (!process.borrows) this.finished.push(this.takeDown(process));
    process.finished = true;
    this.leave(process);
  }

  private takeDown({ pid, comm, tally, space }: Process): FinishedProcess {
    const { mm, kernel, ahead } = space!;
    const counts = this.vm.readMm(this.memory, mm);
    return {
      pid,
      comm,
      tally,
      kernelPeakBytes: kernel.peakBytes,
      counts,
      ranShort: this.mayLackPages,
      pages: this.pagesOf(mm),
      prefault: ahead?.atExit(counts.hiwaterRss),
    };
  }

  private pagesOf(mm: Word): Map<Vaddr, 1 | 2> {
    const { vm, memory } = this;
    const pages = new Map<Vaddr, 1 | 2>();
    for (const { address, pfn, anon } of vm.mappedPages(memory, mm)) {
      const vma = vm.findVma(this.cpu, mm, address);
      if ((memory.words[vma + vm.Vma.vmFlags] & vm.VM_PFNMAP) !== 0) continue;
      pages.set(address, anon || pfn === vm.ZERO_PFN ? 1 : 2);
    }
    for (const { address } of vm.swapEntries(memory.words, mm)) pages.set(address, 1);
    return pages;
  }

  /** Ends all of a process's tasks, and with the last its address space. */
  private leave(process: Process): void {
    if (process.space === undefined || process.space.mm === 0) return;
    const tasks = [...this.threads.values()].filter(
      ({ pid, task }) => pid === process.pid && task !== 0,
    );
    if (tasks.length === 0) {
      const thread = this.threadOf({ pid: process.pid, tid: process.pid });
      thread.task = this.vm.createTask(this.cpu, process.space.mm, process.pid);
      tasks.push(thread);
    }
    for (const thread of tasks) this.endTask(thread);
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
    const execStarted = thread.call !== undefined && isExec(thread.call.name) && !thread.inExec;
    if (current && !execStarted) {
      const kernel = process.space?.kernel;
      if (kernel === undefined) return;
      this.kernelMms.set(mmId, kernel);
      kernel.set(member, bytes);
      if (thread.call?.name === 'madvise' && this.run(process, thread)) {
        this.calls.dontneed(thread.call);
        process.space?.ahead?.sweep();
      }
      return;
    }
    // A page that exec itself puts into the old space and takes out again, in no other event.
    if (current) return;
    const known = this.kernelMms.get(mmId);
    const fresh = known === undefined || known !== process.space?.kernel;
    if (execStarted && fresh && member === 'MM_ANONPAGES' && bytes > 0) {
      if (thread.execMmId === undefined || thread.execMmId === mmId) {
        thread.execMmId = mmId;
        thread.execPages = bytes / this.vm.PAGE_SIZE;
        return;
      }
    }
    known?.set(member, bytes);
  }

  private full(what: string): InputError {
    const { vm } = this;
    const { free } = this.memoryPages();
    const { anonymous, files, pageTables, others } = vm.frameUses(this.memory);
    const size = (pages: number): string => `${((pages * vm.PAGE_SIZE) / 2 ** 20).toFixed(1)} MiB`;
    const uses =
      `page tables ${size(pageTables)}, anonymous ${size(anonymous)}, files ${size(files)}, ` +
      `other ${size(others)}, free ${size(free)}`;
    return new InputError(
      'MACHINE_FULL',
      `out of memory (VM_FAULT_OOM): no frame or record is left for ${what} on a machine of ` +
        `${size(vm.FRAMES)} (${uses}) with ${size(vm.SWAP_SLOTS)} of swap, of which ` +
        `${size(vm.freeSwapSlots(this.memory))} are free; give more with --memory or --swap`,
      this.place,
    );
  }

  private note(text: string): void {
    this.notes.set(text, (this.notes.get(text) ?? 0) + 1);
  }
}
