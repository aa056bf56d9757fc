/**
 * Threads of two processes at random work on shared memory while their page tables, and their pages, move all the time
 * and reclaim takes pages out: every load finds what it must, and the audit nothing.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../designs/index.js';
import { vmConfig } from '../engines/configuration.js';
import { runAlone, type Engine } from '../engines/engine.js';
import { RandomEngine } from '../engines/explore/randomEngine.js';
import { ParallelEngine } from '../engines/parallel/parallelEngine.js';
import { machineForArch } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import { sharedThreads } from '../../test/sharedThreads.js';

const OURS = ['relocate', 'v18-relocate', 'linux-6-relocate'].map(designNamed);
/** Three for threads, a kswapd for each node, and the mover. */
const MACHINE = { frames: 260, cpus: 6, nodes: 2, swapPages: 400 } as const;
const REGION_PAGES = 32;
const PASSES = 40;

async function stress(engine: Engine, seed: number, operations: number): Promise<void> {
  const work = { processes: [2, 1], seed, operations, pages: REGION_PAGES };
  const { threads, tasks } = await sharedThreads(engine, work);
  const results = await engine.run([
    ...threads,
    { cpu: 3, program: 'kswapd', args: [0], daemon: true },
    { cpu: 4, program: 'kswapd', args: [1], daemon: true },
    { cpu: 5, program: 'tableMover', args: [PASSES], daemon: true },
  ]);
  assert.deepEqual(engine.vm.audit(engine.memory), []);
  assert.ok(results[5] > PASSES, `${results[5]} tables and pages moved`);
  for (const task of tasks) await runAlone(engine, 'pftExit', task);
  assert.deepEqual(engine.vm.audit(engine.memory), []);
  await engine.close();
}

for (const arch of ['x86_64', 'i386'] as const) {
  describe(`threads whose page tables keep moving, on ${arch}`, () => {
    for (const design of OURS) {
      const config = vmConfig({ ...MACHINE, arch }, design);
      it(`find what they stored under ${design.name}, in random schedules`, async () => {
        await stress(await RandomEngine.create(config, { seed: 3, maxSteps: 40_000_000 }), 3, 200);
      });

      it(`find what they stored under ${design.name}, in parallel`, async () => {
        await stress(await ParallelEngine.create(config), 5, 3000);
      });

      it(`find what they stored under ${design.name}, simulated`, async () => {
        await stress(await SimulateEngine.create(config, machineForArch(arch)), 7, 400);
      });
    }
  });
}
