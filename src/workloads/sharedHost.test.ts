/**
 * Threads at random work on shared memory while their host takes what it may, on workers and in random schedules: every
 * load finds what it must, and the audit nothing.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../designs/index.js';
import { vmConfig } from '../engines/configuration.js';
import type { Engine, Thread } from '../engines/engine.js';
import { RandomEngine } from '../engines/explore/randomEngine.js';
import { ParallelEngine } from '../engines/parallel/parallelEngine.js';
import { sharedThreads } from '../../test/sharedThreads.js';

const THREADS = 2;
const MACHINE = { frames: 90, cpus: THREADS + 2, nodes: 1, swapPages: 300 } as const;
const REGION_PAGES = 24;

/** The host as a daemon, or for so many passes over all frames. */
type Host = Pick<Thread, 'args' | 'daemon'>;

async function besideHost(engine: Engine, operations: number, host: Host): Promise<void> {
  const work = { processes: [THREADS], seed: 7, operations, pages: REGION_PAGES };
  const { threads } = await sharedThreads(engine, work);
  await engine.run([
    ...threads,
    { cpu: THREADS, program: 'kswapd', args: [0], daemon: true },
    { cpu: THREADS + 1, program: 'hostTakesAll', ...host },
  ]);
  assert.deepEqual(engine.vm.audit(engine.memory), []);
  const { discard_fault, page_discard, pswpin } = engine.vm.pageStates(engine.memory);
  assert.ok(discard_fault > 0 && page_discard > 0 && pswpin > 0);
}

describe('threads whose host takes frames', () => {
  for (const name of ['hinting', 'linux-6-hinting']) {
    const design = designNamed(name);

    it(`find what they stored, in random schedules, under ${name}`, async () => {
      for (let seed = 1; seed <= 3; seed++) {
        const config = vmConfig({ ...MACHINE, arch: 'x86_64' }, design);
        const engine = await RandomEngine.create(config, { seed, maxSteps: 20_000_000 });
        await besideHost(engine, 300, { args: [200] });
        await engine.close();
      }
    });

    it(`find what they stored, on workers, under ${name}`, async () => {
      const engine = await ParallelEngine.create(vmConfig({ ...MACHINE, arch: 'x86_64' }, design));
      await besideHost(engine, 3000, { args: [Infinity], daemon: true });
      await engine.close();
    });
  }
});
