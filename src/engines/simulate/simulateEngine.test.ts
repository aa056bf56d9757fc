/** The forms that the simulator runs, and how far it lets CPUs run ahead, change no result. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../../designs/index.js';
import { vmConfig } from '../configuration.js';
import { runAlone, type Thread } from '../engine.js';
import { machineForArch } from './machine.js';
import { SimulateEngine, type SimulateOptions, type SimulatedSpan } from './simulateEngine.js';

const OPERATIONS = 700;
const RUNS_OUT = 1;
const PAGES = 96;
const FRAMES = 700;
/** Of a longer run, and a machine with room for it. */
const MORE_PAGES = 480;
const MORE_FRAMES = 1200;

/** All operations by the engine, one by one: what the timed forms must not differ from. */
const IN_ORDER: SimulateOptions = { inOrder: true };

interface Outcome {
  readonly results: readonly number[];
  readonly nowNs: number;
  readonly spans: readonly SimulatedSpan[];
  readonly words: Int32Array;
}

type Load = (engine: SimulateEngine) => Promise<number[]>;

async function outcome(
  design: string,
  cpus: number,
  load: Load,
  { frames = FRAMES, ...options }: SimulateOptions & { readonly frames?: number } = {},
): Promise<Outcome> {
  const machine = { arch: 'ia64', frames, cpus, nodes: Math.ceil(cpus / 2) } as const;
  const config = vmConfig(machine, designNamed(design), { tasks: cpus + 2 });
  const engine = await SimulateEngine.create(config, machineForArch('ia64'), options);
  const results = await load(engine);
  assert.deepEqual(engine.vm.audit(engine.memory), []);
  return { results, nowNs: engine.nowNs, spans: engine.spans, words: engine.memory.words };
}

function assertSame(actual: Outcome, expected: Outcome): void {
  assert.equal(Buffer.compare(bytesOf(actual), bytesOf(expected)), 0, 'memory differs');
  assert.deepEqual({ ...actual, words: 0 }, { ...expected, words: 0 });
}

function bytesOf({ words }: Outcome): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength);
}

/** Random operations of one thread, with a device, where memory runs out. */
function random(seed: number): Load {
  return async (engine) => [
    await runAlone(engine, 'randomOperations', seed, OPERATIONS, seed % 2, RUNS_OUT),
  ];
}

/** The same beside a thread that ends at once: so it is stepped, and nobody comes between. */
function randomStepped(seed: number): Load {
  return (engine) =>
    engine.run([
      { cpu: 0, program: 'randomOperations', args: [seed, OPERATIONS, seed % 2, RUNS_OUT] },
      { cpu: 1, program: 'zeroFrames', args: [0, 0] },
    ]);
}

/** The page-fault test. */
function pft(cpus: number, pages = PAGES): Load {
  return async (engine) => {
    const tasks = [await runAlone(engine, 'pftStart', pages)];
    while (tasks.length < cpus) {
      tasks.push(await runAlone(engine, 'pftThread', tasks[0], tasks.length + 1));
    }
    const share = pages / cpus;
    const touched = await engine.run(
      tasks.map((task, cpu): Thread => {
        return { cpu, program: 'pftTouch', args: [task, cpu * share, share] };
      }),
    );
    for (const task of tasks) await runAlone(engine, 'pftExit', task);
    return touched;
  };
}

describe('the simulate engine', () => {
  for (const design of ['page-table-lock', 'v18', 'linux-6', 'pte-bit', 'v18-prefault']) {
    it(`runs a thread that is alone as the engine would step it, to the bit: ${design}`, async () => {
      for (const load of [random(1), pft(1)]) {
        const expected = await outcome(design, 1, load, IN_ORDER);
        assertSame(await outcome(design, 1, load), expected);
      }
    });

    it(`steps a thread that nobody meets as the engine would, to the bit: ${design}`, async () => {
      for (const seed of [2, 3]) {
        const expected = await outcome(design, 2, randomStepped(seed), IN_ORDER);
        assertSame(await outcome(design, 2, randomStepped(seed)), expected);
      }
    });

    it(`gives the same again where CPUs run ahead, and nearly the time: ${design}`, async () => {
      // Long enough that it does not matter who was first once.
      const load = pft(8, MORE_PAGES);
      const room = { frames: MORE_FRAMES };
      const first = await outcome(design, 8, load, room);
      assertSame(await outcome(design, 8, load, room), first);
      const { nowNs } = await outcome(design, 8, load, { ...IN_ORDER, ...room });
      assert.ok(Math.abs(first.nowNs / nowNs - 1) < 0.03, `${first.nowNs} ns and ${nowNs} ns`);
    });
  }

  it('tells of a thread that waits for ever, alone or stepped', async () => {
    for (const options of [{}, IN_ORDER]) {
      const machine = { arch: 'x86_64', frames: 200, cpus: 1, nodes: 1 } as const;
      const config = vmConfig(machine, designNamed('v18'));
      const engine = await SimulateEngine.create(config, machineForArch('x86_64'), options);
      await assert.rejects(
        async () => await runAlone(engine, 'kswapd', 0),
        /simulate: CPUs 0 wait for ever/,
      );
    }
  });
});
