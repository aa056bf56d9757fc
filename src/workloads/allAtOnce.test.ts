/**
 * Threads of two processes at random work while their page tables and their pages move, their leaf tables are in high
 * memory, their host takes frames, and reclaim takes pages out, all at once: every load finds what it must, and the audit
 * nothing.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../designs/index.js';
import { vmConfig } from '../engines/configuration.js';
import { runAlone, type Engine, type Thread } from '../engines/engine.js';
import { RandomEngine } from '../engines/explore/randomEngine.js';
import { ParallelEngine } from '../engines/parallel/parallelEngine.js';
import { machineForArch } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import { sharedThreads } from '../../test/sharedThreads.js';

/** Three CPUs for threads, a kswapd for each node, the mover, and the host. */
const MACHINE = {
  arch: 'i386',
  frames: 170,
  lowFrames: 90,
  cpus: 7,
  nodes: 1,
  swapPages: 400,
} as const;
const CONFIG = vmConfig(MACHINE, designNamed('relocate-highpte-hinting'));
const REGION_PAGES = 32;
const PASSES = 40;

/** @param host - as a daemon, or for so many passes over all frames */
async function stress(
  engine: Engine,
  seed: number,
  operations: number,
  host: Pick<Thread, 'args' | 'daemon'>,
): Promise<void> {
  const work = { processes: [2, 1], seed, operations, pages: REGION_PAGES };
  const { threads, tasks } = await sharedThreads(engine, work);
  const results = await engine.run([
    ...threads,
    { cpu: 3, program: 'kswapd', args: [0], daemon: true },
    { cpu: 4, program: 'tableMover', args: [PASSES], daemon: true },
    { cpu: 5, program: 'hostTakesAll', ...host },
  ]);
  assert.deepEqual(engine.vm.audit(engine.memory), []);
  assert.ok(results[4] > PASSES, `${results[4]} tables moved`);
  const { discard_fault, pswpin } = engine.vm.pageStates(engine.memory);
  assert.ok(discard_fault > 0, 'discard faults');
  assert.ok(pswpin > 0, 'pages from swap');
  for (const task of tasks) await runAlone(engine, 'pftExit', task);
  assert.deepEqual(engine.vm.audit(engine.memory), []);
  await engine.close();
}

describe('threads whose tables move in high memory under a host that takes frames', () => {
  it('find what they stored, in random schedules', async () => {
    const engine = await RandomEngine.create(CONFIG, { seed: 3, maxSteps: 40_000_000 });
    await stress(engine, 3, 400, { args: [600] });
  });

  it('find what they stored, in parallel', async () => {
    await stress(await ParallelEngine.create(CONFIG), 5, 6000, { args: [Infinity], daemon: true });
  });

  it('find what they stored, simulated', async () => {
    const engine = await SimulateEngine.create(CONFIG, machineForArch('i386'));
    await stress(engine, 7, 600, { args: [600] });
  });
});
