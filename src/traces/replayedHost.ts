/**
 * The host beside a replayed guest: now and then it wants a share of the machine's memory, and takes what the guest
 * says that it may. docs/hinting.md has what that tells and what it cannot.
 */
import type { Word } from '../base/units.js';
import type { PlainVm } from '../engines/instance.js';
import type { PlainCpu } from '../engines/parallel/plainCpu.js';
import type { Memory } from '../hardware/memory.js';

/** Recorded faults from one look of the host to the next. */
const LOOK_EVERY = 1000;

/** What the host got and what the guest paid, in pages unless said otherwise. */
export interface HostTotals {
  /** Frames that the host wants. */
  readonly wanted: number;
  /** How often it looked. */
  readonly looks: number;
  /** Frames that it had after a look: the most, and on average. */
  readonly most: number;
  readonly average: number;
  /** Frames that it took: those that were free, and those that held pages which could be read again. */
  readonly unused: number;
  readonly volatile: number;
  /** Of the latter, those that ptes mapped: more accesses than there are such ptes cannot have met a frame that was gone. */
  readonly mapped: number;
  readonly ptes: number;
  /** Recorded faults that did meet one, times; and pages that left their cache for that. */
  readonly discardFaults: number;
  readonly discarded: number;
  /** How often the guest told the host of a frame: when it was taken from the free ones or given back, and otherwise. */
  readonly allocations: number;
  readonly changes: number;
}

export class ReplayedHost {
  private readonly wanted: number;
  private faults = 0;
  private looks = 0;
  private most = 0;
  private sum = 0;
  private unused = 0;
  private volatile = 0;
  private mapped = 0;
  private ptes = 0;

  /** @param share - of all frames, 0 to 1 */
  constructor(
    private readonly vm: PlainVm,
    private readonly memory: Memory,
    private readonly cpu: PlainCpu,
    share: number,
  ) {
    this.wanted = Math.floor(share * vm.FRAMES);
  }

  /** Whether pages may be missing for its sake. */
  get tookPages(): boolean {
    return this.volatile > 0;
  }

  /** A recorded fault has been handled. */
  afterFault(): void {
    this.faults++;
    if (this.faults % LOOK_EVERY === 0) this.look();
  }

  /**
   * The access that faulted is tried again: it may meet a frame that is gone.
   *
   * @param ptep - the entry for it
   * @returns whether it did; the pte is empty then
   */
  discards(ptep: Word): boolean {
    const { vm } = this;
    const entry = this.memory.words[ptep];
    if (ptep === 0 || (entry & vm.PTE_PRESENT) === 0 || !this.isGone(vm.entryPfn(entry)))
      return false;
    vm.doDiscardFault(this.cpu, vm.entryPfn(entry));
    return true;
  }

  totals(): HostTotals {
    const { wanted, looks, most, unused, volatile, mapped, ptes } = this;
    const states = this.vm.pageStates(this.memory);
    return {
      wanted,
      looks,
      most,
      average: looks === 0 ? 0 : this.sum / looks,
      unused,
      volatile,
      mapped,
      ptes,
      discardFaults: states.discard_fault,
      discarded: states.page_discard,
      allocations: states.page_set_stable + states.page_set_unused,
      changes: states.page_make_stable + states.page_make_volatile + states.page_check_writable,
    };
  }

  private isGone(pfn: number): boolean {
    return (this.memory.words[this.vm.hostState(pfn)] & this.vm.HOST_GONE) !== 0;
  }

  /** Takes as many frames as it lacks: first those that nobody uses. */
  private look(): void {
    const { vm, cpu } = this;
    let had = 0;
    for (let pfn = 0; pfn < vm.FRAMES; pfn++) if (this.isGone(pfn)) had++;
    const unused = vm.hostTakeFrames(cpu, this.wanted - had, true);
    const volatile = this.takeVolatile(this.wanted - had - unused);
    had += unused + volatile;
    this.looks++;
    this.sum += had;
    this.most = Math.max(this.most, had);
    this.unused += unused;
    this.volatile += volatile;
  }

  private takeVolatile(wanted: number): number {
    const { vm, cpu } = this;
    const { words } = this.memory;
    if (wanted <= 0) return 0;
    const before: boolean[] = [];
    for (let pfn = 0; pfn < vm.FRAMES; pfn++) before.push(this.isGone(pfn));
    const taken = vm.hostTakeFrames(cpu, wanted, false);
    for (let pfn = 0; pfn < vm.FRAMES; pfn++) {
      const ptes = words[vm.pageOf(pfn) + vm.Page.mapcount];
      if (before[pfn] || !this.isGone(pfn) || ptes === 0) continue;
      this.mapped++;
      this.ptes += ptes;
    }
    return taken;
  }
}
