/** Loads the built forms of the VM, one module instance per configuration and form. */
import { instanceUrl } from '../base/instance.js';
import type { Op } from '../hardware/cpu.js';
import type * as Vm from '../vm.js';
import type { VmConfig } from './configuration.js';

/** The stepped form: functions are generators, for engines/stepping.ts to run. */
export type SteppedVm = typeof Vm;

type PlainFunction<T> = T extends (...args: infer Args) => Op<infer Result>
  ? (...args: Args) => Result
  : T;

/** The plain form: the same functions, but they return at once. */
export type PlainVm = {
  [Name in keyof SteppedVm]: Name extends 'PROGRAMS'
    ? { [Program in keyof SteppedVm['PROGRAMS']]: PlainFunction<SteppedVm['PROGRAMS'][Program]> }
    : PlainFunction<SteppedVm[Name]>;
};

const BUILT = new URL('../../vm/', import.meta.url);

export async function loadPlain(config: VmConfig): Promise<PlainVm> {
  return (await import(instanceUrl(new URL('plain.js', BUILT), config))) as PlainVm;
}

export async function loadStepped(config: VmConfig): Promise<SteppedVm> {
  return (await import(instanceUrl(new URL('stepped.js', BUILT), config))) as SteppedVm;
}
