/**
 * What a design with prefault maps ahead while a trace is replayed, and what becomes of it. docs/prefault.md tells
 * what of it is exact.
 *
 *   mapped ahead ──> touched       a recorded fault met the page mapped: it was avoided, or taken for another reason
 *        └─────────> never touched no recorded fault did before the page went: unmapped, moved from, or left at exit
 *
 * The tables are read before and after each fault. What the VM counts itself is not asked: prefault as posted counts
 * what it does not map.
 */
import type { Vaddr, Word } from '../base/units.js';
import type { PlainVm } from '../engines/instance.js';
import type { PlainCpu } from '../engines/parallel/plainCpu.js';
import type { Memory } from '../hardware/memory.js';
import type { PrefaultTally } from './faultKinds.js';
import type { PendingCall } from './tracedCalls.js';

interface AheadPage {
  readonly tally: PrefaultTally;
  /** Whether it has a frame: a run of reads maps the zero page. */
  readonly hasFrame: boolean;
  readonly inherited: boolean;
  touched: boolean;
}

/** The pages of one address space that are mapped with us and that the kernel had not mapped by then. */
export class MappedAhead {
  private readonly pages = new Map<Vaddr, AheadPage>();
  /** Pages with contents that were seen to read as zeros. */
  private readonly zeroed = new Set<Vaddr>();
  /** Frames that the process has with us only, and the most that it had of others. */
  private extraPages = 0;
  private peakOfOthers = 0;

  constructor(
    private readonly vm: PlainVm,
    private readonly memory: Memory,
    private readonly cpu: PlainCpu,
    private readonly mm: Word,
  ) {}

  /** What a child has of it by fork. */
  inheritedBy(mm: Word, tally: PrefaultTally): MappedAhead {
    const { vm, memory, cpu } = this;
    const child = new MappedAhead(vm, memory, cpu, mm);
    if (this.pages.size > 0) {
      const mapped = new Set(vm.mappedPages(memory, mm).map(({ address }) => address));
      for (const [address, { hasFrame, touched }] of this.pages) {
        if (!mapped.has(address)) continue;
        if (!touched) tally.inherited++;
        child.add(address, { tally, hasFrame, inherited: true, touched });
      }
    }
    child.sample();
    return child;
  }

  /** Whether a page is mapped ahead, and the kernel has none or the zero page. */
  has(address: Vaddr): boolean {
    return this.pages.has(this.vm.pageMask(address));
  }

  /** Lets the VM handle a fault on a missing page of private anonymous memory, and looks what it mapped behind it. */
  watchFault<T>(tally: PrefaultTally, address: Vaddr, handle: () => T): T {
    const page = this.vm.pageMask(address);
    const before = this.entriesFrom(page);
    const result = handle();
    this.compareBehind(tally, page, before);
    return result;
  }

  /**
   * Lets the VM make a call. One that faults pages in may map others behind them; what it faults in that was mapped
   * ahead is touched, since the kernel's is mapped from then on.
   */
  watchCall(tally: PrefaultTally, call: PendingCall, result: number, make: () => void): void {
    const range = populated(this.vm, call, result);
    const last = range && range.end - this.vm.PAGE_SIZE;
    const before = last === undefined ? undefined : this.entriesFrom(last);
    make();
    if (range !== undefined) {
      this.compareBehind(tally, last!, before);
      const end = result < 0 ? this.firstMissing(range.start, range.end) : range.end;
      for (const at of this.pages.keys()) {
        if (at >= range.start && at < end) this.touch(at, range.write);
      }
    }
    if (call.name === 'mremap' && result >= 0) {
      const [from, oldLength, newLength] = call.args as [number, number, number];
      this.move(from, Math.min(oldLength, newLength), result);
    }
    this.sweep();
    this.sample();
  }

  /** Where a call that failed stopped to fault pages in. */
  private firstMissing(start: Vaddr, end: Vaddr): Vaddr {
    let at = start;
    while (at < end && this.isMapped(at)) at += this.vm.PAGE_SIZE;
    return at;
  }

  private isMapped(address: Vaddr): boolean {
    const ptep = this.vm.walk(this.cpu, address);
    return ptep !== 0 && this.cpu.words[Math.abs(ptep)] !== 0;
  }

  /** The ptes from a page to the end of its leaf table; undefined where there is no table. */
  private entriesFrom(page: Vaddr): Int32Array | undefined {
    const { vm, cpu } = this;
    const ptep = page < vm.TASK_SIZE ? vm.walk(cpu, page) : 0;
    if (ptep <= 0) return undefined;
    const entries = vm.LEVEL_ENTRIES[0] - vm.levelIndex(page, 0);
    return cpu.words.slice(ptep, ptep + entries * vm.ENTRY_WORDS);
  }

  /** Notes what was mapped behind a page: a run ends with its leaf table. */
  private compareBehind(tally: PrefaultTally, page: Vaddr, before: Int32Array | undefined): void {
    const { ENTRY_WORDS, PAGE_SIZE } = this.vm;
    const now = this.entriesFrom(page);
    if (now === undefined) return;
    for (let word = ENTRY_WORDS; word < now.length; word += ENTRY_WORDS) {
      const at = page + (word / ENTRY_WORDS) * PAGE_SIZE;
      this.compare(tally, at, before?.[word] ?? 0, now[word]);
    }
  }

  /** @param was - the pte of a page before a fault on another @param now - and after it */
  private compare(tally: PrefaultTally, address: Vaddr, was: number, now: number): void {
    const { vm, cpu } = this;
    if (was === 0 && (now & vm.PTE_PRESENT) !== 0) {
      tally.mapped++;
      const hasFrame = vm.entryPfn(now) !== vm.ZERO_PFN;
      this.add(address, { tally, hasFrame, inherited: false, touched: false });
      return;
    }
    const hadContents = (was & vm.PTE_PRESENT) !== 0 && vm.entryPfn(was) !== vm.ZERO_PFN;
    if (!hadContents || this.zeroed.has(address)) return;
    const inTlb = cpu.tlb.lookup(address);
    const toldZero = (inTlb & vm.PTE_PRESENT) !== 0 && vm.entryPfn(inTlb) === vm.ZERO_PFN;
    if (!toldZero && vm.entryPfn(now) !== vm.ZERO_PFN) return;
    this.zeroed.add(address);
    tally.zeroed++;
  }

  /** The program touches a page. From a first write on, it has what the kernel's has. */
  touch(address: Vaddr, write: boolean): void {
    const at = this.vm.pageMask(address);
    const page = this.pages.get(at);
    if (page === undefined) return;
    if (!page.touched) {
      page.touched = true;
      if (page.inherited) page.tally.inheritedTouched++;
      else page.tally.touched++;
    }
    // What the program has only read is the zero page to the kernel.
    if (write || !page.hasFrame) this.delete(at);
  }

  /** After a call: forgets the pages that are not mapped any more. */
  sweep(): void {
    for (const address of this.pages.keys()) {
      if (!this.isMapped(address)) this.delete(address);
    }
  }

  /** mremap moved pages, over what was there. @param length - in bytes */
  private move(from: Vaddr, length: number, to: Vaddr): void {
    if (to === from) return;
    const within = (start: Vaddr): [Vaddr, AheadPage][] =>
      [...this.pages].filter(([at]) => at >= start && at < start + length);
    const moved = within(from);
    for (const [at] of [...moved, ...within(to)]) this.delete(at);
    for (const [at, page] of moved) this.add(at - from + to, page);
  }

  /** Notes how much memory the process has; to be called after whatever may have given it some. */
  sample(): void {
    const { rss } = this.vm.readMm(this.memory, this.mm);
    this.peakOfOthers = Math.max(this.peakOfOthers, rss - this.extraPages);
  }

  /** Of a process that ends. @param hiwaterRss - its most rss ever, in pages */
  atExit(hiwaterRss: number): PrefaultAtExit {
    const untouched = [...this.pages].filter(([, { touched }]) => !touched);
    return {
      untouched: new Set(untouched.map(([address]) => address)),
      extraPages: this.extraPages,
      extraAtPeakPages: hiwaterRss - this.peakOfOthers,
    };
  }

  private add(address: Vaddr, page: AheadPage): void {
    this.delete(address);
    this.pages.set(address, page);
    if (page.hasFrame) this.extraPages++;
  }

  private delete(address: Vaddr): void {
    if (this.pages.get(address)?.hasFrame === true) this.extraPages--;
    this.pages.delete(address);
  }
}

/** What a call faults in, or may, as far as it can have been mapped ahead before. @param result - the kernel's */
function populated(
  vm: PlainVm,
  { name, args }: PendingCall,
  result: number,
): { start: Vaddr; end: Vaddr; write: boolean } | undefined {
  const [start, length, option] = args as [number, number, number];
  const range = { start, end: vm.pageAlign(start + length), write: true };
  // Only madvise does a part of what it then fails to do.
  if (result < 0 && name !== 'madvise') return undefined;
  switch (name) {
    case 'mmap':
      return { ...range, start: result, end: vm.pageAlign(result + length) };
    case 'mlock':
      return range;
    case 'mlock2':
      return (option & vm.MLOCK_ONFAULT) === 0 ? range : undefined;
    case 'mlockall': {
      const now = (start & vm.MCL_CURRENT) !== 0 && (start & vm.MCL_ONFAULT) === 0;
      return now ? { ...range, start: 0, end: vm.TASK_SIZE } : undefined;
    }
    case 'madvise': {
      if (option === vm.MADV_POPULATE_WRITE) return range;
      return option === vm.MADV_POPULATE_READ ? { ...range, write: false } : undefined;
    }
    default:
      return undefined;
  }
}

/** What is mapped ahead when a process ends. */
export interface PrefaultAtExit {
  /** Where it has pages that it never touched. */
  readonly untouched: ReadonlySet<Vaddr>;
  /** Frames that it would not have without prefault, at exit; and by how much its peak is higher. */
  readonly extraPages: number;
  readonly extraAtPeakPages: number;
}
