/** How often a guest tells its host of a page when that is mapped by a minor fault, and when it is unmapped (SPEC 4.4). */
import { InvariantError } from '../base/errors.js';
import { vmConfig } from '../engines/configuration.js';
import { createPlain, type PlainVm } from '../engines/instance.js';
import { PlainCpu } from '../engines/parallel/plainCpu.js';
import type { Memory } from '../hardware/memory.js';
import { Access } from '../hardware/mmu.js';
import type { VmDesign } from '../mm/design.js';

/** Pages that are mapped, and unmapped again. */
const PAGES = 256;
const BASE = 0x4000_0000;
const MACHINE = { arch: 'x86_64', frames: 2048, cpus: 1, nodes: 1, swapPages: 1024 } as const;

/** Times that the host is told of a page. */
export interface HintingTransitions {
  readonly design: string;
  /** By a minor fault that maps a page of the page cache, and by its unmap. */
  readonly fileFault: number;
  readonly fileUnmap: number;
  /** The same of a page of the swap cache, which another process maps too. */
  readonly swapFault: number;
  readonly swapUnmap: number;
}

/** What the two kinds of page come to under a design. */
export async function hintingTransitions(design: VmDesign): Promise<HintingTransitions> {
  const file = await machine(design);
  file.mapFile();
  const fileFault = file.changesOf(PAGES, () => file.touchAll());
  const fileUnmap = file.changesOf(0, () => file.unmap());
  const swap = await machine(design);
  swap.shareSwapped();
  const swapFault = swap.changesOf(PAGES, () => swap.touchAll());
  const swapUnmap = swap.changesOf(0, () => swap.unmap());
  return { design: design.name, fileFault, fileUnmap, swapFault, swapUnmap };
}

async function machine(design: VmDesign): Promise<HintedMachine> {
  const { vm, memory } = await createPlain(vmConfig(MACHINE, design));
  return new HintedMachine(vm, memory);
}

class HintedMachine {
  private readonly cpu: PlainCpu;

  constructor(
    private readonly vm: PlainVm,
    private readonly memory: Memory,
  ) {
    this.cpu = new PlainCpu(vm, memory, 0);
    vm.PROGRAMS.boot(this.cpu);
    vm.switchTo(this.cpu, vm.createTask(this.cpu, vm.mmAlloc(this.cpu), 1));
  }

  /**
   * Times a page that the host is told of one while something is done to PAGES of them.
   *
   * @param minors - minor faults that it must take: the figure is of nothing else
   */
  changesOf(minors: number, act: () => void): number {
    const before = this.counts();
    act();
    const after = this.counts();
    if (after.faults - before.faults !== minors || after.majors !== before.majors) {
      throw new InvariantError(`${after.faults - before.faults} faults, should be ${minors} minor`);
    }
    return (after.changes - before.changes) / PAGES;
  }

  /** Maps a file, so that each page, which is in the cache, takes a fault of its own. */
  mapFile(): void {
    const { vm, cpu } = this;
    const file = vm.openFile(cpu, PAGES, vm.FILE_NO_MAP_PAGES);
    for (let page = 0; page < PAGES; page++) vm.warmCachePage(cpu, file, page, vm.PG_uptodate);
    vm.lruAddDrain(cpu);
    const length = PAGES * vm.PAGE_SIZE;
    vm.sysMmap(cpu, BASE, length, 1, vm.MAP_SHARED | vm.MAP_FIXED, file, 0, 0);
  }

  /** Goes on as a child whose pages are in the swap file, and in the swap cache since its parent has read them. */
  shareSwapped(): void {
    const { vm, cpu } = this;
    const length = PAGES * vm.PAGE_SIZE;
    const flags = vm.MAP_PRIVATE | vm.MAP_ANONYMOUS | vm.MAP_FIXED;
    vm.sysMmap(cpu, BASE, length, 3, flags, 0, 0, 0);
    for (let page = 0; page < PAGES; page++) vm.storeUser(cpu, BASE + page * vm.PAGE_SIZE, 1);
    const child = vm.sysFork(cpu, 2);
    vm.sysMadvise(cpu, BASE, length, vm.MADV_PAGEOUT);
    this.touchAll();
    vm.lruAddDrain(cpu);
    vm.switchTo(cpu, child);
  }

  touchAll(): void {
    const { vm, cpu } = this;
    for (let page = 0; page < PAGES; page++) {
      vm.touchUser(cpu, BASE + page * vm.PAGE_SIZE, Access.READ);
    }
  }

  unmap(): void {
    this.vm.sysMunmap(this.cpu, BASE, PAGES * this.vm.PAGE_SIZE);
  }

  private counts(): { faults: number; majors: number; changes: number } {
    const states = this.vm.pageStates(this.memory);
    return {
      faults: states.pgfault,
      majors: states.pgmajfault,
      changes: states.page_make_stable + states.page_make_volatile + states.page_check_writable,
    };
  }
}
