/** A small machine with one process on one CPU, for tests that call the VM directly. */
import assert from 'node:assert/strict';
import { DESIGNS } from '../src/designs/index.js';
import { vmConfig } from '../src/engines/configuration.js';
import { MemoryDevice } from '../src/engines/device.js';
import { CountedDevice, DeviceRequests } from '../src/engines/deviceRequests.js';
import { createPlain, type PlainVm } from '../src/engines/instance.js';
import { PlainCpu } from '../src/engines/parallel/plainCpu.js';
import { ARCHES, ARCH_NAMES, type ArchName } from '../src/hardware/arch/index.js';
import type { Memory } from '../src/hardware/memory.js';
import type { VmDesign } from '../src/mm/design.js';

/** Access, as hardware/mmu.ts numbers it. */
export const READ = 0;
export const WRITE = 1;
export const FETCH = 2;

/**
 * The designs that are meant to be right; but for those with page tables in high memory, which do nothing of their own on
 * a machine without.
 */
export const RIGHT_DESIGNS: readonly VmDesign[] = DESIGNS.filter(
  ({ broken, highpte }) => broken === undefined && highpte === undefined,
);

/** Those with. */
export const HIGHPTE_DESIGNS: readonly VmDesign[] = DESIGNS.filter(
  ({ broken, highpte }) => broken === undefined && highpte !== undefined,
);

export { ARCH_NAMES };

/** Of the other architectures those designs that touch ptes in another way each. */
const REPRESENTATIVES: Partial<Record<ArchName, readonly string[]>> = {
  'i386-pae': ['page-table-lock', 'linux-6'],
  ppc64: ['v18', 'linux-6'],
  sparc64: ['page-table-lock-exchange', 'linux-6'],
  s390: ['page-table-lock'],
  'riscv-sv39': ['v18', 'pte-bit'],
  'riscv-sv48': ['page-table-lock'],
};

/** The right designs that tests run on an architecture: all of them on those of the source documents. */
export function designsOn(arch: ArchName): readonly VmDesign[] {
  const names = REPRESENTATIVES[arch];
  return RIGHT_DESIGNS.filter(({ name }) => names === undefined || names.includes(name));
}

/** Whether an architecture's pages can be mapped so that no instruction can be fetched from them. */
export function forbidsFetch(arch: ArchName): boolean {
  return ARCHES[arch].pte.exec !== 0 || ARCHES[arch].noExecHigh !== 0;
}

/** Where tests map: a boundary of every level up to 1 GiB. */
export const BASE = 0x4000_0000;

export interface TestMachine {
  readonly vm: PlainVm;
  readonly memory: Memory;
  readonly cpu: PlainCpu;
  /** Requests to the device, which can be made to fail. */
  readonly requests: DeviceRequests;
  /** Bytes of a page. */
  readonly page: number;
  /** Maps anonymous memory at a fixed place. */
  map(address: number, pages: number, prot?: number): void;
  /** Touches an address; returns whether it could. */
  touch(address: number, access: number): boolean;
  /** Loads a word, which must be possible. */
  load(address: number): number;
  /** Stores a word, which must be possible. */
  store(address: number, value: number): void;
  /** How an access fails, as a VM_FAULT_ code; undefined where it does not. */
  failure(address: number, access: number): number | undefined;
  /** Makes a child, which must be possible. @returns its task */
  fork(): number;
  /** Goes on as another task. */
  switchTo(task: number): void;
  /** Ends the current task, and goes on as another. */
  exit(next: number): void;
  /** Reclaims until nothing more can be had. */
  evict(): void;
  /** Whether a pte, or an entry above, maps a page of the process. */
  mapped(address: number): boolean;
  /** Major faults of the current task. */
  majors(): number;
  /** Slots of the swap file in use. */
  slotsInUse(): number;
  /** Frames that nobody uses. */
  freeFrames(): number;
  /** Counts of the process, in pages. */
  counts(): ReturnType<PlainVm['readMm']>;
  /** @returns the event count of a name */
  event(name: keyof ReturnType<PlainVm['pageStates']>): number;
  /** Fails the test when the audit finds something. */
  audit(): void;
}

export interface TestMachineOptions {
  readonly arch?: ArchName;
  readonly frames?: number;
  readonly design?: VmDesign;
  /** Slots of the swap file; without, none. */
  readonly swapPages?: number;
  readonly oomKiller?: boolean;
  /** With a CPU each, of which the first runs. */
  readonly nodes?: number;
  /** Frames from here on are high memory. */
  readonly lowFrames?: number;
  /** Slots of the pool. */
  readonly kmaps?: number;
}

export async function testMachine(options: TestMachineOptions = {}): Promise<TestMachine> {
  const { arch = 'x86_64', frames = 512, design = RIGHT_DESIGNS[0] } = options;
  const { swapPages = 0, oomKiller = false, lowFrames, kmaps, nodes = 1 } = options;
  const highmem = { ...(lowFrames && { lowFrames }), ...(kmaps && { kmaps }) };
  const machine = { arch, frames, cpus: nodes, nodes, swapPages, oomKiller, ...highmem };
  const config = vmConfig(machine, design);
  const { vm, memory } = await createPlain(config);
  const requests = new DeviceRequests();
  const device = new CountedDevice(new MemoryDevice(vm.PAGE_WORDS), requests);
  const cpu = new PlainCpu(vm, memory, 0, { device });
  vm.PROGRAMS.boot(cpu);
  vm.switchTo(cpu, vm.createTask(cpu, vm.mmAlloc(cpu), 1));
  const page = vm.PAGE_SIZE;
  const anonymous = vm.MAP_PRIVATE | vm.MAP_ANONYMOUS | vm.MAP_FIXED;
  return {
    vm,
    memory,
    cpu,
    requests,
    page,
    map: (address, pages, prot = 3) => {
      assert.equal(vm.sysMmap(cpu, address, pages * page, prot, anonymous, 0, 0, 0), address);
    },
    touch: (address, access) => vm.touchUser(cpu, address, access) >= 0,
    load: (address) => {
      const into: number[] = [];
      const result = vm.loadUser(cpu, address, into);
      assert.ok(result >= 0, `load of 0x${address.toString(16)}: ${faultOf(vm, result)}`);
      return into[0];
    },
    store: (address, value) => {
      const result = vm.storeUser(cpu, address, value);
      assert.ok(result >= 0, `store to 0x${address.toString(16)}: ${faultOf(vm, result)}`);
    },
    failure: (address, access) => {
      const result = vm.touchUser(cpu, address, access);
      return result < 0 ? vm.userFault(result) : undefined;
    },
    fork: () => {
      const child = vm.sysFork(cpu, 2);
      assert.ok(child > 0, `fork: ${child}`);
      return child;
    },
    switchTo: (task) => vm.switchTo(cpu, task),
    exit: (next) => {
      vm.exitTask(cpu);
      vm.switchTo(cpu, next);
    },
    evict: () => {
      for (let idle = 0; idle < 2;) idle = vm.tryToFreePages(cpu) === 0 ? idle + 1 : 0;
    },
    mapped: (address) => vm.mappedPages(memory, cpu.mm).some((page) => page.address === address),
    majors: () => memory.words[cpu.current + vm.Task.majFlt],
    slotsInUse: () => swapPages - memory.words[vm.SWAP + vm.Swap.freeSlots],
    freeFrames: () => {
      const pcpu = vm.percpuOf(0);
      const pcp = memory.words[pcpu + vm.Percpu.pcpCount];
      const zeroed = memory.words[pcpu + vm.Percpu.pcpZeroedCount];
      const low = vm.HIGHMEM ? memory.words[pcpu + vm.Percpu.pcpLowCount] : 0;
      return vm.readZone(memory, 0).freePages + pcp + zeroed + low;
    },
    counts: () => vm.readMm(memory, cpu.mm),
    event: (name) => vm.pageStates(memory)[name],
    audit: () => {
      assert.deepEqual(vm.audit(memory, [{ tlb: cpu.tlb, mm: cpu.mm }]), []);
    },
  };
}

function faultOf(vm: PlainVm, result: number): string {
  return result < 0 ? vm.vmFaultName(vm.userFault(result)) : 'none';
}
