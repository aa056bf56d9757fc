/** A daemon serves the threads of a run, and returns when they have ended, in every engine. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { vmConfig } from '../src/engines/configuration.js';
import type { Engine, Thread } from '../src/engines/engine.js';
import { ExploreEngine } from '../src/engines/explore/exploreEngine.js';
import { RandomEngine } from '../src/engines/explore/randomEngine.js';
import { searchAll } from '../src/engines/explore/sourceSets.js';
import { ParallelEngine } from '../src/engines/parallel/parallelEngine.js';
import { machineForArch } from '../src/engines/simulate/machine.js';
import { SimulateEngine } from '../src/engines/simulate/simulateEngine.js';
import { RIGHT_DESIGNS } from './machine.js';

const CONFIG = vmConfig({ arch: 'x86_64', frames: 64, cpus: 2, nodes: 1 }, RIGHT_DESIGNS[0]);

const ENGINES: Readonly<Record<string, () => Promise<Engine>>> = {
  parallel: () => ParallelEngine.create(CONFIG),
  explore: () => ExploreEngine.create(CONFIG),
  random: () => RandomEngine.create(CONFIG, { seed: 1 }),
  simulate: () => SimulateEngine.create(CONFIG, machineForArch('x86_64')),
};

/** CPU 1 asks the daemon of CPU 0 so many times. */
function asking({ vm, memory }: Engine, times: number): Thread[] {
  const asked = memory.words[vm.cpuLine(0) + vm.CpuLine.wakeup];
  return [
    { cpu: 0, program: 'servingDaemon', args: [1, asked], daemon: true },
    { cpu: 1, program: 'askDaemon', args: [0, times] },
  ];
}

describe('a daemon', () => {
  for (const [name, create] of Object.entries(ENGINES)) {
    it(`answers, sleeps, and returns when the others have ended: ${name}`, async () => {
      const engine = await create();
      for (const times of [3, 0, 5]) {
        assert.deepEqual(await engine.run(asking(engine, times)), [times, times]);
        assert.equal(engine.memory.words[engine.vm.cpuLine(0) + engine.vm.CpuLine.stop], 0);
      }
      await engine.close();
    });

    it(`returns at once where it is alone: ${name}`, async () => {
      const engine = await create();
      assert.deepEqual(await engine.run(asking(engine, 0).slice(0, 1)), [0]);
      await engine.close();
    });
  }

  it('is no part of the time of a simulated run', async () => {
    const engine = await SimulateEngine.create(CONFIG, machineForArch('x86_64'));
    const startNs = engine.nowNs;
    await engine.run(asking(engine, 0));
    assert.equal(engine.nowNs, startNs);
    assert.ok(engine.spans[0].endNs > startNs);
    await engine.run(asking(engine, 3));
    assert.ok(engine.nowNs > startNs);
    assert.equal(engine.nowNs, engine.spans[1].endNs);
  });

  it('ends well in every order, and a thread that it does not wake is a deadlock', async () => {
    const engine = await ExploreEngine.create(CONFIG);
    const served = searchAll(engine.execution(asking(engine, 2)), { executions: 1000 });
    assert.equal(served.outcome, 'exhausted');
    assert.ok(served.executions > 1);
    // A daemon that believes it has answered already sleeps on.
    const [daemon, client] = asking(engine, 1);
    const deaf: Thread = { ...daemon, args: [1, daemon.args[1] + 1] };
    const found = searchAll(engine.execution([deaf, client]), { executions: 1000 });
    assert.match(found.failures.join('\n'), /deadlock: cpu 1 waits in sleepOn of cpu\[1\]\.wakeup/);
  });
});
