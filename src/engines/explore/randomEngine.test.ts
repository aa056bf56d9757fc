import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RIGHT_DESIGNS } from '../../../test/machine.js';
import { designNamed } from '../../designs/index.js';
import type { VmDesign } from '../../mm/design.js';
import { vmConfig } from '../configuration.js';
import { runAlone, type Thread } from '../engine.js';
import { RandomEngine } from './randomEngine.js';

async function machine(
  seed: number,
  design = RIGHT_DESIGNS[0],
  maxSteps?: number,
): Promise<RandomEngine> {
  const config = vmConfig({ arch: 'x86_64', frames: 1000, cpus: 4, nodes: 2 }, design);
  return await RandomEngine.create(config, maxSteps === undefined ? { seed } : { seed, maxSteps });
}

/** Four threads of a process touch the same pages, each in a share of its own and half of the next. */
async function touching(engine: RandomEngine): Promise<Thread[]> {
  const tasks = [await runAlone(engine, 'pftStart', 100)];
  for (let pid = 2; pid <= 4; pid++) tasks.push(await runAlone(engine, 'pftThread', tasks[0], pid));
  return tasks.map((task, cpu) => ({
    cpu,
    program: 'pftTouch',
    args: [task, Math.min(cpu * 20, 60), 40],
  }));
}

/** Runs until something fails, with one seed after the other. @returns the first seed and what failed */
async function firstFailure(design: VmDesign): Promise<{ seed: number; message: string }> {
  for (let seed = 1; seed <= 200; seed++) {
    const engine = await machine(seed, design);
    try {
      await engine.run(await touching(engine));
    } catch (error) {
      return { seed, message: (error as Error).message };
    }
    const [fault] = engine.vm.audit(engine.memory);
    if (fault !== undefined) return { seed, message: fault };
  }
  return { seed: 0, message: '' };
}

describe('the random schedule engine', () => {
  it('leaves the same memory for the same seed, and other memory for another', async () => {
    const left = await Promise.all(
      [1, 1, 2].map(async (seed) => {
        const engine = await machine(seed);
        assert.deepEqual(await engine.run(await touching(engine)), [40, 40, 40, 40]);
        assert.deepEqual(engine.vm.audit(engine.memory), []);
        return engine.memory.words;
      }),
    );
    assert.deepEqual(left[1], left[0]);
    assert.notDeepEqual(left[2], left[0]);
  });

  for (const design of ['broken-check-then-install', 'broken-plain-rss'].map(designNamed)) {
    it(`finds what is wrong with ${design.name}, and the seed finds it again`, async () => {
      const first = await firstFailure(design);
      assert.notEqual(first.seed, 0);
      assert.deepEqual(await firstFailure(design), first);
    });
  }

  it('answers requests to the device in other orders than they were made in', async () => {
    const orders = new Set<string>();
    for (let seed = 1; seed <= 8; seed++) {
      const engine = await machine(seed);
      const threads = [0, 1].map((cpu) => ({
        cpu,
        program: cpu === 0 ? ('readPages' as const) : ('writePages' as const),
        args: [1, 0, 3, 7],
      }));
      orders.add(String(await engine.run(threads)));
    }
    assert.ok(orders.size > 1, [...orders].join(' '));
  });

  it('tells who waits where when none can go on, with the seed', async () => {
    const engine = await machine(9);
    const alone: Thread = { cpu: 1, program: 'askDaemon', args: [0, 1] };
    const expected =
      /deadlock: cpu 1 waits in sleepOn of cpu\[1\]\.wakeup \(0\), askDaemon \(schedule seed 9, run 1, step \d+\)/;
    assert.throws(() => engine.run([alone]), expected);
  });

  it('fails where there is no end', async () => {
    const engine = await machine(1, RIGHT_DESIGNS[0], 100_000);
    assert.throws(
      () =>
        engine.run([
          { cpu: 0, program: 'askDaemon', args: [1, 1e6] },
          { cpu: 1, program: 'servingDaemon', args: [0, 0] },
        ]),
      /no end within 100000 steps/,
    );
  });
});
