import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../src/designs/index.js';
import type { VmDesign } from '../src/mm/design.js';
import { BASE, RIGHT_DESIGNS, WRITE, testMachine } from '../test/machine.js';
import { ROUNDS_OF_MACHINE, soak, type EngineName, type SoakResult } from './soak.js';

const OPERATIONS = { parallel: 500, stepped: 60 };

/**
 * Machines, each with a seed of its own, that the soak has to find what is wrong with a broken design. 17 of
 * the first 24 find it: that none of these does means that the soak does not see it any more.
 */
const MACHINES = 8;

async function rounds(
  engine: EngineName,
  design: VmDesign,
  most: number,
  ioFailures = 0,
): Promise<SoakResult> {
  const operations = OPERATIONS[engine];
  const options = { engine, design, operations, arch: 'x86_64', seed: 1, ioFailures } as const;
  return await soak(options, (counts) => counts.rounds < most);
}

describe('a short soak', () => {
  for (const design of RIGHT_DESIGNS) {
    it(`finds nothing wrong with ${design.name} on two workers`, async () => {
      const { failure, loads } = await rounds('parallel', design, 2);
      assert.equal(failure, undefined);
      assert.ok(loads > 0);
    });

    it(`finds nothing wrong with ${design.name} in a random schedule of four CPUs`, async () => {
      const { failure, loads } = await rounds('stepped', design, 2);
      assert.equal(failure, undefined);
      assert.ok(loads > 0);
    });
  }

  it('goes on where requests to the device fail', async () => {
    for (const engine of ['parallel', 'stepped'] as const) {
      const { failure, failedRequests } = await rounds(engine, designNamed('v18'), 4, 0.05);
      assert.equal(failure, undefined);
      assert.ok(failedRequests > 0);
    }
  });

  it('comes to the end of a machine, and goes on with another', async () => {
    const { failure, machines } = await rounds('parallel', RIGHT_DESIGNS[0], ROUNDS_OF_MACHINE + 1);
    assert.equal(failure, undefined);
    assert.equal(machines, 2);
  });
});

describe('the soak', () => {
  it('finds what is wrong with a broken design, and its seed and rounds find it again', async () => {
    const design = designNamed('broken-plain-rss');
    const options = { engine: 'stepped', design, arch: 'x86_64', ioFailures: 0 } as const;
    const operations = 600;
    const frames = 3000;
    const run = async (seed: number, most: number): Promise<SoakResult> => {
      return await soak({ ...options, operations, frames, seed }, (counts) => counts.rounds < most);
    };
    const { failure } = await run(1, MACHINES * ROUNDS_OF_MACHINE);
    assert.ok(failure !== undefined);
    const again = await run(failure.seed, failure.round);
    assert.deepEqual(again.failure, failure);
  });

  it('has memory for about a third of what the processes use', async () => {
    for (const engine of ['parallel', 'stepped'] as const) {
      const ample = await soak(
        { engine, design: RIGHT_DESIGNS[0], arch: 'x86_64', seed: 1, ioFailures: 0, frames: 3000 },
        (counts) => counts.rounds < 2,
      );
      const { failure, frames } = await rounds(engine, RIGHT_DESIGNS[0], 1);
      assert.equal(failure, undefined);
      const share = frames / ample.mostFrames;
      assert.ok(share > 0.28 && share < 0.42, `${frames} frames of ${ample.mostFrames}`);
    }
  });
});

describe('leaks', () => {
  it('are none when all processes have ended, and told of while one is there', async () => {
    const m = await testMachine();
    const { vm, memory, cpu } = m;
    m.map(BASE, 2);
    assert.ok(m.touch(BASE, WRITE) && m.touch(BASE + m.page, WRITE));
    const told = vm.leaks(memory).join('\n');
    for (const what of [/^task\[/m, /^mm\[/m, /^vma\[/m, /^anonVma\[/m, /^frame \d+ is in use/m]) {
      assert.match(told, what);
    }
    vm.exitTask(cpu);
    vm.lruAddDrain(cpu);
    assert.deepEqual(vm.leaks(memory), []);
  });
});
