/**
 * The page-fault test on a simulated machine, by the machine's own clock.
 *
 * A machine with more memory than can be simulated is simulated on a scale: a part of the pages, of each node's
 * memory, and of the delay with which threads start; the times are multiplied again. Its CPUs and nodes stay.
 */
import { InputError } from '../base/errors.js';
import { Prng } from '../base/prng.js';
import { vmConfig, type VmConfig } from '../engines/configuration.js';
import type { Thread } from '../engines/engine.js';
import { placement, type SimulatedMachine } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import type { VmDesign } from '../mm/design.js';
import type { PftSetup, PftSpent } from './pft.js';
import {
  checkTouched,
  endProcess,
  framesFor,
  kscrubds,
  pageBytes,
  scrubAll,
  startProcess,
  touches,
} from './pftProcess.js';

/** Memory of a simulated machine, in bytes: one with more is simulated on a scale. */
const MEMORY_BYTES = 2 ** 30;

/** The scale at which a machine is simulated unless told otherwise. */
export function scaleOf({ cpus, cpusPerNode, nodeBytes }: SimulatedMachine): number {
  const bytes = Math.ceil(cpus / cpusPerNode) * nodeBytes;
  return 2 ** Math.max(0, Math.ceil(Math.log2(bytes / MEMORY_BYTES)));
}

/** @throws InputError when the machine has no room for the test */
export async function runSimulatedPft(
  machine: SimulatedMachine,
  setup: PftSetup,
): Promise<PftSpent> {
  const { design, threads, repetitions, seed = 1, scale = scaleOf(machine) } = setup;
  const pages = Math.floor(setup.bytes / scale / pageBytes(machine.arch));
  const config = configFor(machine, design, threads, pages, scale);
  const engine = await SimulateEngine.create(config, machine);
  const random = new Prng(seed);
  const total = { user: 0, system: 0, wall: 0, prezeroed: 0 };
  const cpus = placement(machine.cpus, machine.cpusPerNode).slice(0, threads);
  await scrubAll(engine, config);
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const tasks = await startProcess(engine, threads, pages);
    const { pgalloc_zeroed } = engine.vm.pageStates(engine.memory);
    const startNs = engine.nowNs;
    const touching = touches(tasks, pages, cpus).map((thread) =>
      delayed(thread, machine, scale, random),
    );
    const results = await engine.run([...touching, ...kscrubds(config, new Set(cpus))]);
    checkTouched(results.slice(0, threads), pages);
    const spans = engine.spans.slice(0, threads);
    const busyNs = spans.reduce((sum, span) => sum + span.endNs - span.startNs, 0);
    total.prezeroed += engine.vm.pageStates(engine.memory).pgalloc_zeroed - pgalloc_zeroed;
    const touchedNs = engine.nowNs;
    await endProcess(engine, tasks, kscrubds(config, new Set([0])));
    const userNs = pages * machine.costs.userNs;
    total.user += (scale * userNs) / 1e9;
    total.system += (scale * (busyNs - userNs + engine.nowNs - touchedNs)) / 1e9;
    total.wall += (scale * (engine.nowNs - startNs)) / 1e9;
  }
  return total;
}

function configFor(
  machine: SimulatedMachine,
  design: VmDesign,
  threads: number,
  pages: number,
  scale: number,
): VmConfig {
  const { name, arch, cpus, cpusPerNode, nodeBytes } = machine;
  if (threads > cpus) {
    throw new InputError('OPTION', `${threads} threads need as many CPUs, and ${name} has ${cpus}`);
  }
  const nodes = Math.ceil(cpus / cpusPerNode);
  const frames = Math.floor((nodes * nodeBytes) / scale / pageBytes(arch));
  if (frames < framesFor(arch, pages, threads)) {
    throw new InputError('OPTION', `${name} has too little memory for ${pages * scale} pages`);
  }
  return vmConfig({ arch, frames, cpus, nodes }, design, { tasks: threads + 2 });
}

/** A thread on another node than the first is started there by the scheduler, after a while. */
function delayed(
  thread: Thread,
  { cpusPerNode, costs }: SimulatedMachine,
  scale: number,
  random: Prng,
): Thread {
  if (thread.cpu < cpusPerNode) return thread;
  const delayNs = ((0.5 + random.below(2 ** 20) / 2 ** 20) * costs.startDelayNs) / scale;
  return { ...thread, delayNs };
}
