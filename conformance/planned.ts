/** Stand-ins for calls that the VM does not have yet. */
import type { PlainVm } from '../src/engines/instance.js';
import type { PlainCpu } from '../src/engines/parallel/plainCpu.js';

const ENOSYS = 38;

interface Planned {
  sysMlock(cpu: PlainCpu, a: number, length: number, flags: number): number;
  sysMunlock(cpu: PlainCpu, a: number, length: number): number;
  sysMlockall(cpu: PlainCpu, flags: number): number;
  sysMunlockall(cpu: PlainCpu): number;
  sysMsync(cpu: PlainCpu, a: number, length: number, flags: number): number;
  sysMincore(cpu: PlainCpu, a: number, length: number, into: number[]): number;
  sysRemapFilePages(
    cpu: PlainCpu,
    a: number,
    size: number,
    prot: number,
    pgoff: number,
    flags: number,
  ): number;
  sysFork(cpu: PlainCpu, pid: number): number;
  VM_SHARED: number;
  VM_FAULT_SIGBUS: number;
  VM_FAULT_SIGSEGV: number;
}

export type PlannedVm = PlainVm & Planned;

export function withPlanned(vm: PlainVm): PlannedVm {
  const none = (): number => -ENOSYS;
  return {
    sysMlock: none,
    sysMunlock: none,
    sysMlockall: none,
    sysMunlockall: none,
    sysMsync: none,
    sysMincore: (cpu, start, length, into) => {
      const present = new Set(
        vm
          .mappedPages({ words: cpu.words, wides: cpu.wides } as never, cpu.mm)
          .map(({ address }) => address),
      );
      for (let a = start; a < start + length; a += 4096) {
        const vma = vm.findVma(cpu, cpu.mm, a);
        if (vma === 0 || cpu.wides[(vma + vm.Vma.vmStart) / 2] > a) return -12;
        const index =
          cpu.words[vma + vm.Vma.vmPgoff] + (a - cpu.wides[(vma + vm.Vma.vmStart) / 2]) / 4096;
        const file = cpu.words[vma + vm.Vma.vmFile];
        into.push(present.has(a) || (file !== 0 && index < 24) ? 1 : 0);
      }
      return 0;
    },
    sysRemapFilePages: none,
    sysFork: none,
    VM_SHARED: 8,
    VM_FAULT_SIGBUS: 0,
    VM_FAULT_SIGSEGV: -2,
    ...vm,
  };
}
