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

/** All operations by the engine, one by one: what the others must not differ from. */
const STEPPED: SimulateOptions = { plain: false, runAheadNs: -Infinity };
/** Hits without the engine, in order of time. */
const IN_ORDER: SimulateOptions = { plain: false, runAheadNs: 0 };

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
    it(`runs a thread that is alone as it runs stepped ones, to the bit: ${design}`, async () => {
      for (const load of [random(1), pft(1)]) {
        const expected = await outcome(design, 1, load, STEPPED);
        assertSame(await outcome(design, 1, load), expected);
      }
    });

    it(`gives the same with hits taken in order as with none, to the bit: ${design}`, async () => {
      for (const cpus of [2, 8]) {
        const expected = await outcome(design, cpus, pft(cpus), STEPPED);
        assertSame(await outcome(design, cpus, pft(cpus), IN_ORDER), expected);
      }
    });

    it(`gives the same again where CPUs run ahead, and nearly the time: ${design}`, async () => {
      // Long enough that it does not matter who was first once.
      const load = pft(8, MORE_PAGES);
      const room = { frames: MORE_FRAMES };
      const first = await outcome(design, 8, load, room);
      assertSame(await outcome(design, 8, load, room), first);
      const { nowNs } = await outcome(design, 8, load, { ...STEPPED, ...room });
      assert.ok(Math.abs(first.nowNs / nowNs - 1) < 0.03, `${first.nowNs} ns and ${nowNs} ns`);
    });
  }

  it('leaves the same where files and swap are read from the device and pages copied', async () => {
    for (const seed of [2, 3]) {
      assertSame(
        await outcome('v18', 1, random(seed), IN_ORDER),
        await outcome('v18', 1, random(seed), STEPPED),
      );
    }
  });

  it('tells of a thread that waits for ever, alone or stepped', async () => {
    for (const options of [{}, STEPPED]) {
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
