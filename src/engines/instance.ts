/**
 * Loads the built forms of the VM: the stepped form once per configuration, the others once per
 * machine.
 */
import { instanceUrl } from '../base/instance.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { configurationHash, type Allocate, type Memory } from '../hardware/memory.js';
import type * as Vm from '../vm.js';
import type { VmConfig } from './configuration.js';
import type { PlainCpu } from './parallel/plainCpu.js';
import { specialize, type Bindings } from './specialize.js';

/** The stepped form: functions are generators, for engines/stepping.ts to run. */
export type SteppedVm = typeof Vm;

type PlainFunction<T> = T extends (cpu: Cpu, ...args: infer Args) => Op<infer Result>
  ? (cpu: PlainCpu, ...args: Args) => Result
  : T;

/** The plain form: the same functions, but they run on a CPU of the parallel engine and return at once. */
export type PlainVm = {
  [Name in keyof SteppedVm]: Name extends 'PROGRAMS'
    ? { [Program in keyof SteppedVm['PROGRAMS']]: PlainFunction<SteppedVm['PROGRAMS'][Program]> }
    : PlainFunction<SteppedVm[Name]>;
};

/** Where the build puts the forms. */
const BUILT = new URL('../../vm/', import.meta.url);

export async function loadStepped(config: VmConfig): Promise<SteppedVm> {
  return (await import(urlOf('stepped.js', config))) as SteppedVm;
}

/** Memory that this thread alone uses. */
export function allocatePrivate(bytes: number): ArrayBuffer {
  return new ArrayBuffer(bytes);
}

/** A machine of this configuration: fresh memory, and the plain form bound to it. */
export async function createPlain(
  config: VmConfig,
  allocate: Allocate = allocatePrivate,
): Promise<{ vm: PlainVm; memory: Memory }> {
  const { createMemory, TOTAL_WORDS } = await loadStepped(config);
  const memory = createMemory(TOTAL_WORDS, configurationHash(config), allocate);
  return { vm: bind(config, memory), memory };
}

/** The plain form bound to the memory of a machine that another thread made. */
export async function attachPlain(
  config: VmConfig,
  buffer: SharedArrayBuffer | ArrayBuffer,
): Promise<{ vm: PlainVm; memory: Memory }> {
  const { attachMemory, TOTAL_WORDS } = await loadStepped(config);
  const memory = attachMemory(TOTAL_WORDS, configurationHash(config), buffer);
  return { vm: bind(config, memory), memory };
}

function bind(config: VmConfig, memory: Memory): PlainVm {
  const { words, wides } = memory;
  return specializeFor(config, 'plain', { words, wides }) as PlainVm;
}

/** A form that is a template, for one machine. @param bindings - see specialize.ts */
export function specializeFor(
  config: VmConfig,
  form: 'plain' | 'timedPlain' | 'timedStepped',
  bindings: Bindings,
): unknown {
  const file = `${form}.js`;
  return specialize(new URL(file, BUILT), urlOf(file, config), bindings);
}

function urlOf(file: string, config: VmConfig): string {
  const { machine, design } = config;
  return instanceUrl(new URL(file, BUILT), `${machine.arch},${design.name}`, config);
}
