/**
 * The processes of a trace, on a machine of ours: what they map, fork, exec and end, where and how the kernel did it.
 * What is done at a fault is left to those who extend this: replay.ts explains it, timedReplay.ts times it.
 */
import { InputError } from '../base/errors.js';
import type { Word } from '../base/units.js';
import type { PlainVm } from '../engines/instance.js';
import { PlainCpu } from '../engines/parallel/plainCpu.js';
import type { Memory } from '../hardware/memory.js';
import { ProcessTally } from './faultKinds.js';
import { KernelRss } from './kernelRss.js';
import type { MappedAhead } from './mappedAhead.js';
import type { TraceEvent } from './perfScript.js';
import { TracedCalls, type PendingCall, type Space } from './tracedCalls.js';
import { TracedFiles } from './tracedFiles.js';
import type { Truth } from './truth.js';

const CLONE_VM = 0x100;
const CLONE_THREAD = 0x1_0000;

export interface Process {
  readonly pid: number;
  comm: string;
  /** Unknown before the first exec that is in the trace. */
  space: Space | undefined;
  tally: ProcessTally;
  finished: boolean;
  /** Whether its space is its parent's (vfork), until it execs. */
  borrows: boolean;
}

export interface TracedThread {
  readonly tid: number;
  readonly pid: number;
  task: Word;
  call: PendingCall | undefined;
  /** Between the exec itself and the end of the call. */
  inExec: boolean;
  /** The new space's hash and its argument pages, seen before exec takes effect. */
  execMmId: string | undefined;
  execPages: number;
}

export type FaultEvent = Extract<TraceEvent, { kind: 'exception' | 'fault' | 'mapPages' | 'lost' }>;

function isExec(call: string): boolean {
  return call === 'execve' || call === 'execveat';
}

export abstract class TracedProcesses {
  /** Things the reader should know, each with how often. */
  readonly notes = new Map<string, number>();
  protected readonly processes = new Map<number, Process>();
  protected readonly threads = new Map<number, TracedThread>();
  protected readonly files: TracedFiles;
  /** Makes all calls. */
  protected readonly cpu: PlainCpu;
  /** Of the event that is being applied. */
  protected place = { file: '', line: 0 };
  private readonly kernelMms = new Map<string, KernelRss>();
  private readonly calls: TracedCalls;
  private events = 0;

  /** @param vm - of a machine that has booted */
  protected constructor(
    protected readonly vm: PlainVm,
    protected readonly memory: Memory,
    truth: Truth | undefined,
  ) {
    this.cpu = new PlainCpu(vm, memory, 0, { contents: false });
    this.files = new TracedFiles(vm, this.cpu, truth, (what) => this.full(what));
    this.calls = new TracedCalls(vm, this.cpu, this.files, {
      note: (text) => this.note(text),
      full: (what) => this.full(what),
    });
  }

  /** A thread traps, its fault is handled, fault-around maps pages, or events were lost. */
  protected abstract atFault(process: Process, thread: TracedThread, event: FaultEvent): void;

  /** An address space, or who runs in it, is about to change. */
  protected abstract beforeChange(process: Process): void;

  /** A process ends or execs: what it was is still there. */
  protected abstract ends(process: Process): void;

  /** What is mapped ahead in a new address space, where that is of interest. */
  protected abstract aheadOf(mm: Word): MappedAhead | undefined;

  /** Events applied so far. */
  get eventCount(): number {
    return this.events;
  }

  /** @param line - of `file`, for messages */
  protected apply(event: TraceEvent, file: string, line: number): void {
    this.events++;
    this.place = { file, line };
    const process = this.processOf(event);
    const thread = this.threadOf(event);
    switch (event.kind) {
      case 'exception':
      case 'fault':
      case 'mapPages':
      case 'lost':
        this.atFault(process, thread, event);
        break;
      case 'pageCache':
        this.files.cacheChanged(event.inode, event);
        break;
      default:
        this.change(process, thread, event);
    }
  }

  private change(
    process: Process,
    thread: TracedThread,
    event: Exclude<TraceEvent, FaultEvent | { kind: 'pageCache' }>,
  ): void {
    switch (event.kind) {
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
    }
  }

  protected processOf({ pid, comm }: Pick<TraceEvent, 'pid' | 'comm'>): Process {
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

  protected threadOf({ pid, tid }: Pick<TraceEvent, 'pid' | 'tid'>): TracedThread {
    let thread = this.threads.get(tid);
    if (thread === undefined) {
      thread = {
        tid,
        pid,
        task: 0,
        call: undefined,
        inExec: false,
        execMmId: undefined,
        execPages: 1,
      };
      this.threads.set(tid, thread);
    }
    return thread;
  }

  /** Lets our CPU run a thread. @returns false where its address space is not known */
  protected run(process: Process, thread: TracedThread): boolean {
    if (process.space === undefined || process.finished) return false;
    if (thread.task === 0) {
      thread.task = this.vm.createTask(this.cpu, process.space.mm, thread.tid);
      if (thread.task === 0) throw this.full('a task');
    }
    if (this.cpu.current !== thread.task) this.vm.switchTo(this.cpu, thread.task);
    return true;
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
      this.beforeChange(process);
      this.calls.munmap(args[0], args[1]);
      process.space?.ahead?.sweep();
    }
  }

  private exit(process: Process, thread: TracedThread, name: string, result: number): void {
    const { call } = thread;
    thread.call = undefined;
    if (isExec(name)) thread.inExec = false;
    if (call?.name !== name || !this.run(process, thread)) return;
    this.beforeChange(process);
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
    this.beforeChange(process);
    this.calls.mapForExec(process.space!, thread.execPages, event);
    process.space?.ahead?.sample();
  }

  private exec(process: Process, thread: TracedThread, comm: string): void {
    process.comm = comm;
    process.tally.execs++;
    this.beforeChange(process);
    this.leave(process);
    const mm = this.vm.mmAlloc(this.cpu);
    if (mm === 0) throw this.full('an address space');
    const kernel = new KernelRss();
    kernel.set('MM_ANONPAGES', thread.execPages * this.vm.PAGE_SIZE);
    if (thread.execMmId !== undefined) this.kernelMms.set(thread.execMmId, kernel);
    process.space = { mm, kernel, files: new Map(), brkKnown: false, ahead: this.aheadOf(mm) };
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
    this.beforeChange(parent);
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
      this.beforeChange(process);
      this.endTask(thread);
    }
    this.threads.delete(thread.tid);
  }

  private endTask(thread: TracedThread): void {
    this.vm.switchTo(this.cpu, thread.task);
    this.vm.exitTask(this.cpu);
    thread.task = 0;
  }

  /** Ends what a process was, before its memory goes. */
  protected finish(process: Process): void {
    if (process.space === undefined || process.finished) return;
    this.beforeChange(process);
    // What it borrowed is shown as its parent's.
    if (!process.borrows) this.ends(process);
    process.finished = true;
    this.leave(process);
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
        this.beforeChange(process);
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

  protected full(what: string): InputError {
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

  protected note(text: string): void {
    this.notes.set(text, (this.notes.get(text) ?? 0) + 1);
  }

  /** Free frames and all frames, in pages. */
  memoryPages(): { free: number; total: number } {
    let free = 0;
    for (let node = 0; node < this.vm.NODES; node++)
      free += this.vm.readZone(this.memory, node).freePages;
    return { free, total: this.vm.FRAMES };
  }

  /** Processes that ran a program and had not ended when the trace did. */
  unfinished(): number[] {
    return [...this.processes.values()]
      .filter(({ space, finished }) => space !== undefined && !finished)
      .map(({ pid }) => pid);
  }
}
