/**
 * Threads of one process at random work on shared memory while kswapd and they themselves reclaim it, in random
 * schedules: every load finds what it must, and the audit nothing. Seed 4 under page-table-lock once freed a page
 * that isolate_lru_pages had just put back.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { vmConfig } from '../engines/configuration.js';
import { RandomEngine } from '../engines/explore/randomEngine.js';
import { RIGHT_DESIGNS } from '../../test/machine.js';
import { sharedThreads } from '../../test/sharedThreads.js';

const THREADS = 3;
const OPERATIONS = 400;
const MACHINE = { frames: 90, cpus: THREADS + 1, nodes: 1, swapPages: 300 } as const;
const REGION_PAGES = 32;

for (const arch of ['x86_64', 'i386'] as const) {
  describe(`threads whose memory is reclaimed, on ${arch}`, () => {
    for (const design of RIGHT_DESIGNS) {
      it(`find what they stored under ${design.name}`, async () => {
        const seed = arch === 'i386' ? 1 : 4;
        const config = vmConfig({ ...MACHINE, arch }, design);
        const engine = await RandomEngine.create(config, { seed, maxSteps: 20_000_000 });
        const work = { processes: [THREADS], seed, operations: OPERATIONS, pages: REGION_PAGES };
        const { threads } = await sharedThreads(engine, work);
        await engine.run([...threads, { cpu: 3, program: 'kswapd', args: [0], daemon: true }]);
        assert.deepEqual(engine.vm.audit(engine.memory), []);
        const { pswpin, pgscan_kswapd, pgscan_direct } = engine.vm.pageStates(engine.memory);
        assert.ok(pswpin > 0 && pgscan_kswapd > 0 && pgscan_direct > 0);
        await engine.close();
      });
    }
  });
}
