/** The process of the page-fault test, on any engine: started, touched by its threads, ended. */
import { InputError } from '../base/errors.js';
import type { VmConfig } from '../engines/configuration.js';
import { runAlone, type Engine, type Thread } from '../engines/engine.js';
import { ARCHES, type ArchName } from '../hardware/arch/index.js';

/** Of a page, in bytes. */
export function pageBytes(arch: ArchName): number {
  return 2 ** ARCHES[arch].pageShift;
}

/** Frames for the pages, their tables and what each CPU keeps back. */
export function framesFor(arch: ArchName, pages: number, cpus: number): number {
  const entriesPerTable = 2 ** ARCHES[arch].indexBits[0];
  return pages + Math.ceil(pages / entriesPerTable) + 16 + 64 * (cpus + 1);
}

/** @returns the tasks, one a thread */
export async function startProcess(
  engine: Engine,
  threads: number,
  pages: number,
): Promise<number[]> {
  const tasks = [await runAlone(engine, 'pftStart', pages)];
  for (let thread = 1; thread < threads; thread++) {
    tasks.push(await runAlone(engine, 'pftThread', tasks[0], thread + 1));
  }
  if (tasks.includes(0)) throw new InputError('MACHINE_FULL', 'no memory to start a process');
  return tasks;
}

/** @param daemons - that run beside, on other CPUs than 0 */
export async function endProcess(
  engine: Engine,
  tasks: readonly number[],
  daemons: readonly Thread[] = [],
): Promise<void> {
  for (const task of tasks) {
    await engine.run([{ cpu: 0, program: 'pftExit', args: [task] }, ...daemons]);
  }
}

/**
 * Deals the pages out in equal runs; the last thread takes what is left over.
 *
 * @param cpus - of the threads, in order; the first ones unless given
 */
export function touches(
  tasks: readonly number[],
  pages: number,
  cpus: readonly number[] = [...tasks.keys()],
): Thread[] {
  const share = Math.floor(pages / tasks.length);
  return tasks.map((task, thread) => {
    const first = thread * share;
    const length = thread === tasks.length - 1 ? pages - first : share;
    return { cpu: cpus[thread], program: 'pftTouch', args: [task, first, length] };
  });
}

/** @throws InputError when a thread had no memory to touch */
export function checkTouched(results: readonly number[], pages: number): void {
  if (results.some((result) => result < 0)) {
    throw new InputError('MACHINE_FULL', `out of memory (VM_FAULT_OOM) touching ${pages} pages`);
  }
}

/**
 * The machine's kscrubds: each zeroes free memory on the last CPU of its node, unless that is one of those that are
 * busy.
 */
export function kscrubds({ machine, design }: VmConfig, busy: ReadonlySet<number>): Thread[] {
  if (design.prezero === undefined) return [];
  const { cpus, nodes } = machine;
  const perNode = Math.ceil(cpus / nodes);
  return Array.from({ length: nodes }, (_, node): Thread => {
    const cpu = Math.min((node + 1) * perNode, cpus) - 1;
    return { cpu, program: 'kscrubd', args: [node], daemon: true };
  }).filter(({ cpu }) => !busy.has(cpu));
}

/** Zeroes all free memory, where the design has that, before a clock runs. */
export async function scrubAll(engine: Engine, { machine, design }: VmConfig): Promise<void> {
  if (design.prezero === undefined) return;
  for (let node = 0; node < machine.nodes; node++) await runAlone(engine, 'scrubNode', node);
}
