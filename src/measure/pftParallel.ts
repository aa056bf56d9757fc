/** The page-fault test on worker threads: what this library takes, by the clock of the host. */
import { performance } from 'node:perf_hooks';
import type { VmConfig } from '../engines/configuration.js';
import { ParallelEngine } from '../engines/parallel/parallelEngine.js';
import type { PftSetup, PftSpent } from './pft.js';
import { checkTouched, endProcess, scrubAll, startProcess, touches } from './pftProcess.js';

export async function runParallelPft(
  config: VmConfig,
  setup: PftSetup,
  pages: number,
): Promise<PftSpent> {
  const engine = await ParallelEngine.create(config);
  try {
    engine.commitMemory();
    const total = { user: 0, system: 0, wall: 0, prezeroed: 0 };
    // The first repetition only warms V8 up.
    for (let repetition = 0; repetition <= setup.repetitions; repetition++) {
      if (repetition <= 1) await scrubAll(engine, config);
      const tasks = await startProcess(engine, setup.threads, pages);
      const { pgalloc_zeroed } = engine.vm.pageStates(engine.memory);
      const cpuBefore = process.cpuUsage();
      const reports = await engine.runOnWorkers(touches(tasks, pages));
      checkTouched(
        reports.map(({ result }) => result),
        pages,
      );
      const touchEnd = Math.max(...reports.map(({ endMs }) => endMs));
      const touchStart = Math.min(...reports.map(({ startMs }) => startMs));
      const prezeroed = engine.vm.pageStates(engine.memory).pgalloc_zeroed - pgalloc_zeroed;
      const exitStart = performance.now();
      await endProcess(engine, tasks);
      const exitMs = performance.now() - exitStart;
      const cpu = process.cpuUsage(cpuBefore);
      if (repetition === 0) continue;
      total.prezeroed += prezeroed;
      // All of it runs in the VM; the host sees it as user time.
      total.system += (cpu.user + cpu.system) / 1e6;
      total.wall += (touchEnd - touchStart + exitMs) / 1e3;
    }
    return total;
  } finally {
    await engine.close();
  }
}
