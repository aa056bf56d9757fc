/** kswapd keeps frames free while others use memory, in every engine. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { vmConfig } from '../engines/configuration.js';
import { runAlone, type Engine, type Thread } from '../engines/engine.js';
import { RandomEngine } from '../engines/explore/randomEngine.js';
import { ParallelEngine } from '../engines/parallel/parallelEngine.js';
import { machineForArch } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import { RIGHT_DESIGNS } from '../../test/machine.js';

const PAGES = 400;
const MACHINE = { arch: 'x86_64', frames: 256, cpus: 2, nodes: 1, swapPages: 512 } as const;
const CONFIG = vmConfig(MACHINE, RIGHT_DESIGNS[0]);

const ENGINES: Readonly<Record<string, () => Promise<Engine>>> = {
  parallel: () => ParallelEngine.create(CONFIG),
  random: () => RandomEngine.create(CONFIG, { seed: 1 }),
  simulate: () => SimulateEngine.create(CONFIG, machineForArch('x86_64')),
};

/** A process touches more than there is, on CPU 0. @returns the engine after */
async function touched(create: () => Promise<Engine>, daemons: readonly Thread[]): Promise<Engine> {
  const engine = await create();
  const task = await runAlone(engine, 'pftStart', PAGES);
  const thread: Thread = { cpu: 0, program: 'pftTouch', args: [task, 0, PAGES] };
  const [pages] = await engine.run([thread, ...daemons]);
  assert.equal(pages, PAGES);
  assert.deepEqual(engine.vm.audit(engine.memory), []);
  return engine;
}

describe('kswapd', () => {
  const kswapd: Thread = { cpu: 1, program: 'kswapd', args: [0], daemon: true };
  for (const [name, create] of Object.entries(ENGINES)) {
    it(`frees pages before who allocates must, and is no more when the others have ended: ${name}`, async () => {
      const engine = await touched(create, [kswapd]);
      const states = engine.vm.pageStates(engine.memory);
      assert.ok(states.pgscan_kswapd > 0);
      assert.ok(states.pswpout >= PAGES - MACHINE.frames);
      await engine.close();
    });
  }

  it('leaves less for who allocates to reclaim', async () => {
    const stalls: number[] = [];
    for (const daemons of [[], [kswapd]]) {
      const engine = await touched(ENGINES.simulate, daemons);
      stalls.push(engine.vm.pageStates(engine.memory).allocstall);
      await engine.close();
    }
    const [alone, beside] = stalls;
    assert.ok(beside < alone, `${alone} times alone, ${beside} beside kswapd`);
  });

  it('stops when enough is free', async () => {
    const engine = await touched(ENGINES.random, [kswapd]);
    const { words } = engine.memory;
    const { Zone, zoneOf } = (engine as RandomEngine).vm;
    // What it freed last may have been taken since; it does not go on for ever.
    assert.ok(words[zoneOf(0) + Zone.freePages] < 2 * words[zoneOf(0) + Zone.pagesHigh]);
    assert.equal(words[zoneOf(0) + Zone.kswapdCpu], 0);
    await engine.close();
  });

  it('is not needed: who allocates reclaims for himself', async () => {
    const engine = await touched(ENGINES.parallel, []);
    const states = engine.vm.pageStates(engine.memory);
    assert.deepEqual([states.pgscan_kswapd, states.allocstall > 0], [0, true]);
    await engine.close();
  });
});
