/** Our side: the plain form of the VM on one CPU, which reports as the driver does. */
import { InvariantError } from '../src/base/errors.js';
import type { Pfn, Vaddr, Word } from '../src/base/units.js';
import { designNamed } from '../src/designs/index.js';
import { vmConfig } from '../src/engines/configuration.js';
import { createPlain, type PlainVm } from '../src/engines/instance.js';
import { PlainCpu } from '../src/engines/parallel/plainCpu.js';
import type { Memory } from '../src/hardware/memory.js';
import type { MappedPage } from '../src/oracle/pageTables.js';
import {
  Base,
  EMPTY_SLOT,
  MAX_PROCESSES,
  Prot,
  SLOTS,
  type Backing,
  type Call,
  type Observation,
  type Place,
  type Step,
} from './calls.js';
import type { Surroundings } from './linux.js';
import { formatRuns, type Report, type Reports } from './report.js';

/** Four processes' copies of all that a sequence can map, and room beside it. */
const FRAMES = 32_768;
/** Record tables that four processes with an area for each page do not fill. */
const LIMITS = { vmas: 8192, anonVmas: 8192, anonVmaChains: 65_536, files: 1024 };
/** As in the driver: pages of a file, and of one area at most that are told of. */
const FILE_PAGES = 24;
const MAX_AREA_PAGES = 2048;
/** As in the driver: the first word of a file's page is its mark plus the page's index; the second the mark. */
const MARKS = { disk: 0x1_0000, memory: 0x2_0000 } as const;

/** si_code of a signal (include/uapi/asm-generic/siginfo.h). */
const SEGV_MAPERR = 1;
const SEGV_ACCERR = 2;
const BUS_ADRERR = 2;
/** Numbers of signals (arch/x86/include/uapi/asm/signal.h). */
const SIGBUS = 7;
const SIGSEGV = 11;

/** Bits of a page's digit, as in the driver. */
const PRESENT = 1;
const OF_FILE = 2;
const EXCLUSIVE = 4;
const RESIDENT = 8;

interface Process {
  readonly task: Word;
  readonly slots: number[];
}

interface Area {
  readonly vma: Word;
  readonly start: Vaddr;
  readonly end: Vaddr;
  readonly flags: number;
}

export class OurSide {
  private readonly processes = new Array<Process | undefined>(MAX_PROCESSES);
  private readonly files: Readonly<Record<Exclude<Backing, 'anonymous'>, Word>>;
  private readonly cpu: PlainCpu;

  private constructor(
    private readonly vm: PlainVm,
    private readonly memory: Memory,
    private readonly surroundings: Surroundings,
  ) {
    this.cpu = new PlainCpu(vm, memory, 0);
    vm.PROGRAMS.boot(this.cpu);
    this.files = {
      disk: vm.openFile(this.cpu, FILE_PAGES, 0),
      memory: vm.openFile(this.cpu, FILE_PAGES, vm.FILE_MEMORY),
    };
  }

  static async create(surroundings: Surroundings): Promise<OurSide> {
    const machine = { arch: 'x86_64', frames: FRAMES, cpus: 1, nodes: 1 } as const;
    const { vm, memory } = await createPlain(vmConfig(machine, designNamed('v18'), LIMITS));
    return new OurSide(vm, memory, surroundings);
  }

  /** @throws InvariantError when the audit of the emptied machine finds something */
  run(steps: readonly Step[]): Reports {
    this.restoreFiles();
    this.startProcess();
    const reports: (Report | undefined)[] = [];
    for (const step of steps) {
      reports.push(this.doStep(step));
      // Without the new process there is nobody to do its steps.
      if (step.child !== undefined && this.processes[step.child] === undefined) break;
    }
    this.endProcesses();
    const faults = this.vm.audit(this.memory);
    if (faults.length > 0) {
      throw new InvariantError(
        `the audit after a sequence found: ${faults.slice(0, 5).join('; ')}`,
      );
    }
    return reports;
  }

  /** Both files as a sequence expects them, by way of a process that maps and fills them. */
  private restoreFiles(): void {
    const { vm, cpu } = this;
    this.enterNewProcess();
    for (const name of ['disk', 'memory'] as const) {
      const file = this.files[name];
      vm.truncateFile(cpu, file, 0);
      vm.truncateFile(cpu, file, FILE_PAGES);
      for (let index = 0; index < FILE_PAGES; index++) {
        vm.warmCachePage(cpu, file, index, vm.PG_uptodate);
      }
      const bytes = FILE_PAGES * vm.PAGE_SIZE;
      const prot = Prot.PROT_READ | Prot.PROT_WRITE;
      const start = vm.sysMmap(cpu, 0, bytes, prot, vm.MAP_SHARED, file, 0, 0);
      for (let index = 0; index < FILE_PAGES; index++) {
        const page = start + index * vm.PAGE_SIZE;
        vm.storeUser(cpu, page, MARKS[name] + index);
        vm.storeUser(cpu, page + 4, MARKS[name]);
      }
    }
    vm.exitTask(cpu);
  }

  private enterNewProcess(): Word {
    const { vm, cpu } = this;
    const task = vm.createTask(cpu, vm.mmAlloc(cpu), 1);
    vm.switchTo(cpu, task);
    return task;
  }

  /** A process like the driver's: with a heap, and with areas that its calls leave alone. */
  private startProcess(): void {
    const { vm, cpu } = this;
    const task = this.enterNewProcess();
    const flags = vm.MAP_PRIVATE | vm.MAP_ANONYMOUS | vm.MAP_FIXED;
    for (const { start, end } of this.surroundings.areas) {
      vm.sysMmap(cpu, start, end - start, Prot.PROT_READ, flags, 0, 0, vm.VM_PFNMAP);
    }
    vm.setBrk(cpu, this.surroundings.heap);
    this.processes[0] = { task, slots: new Array<number>(SLOTS).fill(EMPTY_SLOT) };
  }

  private endProcesses(): void {
    this.processes.forEach((process, i) => {
      if (process === undefined) return;
      this.vm.switchTo(this.cpu, process.task);
      this.vm.exitTask(this.cpu);
      this.processes[i] = undefined;
    });
  }

  private doStep(step: Step): Report | undefined {
    const { vm, cpu, memory } = this;
    const { task, slots } = this.processes[step.process]!;
    vm.switchTo(cpu, task);
    if (step.action.call === 'exit') {
      vm.exitTask(cpu);
      this.processes[step.process] = undefined;
      return undefined;
    }
    const minor = memory.words[task + vm.Task.minFlt];
    const major = memory.words[task + vm.Task.majFlt];
    const outcome = this.doAction(step, slots);
    return {
      outcome,
      minorFaults: memory.words[task + vm.Task.minFlt] - minor,
      majorFaults: memory.words[task + vm.Task.majFlt] - major,
      areas: step.action.call === 'contents' ? this.contents() : this.pages(),
    };
  }

  private doAction({ action, child }: Step, slots: number[]): string {
    switch (action.call) {
      case 'load':
        return this.load(this.locate(action.at, slots));
      case 'store':
        return this.store(this.locate(action.at, slots), action.value);
      case 'mincore':
        return this.mincore(this.locate(action.at, slots), action.length);
      case 'fork':
        return this.fork(child!, slots);
      default: {
        const result = this.systemCall(action, slots);
        if ('into' in action && action.into !== undefined && result >= 0) {
          slots[action.into] = result;
        }
        return String(result);
      }
    }
  }

  private locate({ base, offset }: Place, slots: readonly number[]): Vaddr {
    if (base === 'heap') return this.surroundings.heap + offset;
    return (typeof base === 'number' ? slots[base] : Base[base]) + offset;
  }

  private systemCall(action: Call | Observation, slots: readonly number[]): number {
    const { vm, cpu } = this;
    const at = 'at' in action ? this.locate(action.at, slots) : 0;
    switch (action.call) {
      case 'mmap': {
        const { length, prot, flags, backing, pgoff } = action;
        const file = backing === 'anonymous' ? 0 : this.files[backing];
        return vm.sysMmap(cpu, at, length, prot, flags, file, pgoff, 0);
      }
      case 'munmap':
        return vm.sysMunmap(cpu, at, action.length);
      case 'mprotect':
        return vm.sysMprotect(cpu, at, action.length, action.prot);
      case 'mremap': {
        const { oldLength, newLength, flags, to } = action;
        return vm.sysMremap(cpu, at, oldLength, newLength, flags, this.locate(to, slots));
      }
      case 'madvise':
        return vm.sysMadvise(cpu, at, action.length, action.advice);
      case 'brk':
        return vm.sysBrk(cpu, at);
      case 'mlock':
        return vm.sysMlock(cpu, at, action.length, 0);
      case 'mlock2':
        return vm.sysMlock(cpu, at, action.length, action.flags);
      case 'munlock':
        return vm.sysMunlock(cpu, at, action.length);
      case 'mlockall':
        return vm.sysMlockall(cpu, action.flags);
      case 'munlockall':
        return vm.sysMunlockall(cpu);
      case 'msync':
        return vm.sysMsync(cpu, at, action.length, action.flags);
      case 'remap_file_pages': {
        const { length, prot, pgoff, flags } = action;
        return vm.sysRemapFilePages(cpu, at, length, prot, pgoff, flags);
      }
      case 'ftruncate':
        vm.truncateFile(cpu, this.files.memory, action.pages);
        return 0;
      default:
        return 0;
    }
  }

  private mincore(address: Vaddr, length: number): string {
    const pages: number[] = [];
    const result = this.vm.sysMincore(this.cpu, address, length, pages);
    return result === 0 && length > 0 ? `0 ${formatRuns(pages, String)}` : String(result);
  }

  private fork(child: number, slots: readonly number[]): string {
    const task = this.vm.sysFork(this.cpu, child + 1);
    if (task < 0) return String(task);
    this.processes[child] = { task, slots: [...slots] };
    return '0';
  }

  private load(address: Vaddr): string {
    const into: number[] = [];
    const result = this.vm.loadUser(this.cpu, address, into);
    return result < 0 ? this.signal(result, address) : String(into[0]);
  }

  private store(address: Vaddr, value: number): string {
    const result = this.vm.storeUser(this.cpu, address, value);
    return result < 0 ? this.signal(result, address) : '0';
  }

  /** The signal of a failed access, with its si_code. */
  private signal(result: number, address: Vaddr): string {
    const { vm } = this;
    switch (vm.userFault(result)) {
      case vm.VM_FAULT_SIGBUS:
        return `SIGBUS ${BUS_ADRERR}`;
      case vm.VM_FAULT_SIGSEGV:
        return `SIGSEGV ${this.isMapped(address) ? SEGV_ACCERR : SEGV_MAPERR}`;
      default:
        throw new InvariantError(`an access ends with ${vm.vmFaultName(vm.userFault(result))}`);
    }
  }

  private isMapped(address: Vaddr): boolean {
    const vma = this.vm.findVma(this.cpu, this.cpu.mm, address);
    return vma !== 0 && this.memory.wides[(vma + this.vm.Vma.vmStart) / 2] <= address;
  }

  /** The VMAs that the sequence made. */
  private areas(): Area[] {
    const { vm, memory } = this;
    const areas: Area[] = [];
    for (let vma = memory.words[this.cpu.mm + vm.Mm.mmap]; vma !== 0;) {
      const flags = memory.words[vma + vm.Vma.vmFlags];
      if ((flags & vm.VM_PFNMAP) === 0) {
        const start = memory.wides[(vma + vm.Vma.vmStart) / 2];
        const end = memory.wides[(vma + vm.Vma.vmEnd) / 2];
        areas.push({ vma, start, end, flags });
      }
      vma = memory.words[vma + vm.Vma.vmNext];
    }
    return areas;
  }

  private formatArea({ vma, start, end, flags }: Area, pages: string): string {
    const { vm, memory } = this;
    const bit = (flag: number, letter: string): string => ((flags & flag) !== 0 ? letter : '-');
    const shared = (flags & vm.VM_SHARED) !== 0;
    const perms =
      bit(Prot.PROT_READ, 'r') +
      bit(Prot.PROT_WRITE, 'w') +
      bit(Prot.PROT_EXEC, 'x') +
      (shared ? 's' : 'p');
    const file = memory.words[vma + vm.Vma.vmFile];
    const offset = file === 0 ? 0 : memory.words[vma + vm.Vma.vmPgoff] * vm.PAGE_SIZE;
    const range = `${start.toString(16)}-${end.toString(16)}`;
    return `${range} ${perms} ${offset.toString(16)} ${this.backing(file, start, end)} ${pages}`;
  }

  private backing(file: Word, start: Vaddr, end: Vaddr): string {
    if (file === this.files.disk) return 'disk';
    if (file === this.files.memory) return 'memory';
    if (file !== 0) return 'shared-anon';
    const { vm, memory, cpu } = this;
    const startBrk = memory.wides[(cpu.mm + vm.Mm.startBrk) / 2];
    const brk = memory.wides[(cpu.mm + vm.Mm.brk) / 2];
    return start < brk && end > startBrk ? '[heap]' : 'anon';
  }

  /** The areas with the states of their pages. */
  private pages(): string[] {
    const mapped = this.vm.mappedPages(this.memory, this.cpu.mm);
    let next = 0;
    return this.areas().map((area) => {
      const digits = this.residentDigits(area);
      while (next < mapped.length && mapped[next].address < area.start) next++;
      for (; next < mapped.length && mapped[next].address < area.end; next++) {
        const index = (mapped[next].address - area.start) / this.vm.PAGE_SIZE;
        if (index < digits.length) digits[index] |= this.digitOf(mapped[next]);
      }
      return this.formatArea(
        area,
        formatRuns(digits, (digit) => digit.toString(16)),
      );
    });
  }

  private residentDigits({ start, end }: Area): Uint8Array {
    const { vm, cpu } = this;
    const count = Math.min((end - start) / vm.PAGE_SIZE, MAX_AREA_PAGES);
    const resident: number[] = [];
    vm.sysMincore(cpu, start, count * vm.PAGE_SIZE, resident);
    const digits = new Uint8Array(count);
    for (let i = 0; i < count; i++) digits[i] = resident[i] === 0 ? 0 : RESIDENT;
    return digits;
  }

  private digitOf(page: MappedPage): number {
    // The page of zeros has no state, unless it is the huge one: that is not anonymous.
    if (page.zero && !page.huge) return PRESENT;
    // Of a huge page, pagemap tells for each page what holds for the first.
    const told = page.huge ? this.hugeHead(page.pfn) : page.pfn;
    const exclusive = this.mapcount(told) === 1 ? EXCLUSIVE : 0;
    return PRESENT | (page.anon ? 0 : OF_FILE) | exclusive;
  }

  /** Entries of all page tables that map a page, by itself or with its whole huge page. */
  private mapcount(pfn: Pfn): number {
    const { vm, memory } = this;
    const page = vm.pageOf(pfn);
    const small = memory.words[page + vm.Page.mapcount];
    if ((memory.words[page + vm.Page.flags] & (vm.PG_head | vm.PG_tail)) === 0) return small;
    return small + memory.words[vm.hugeMapcount(this.hugeHead(pfn))];
  }

  private hugeHead(pfn: Pfn): Pfn {
    return pfn - (pfn % this.vm.HUGE_PAGES);
  }

  /** The areas with the first two words of each page that may be read. */
  private contents(): string[] {
    return this.areas().map((area) => {
      if ((area.flags & Prot.PROT_READ) === 0) return this.formatArea(area, '');
      const count = Math.min((area.end - area.start) / this.vm.PAGE_SIZE, MAX_AREA_PAGES);
      const pages = Array.from({ length: count }, (_, i) =>
        this.firstWords(area.start + i * this.vm.PAGE_SIZE),
      );
      return this.formatArea(area, formatRuns(pages, String));
    });
  }

  private firstWords(address: Vaddr): string {
    const { vm, cpu } = this;
    const first: number[] = [];
    const second: number[] = [];
    const result = vm.loadUser(cpu, address, first);
    if (result < 0) {
      const number = vm.userFault(result) === vm.VM_FAULT_SIGBUS ? SIGBUS : SIGSEGV;
      return `-${number.toString(16)}`;
    }
    vm.loadUser(cpu, address + 4, second);
    return ((second[0] >>> 0) * 2 ** 32 + (first[0] >>> 0)).toString(16);
  }
}
