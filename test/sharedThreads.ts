/** Threads of a few processes at random work on shared memory and files, for tests to run beside whatever they like. */
import { runAlone, type Engine, type Thread } from '../src/engines/engine.js';
import { MEMORY_FAILS } from '../src/workloads/report.js';

export interface SharedWork {
  /** Threads of each process; they are on CPUs from 0 on. */
  readonly processes: readonly number[];
  readonly seed: number;
  /** Of each thread. */
  readonly operations: number;
  /** Of each region of a process, see workloads/sharedOperations.ts. */
  readonly pages: number;
}

/** @returns what is to be run, and the task of each thread */
export async function sharedThreads(
  engine: Engine,
  { processes, seed, operations, pages }: SharedWork,
): Promise<{ threads: Thread[]; tasks: number[] }> {
  const files = await runAlone(engine, 'sharedFiles', pages);
  const tasks: number[] = [];
  for (const threads of processes) {
    const first = await runAlone(engine, 'sharedStart');
    tasks.push(first);
    for (let pid = 2; pid <= threads; pid++) {
      tasks.push(await runAlone(engine, 'pftThread', first, pid));
    }
  }
  const threads = tasks.map((task, cpu): Thread => {
    const args = [task, seed * 10 + cpu, operations, cpu, files, MEMORY_FAILS];
    return { cpu, program: 'sharedOperations', args };
  });
  return { threads, tasks };
}
