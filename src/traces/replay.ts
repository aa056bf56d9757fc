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
import type { Memory } from '../hardware/memory.js';
import type { VmDesign } from '../mm/design.js';
import type { PageStateName } from '../mm/layout/percpu.js';
import type { MmCounts } from '../oracle/counts.js';
import { countersOf, type FaultCounter, type FaultKind, type ProcessTally } from './faultKinds.js';
import { MappedAhead, type PrefaultAtExit } from './mappedAhead.js';
import type { TraceEvent } from './perfScript.js';
import { ReplayedHost, type HostTotals } from './replayedHost.js';
import { show, type Space } from './tracedCalls.js';
import {
  TracedProcesses,
  type FaultEvent,
  type Process,
  type TracedThread,
} from './tracedProcesses.js';
import type { Truth } from './truth.js';

/** What traces are recorded on. */
export const REPLAY_ARCH = 'x86_64';
/** Record tables large enough for any program that fits the machine. */
export const REPLAY_LIMITS = {
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

/** A fault that our VM takes for a recorded one. */
export interface TakenFault {
  readonly address: Vaddr;
  readonly errorCode: number;
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

interface PendingFault {
  readonly address: Vaddr;
  readonly errorCode: number;
  /** Whether our MMU would have trapped alike when the kernel's did. */
  readonly explained: boolean;
  readonly kind: FaultKind;
  window?: { readonly first: number; readonly last: number };
}

export class Replay extends TracedProcesses {
  readonly finished: FinishedProcess[] = [];
  stopped: Stopped | undefined;
  /** What ran when it stopped. */
  readonly running: FinishedProcess[] = [];
  lostRecords = false;
  /** Whether processes still ran when the trace ended. */
  cutOff = false;
  private readonly host: ReplayedHost | undefined;
  /** Faults that our VM took for the last event. */
  readonly taken: TakenFault[] = [];
  private readonly pending = new WeakMap<TracedThread, PendingFault>();
  private readonly faultCounters: readonly FaultCounter[];
  /** Counts the times that an allocation had to reclaim. */
  private readonly stalls: Word;

  private constructor(
    readonly design: VmDesign,
    vm: PlainVm,
    memory: Memory,
    truth: Truth | undefined,
    hostShare: number | undefined,
  ) {
    super(vm, memory, truth);
    vm.PROGRAMS.boot(this.cpu);
    this.host =
      hostShare === undefined || !vm.HINTING
        ? undefined
        : new ReplayedHost(vm, memory, this.cpu, hostShare);
    const counts = vm.percpuOf(this.cpu.id) + vm.Percpu.pageState;
    this.faultCounters = countersOf((name) => counts + vm.PageState[name]);
    this.stalls = counts + vm.PageState.allocstall;
  }

  static async create(
    design: VmDesign,
    { frames, swapPages, hostShare }: ReplayMachine,
    truth: Truth | undefined,
  ): Promise<Replay> {
    const machine = { arch: REPLAY_ARCH, frames, swapPages, cpus: 1, nodes: 1 } as const;
    const config = vmConfig(machine, design, REPLAY_LIMITS);
    const { vm, memory } = await createPlain(config);
    return new Replay(design, vm, memory, truth, hostShare);
  }

  /** Applies one event, unless the replay has stopped. `file` and `line` are for messages. */
  feed(event: TraceEvent, file: string, line: number): void {
    this.taken.length = 0;
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

  protected atFault(process: Process, thread: TracedThread, event: FaultEvent): void {
    switch (event.kind) {
      case 'exception':
        this.exception(process, thread, event.address, event.errorCode);
        break;
      case 'fault':
        this.faultDone(process, thread);
        break;
      case 'mapPages': {
        const fault = this.pending.get(thread);
        if (fault !== undefined) fault.window = event;
        break;
      }
      case 'lost':
        this.lostRecords = true;
        this.note('lost records: faults and calls are missing');
        break;
    }
  }

  protected beforeChange(): void {
    // Each fault was handled when it came.
  }

  protected ends(process: Process): void {
    this.finished.push(this.takeDown(process));
  }

  protected aheadOf(mm: Word): MappedAhead | undefined {
    if (this.design.prefault === undefined) return undefined;
    return new MappedAhead(this.vm, this.memory, this.cpu, mm);
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

  private exception(
    process: Process,
    thread: TracedThread,
    address: Vaddr,
    errorCode: number,
  ): void {
    if (!(address < this.vm.TASK_SIZE) || !this.run(process, thread)) return;
    this.bringBack(process, address, errorCode);
    const explained = this.wouldFault(address, errorCode);
    this.pending.set(thread, {
      address,
      errorCode,
      explained,
      kind: this.kindOf(address, errorCode),
    });
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
    const fault = this.pending.get(thread);
    this.pending.delete(thread);
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
    this.taken.push({ address, errorCode });
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
}
