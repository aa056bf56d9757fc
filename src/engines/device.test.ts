/** The device in memory and the one on files hold the same, and go wrong where they are told to. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { RIGHT_DESIGNS } from '../../test/machine.js';
import { InputError } from '../base/errors.js';
import { vmConfig } from './configuration.js';
import { MemoryDevice, type Device } from './device.js';
import { runAlone, type Engine } from './engine.js';
import { ExploreEngine } from './explore/exploreEngine.js';
import { RandomEngine } from './explore/randomEngine.js';
import { searchAll } from './explore/sourceSets.js';
import { FileDevice, createDeviceShare, removeDevice } from './parallel/fileDevice.js';
import { ParallelEngine } from './parallel/parallelEngine.js';
import { machineForArch } from './simulate/machine.js';
import { SimulateEngine } from './simulate/simulateEngine.js';

const PAGE_WORDS = 16;
const FILES = 3;
const PAGES = 12;

const CONFIG = vmConfig({ arch: 'x86_64', frames: 64, cpus: 2, nodes: 1 }, RIGHT_DESIGNS[0]);

const directory = mkdtempSync(join(tmpdir(), 'minorfault-test-'));
after(() => rmSync(directory, { recursive: true }));

interface Request {
  readonly what: 'read' | 'write' | 'truncate';
  readonly file: number;
  readonly index: number;
  /** Which of two threads makes it. */
  readonly thread: number;
}

const requests = fc.array(
  fc.record<Request>({
    what: fc.constantFrom('read', 'read', 'write', 'write', 'truncate'),
    file: fc.nat(FILES - 1),
    index: fc.nat(PAGES - 1),
    thread: fc.nat(1),
  }),
  { maxLength: 60 },
);

/** Makes a request, with contents that tell which it was. @returns what a page then holds */
function make(device: Device, { what, file, index }: Request, number: number): Int32Array {
  const words = new Int32Array(new SharedArrayBuffer(3 * PAGE_WORDS * 4)).fill(number);
  if (what === 'truncate') device.truncate(file, index);
  else assert.ok(device[what](words, PAGE_WORDS, file, index));
  return words;
}

describe('the device on files', () => {
  it('holds what the device in memory holds, whichever thread asks', () => {
    fc.assert(
      fc.property(requests, (all) => {
        const share = createDeviceShare(FILES);
        const threads = [0, 1].map(() => new FileDevice(share, PAGE_WORDS));
        const model = new MemoryDevice(PAGE_WORDS);
        all.forEach((request, at) => {
          const got = make(threads[request.thread], request, at + 1000);
          assert.deepEqual(got, make(model, request, at + 1000));
        });
        for (const thread of threads) thread.close();
        removeDevice(share, true);
      }),
    );
  });

  it('makes nothing before the first write, and removes what it made', () => {
    const share = createDeviceShare(FILES, directory);
    const device = new FileDevice(share, PAGE_WORDS);
    const words = new Int32Array(PAGE_WORDS);
    writeFileSync(join(directory, 'other'), '');
    device.read(words, 0, 1, 0);
    device.truncate(1, 5);
    assert.deepEqual(readdirSync(directory), ['other']);
    device.write(words, 0, 1, 3);
    device.write(words, 0, 0, 3);
    const made = ['file-1', 'file-1.written', 'other', 'swap', 'swap.written'];
    assert.deepEqual(readdirSync(directory).sort(), made);
    device.close();
    removeDevice(share, false);
    assert.deepEqual(readdirSync(directory), ['other']);
  });

  it('does not touch a file that is there already', () => {
    writeFileSync(join(directory, 'swap'), 'mine');
    const device = new FileDevice(createDeviceShare(FILES, directory), PAGE_WORDS);
    const write = (): boolean => device.write(new Int32Array(PAGE_WORDS), 0, 0, 0);
    assert.throws(write, (error) => error instanceof InputError && error.code === 'DEVICE_FILE');
  });
});

describe('the parallel engine', () => {
  it('shares its device among workers, and takes it away when it is closed', async () => {
    const own = join(mkdtempSync(join(directory, 'engine-')));
    const engine = await ParallelEngine.create(CONFIG, { directory: own });
    const write = [0, 1].map((cpu) => ({
      cpu,
      program: 'writePages' as const,
      args: [0, cpu * 50, 50, 7 + cpu * 50],
    }));
    assert.deepEqual(await engine.run(write), [50, 50]);
    assert.ok(existsSync(join(own, 'swap')));
    const read = { program: 'readPages' as const, args: [0, 0, 100, 7] };
    assert.deepEqual(
      await engine.run([
        { cpu: 0, ...read },
        { cpu: 1, ...read },
      ]),
      [100, 100],
    );
    assert.equal(await runAlone(engine, 'readPages', ...read.args), 100);
    await engine.close();
    assert.deepEqual(readdirSync(own), []);
  });

  it('takes its device away when a run has failed', async () => {
    const own = mkdtempSync(join(directory, 'engine-'));
    const engine = await ParallelEngine.create(CONFIG, { directory: own });
    await runAlone(engine, 'writePages', 0, 0, 1, 7);
    const wrong = { program: 'pftExit' as const, args: [0] };
    await assert.rejects(
      engine.run([
        { cpu: 0, ...wrong },
        { cpu: 1, ...wrong },
      ]),
    );
    await engine.close();
    assert.deepEqual(readdirSync(own), []);
  });
});

describe('requests that are to fail', () => {
  const engines: Readonly<Record<string, () => Promise<Engine>>> = {
    parallel: () => ParallelEngine.create(CONFIG),
    explore: () => ExploreEngine.create(CONFIG),
    random: () => RandomEngine.create(CONFIG, { seed: 1 }),
    simulate: () => SimulateEngine.create(CONFIG, machineForArch('x86_64')),
  };
  for (const [name, create] of Object.entries(engines)) {
    it(`fail, and no others, and all are counted: ${name}`, async () => {
      const engine = await create();
      const run = async (program: 'readPages' | 'writePages'): Promise<number> => {
        const threads = [0, 1].map((cpu) => ({ cpu, program, args: [1, cpu * 50, 50, 1] }));
        const [first, second] = await engine.run(threads);
        return first + second;
      };
      engine.requests.fail({ nth: 30 });
      assert.equal(await run('writePages'), 99);
      engine.requests.fail({});
      assert.equal(await run('writePages'), 100);
      engine.requests.fail({ nth: 1 });
      assert.equal(await run('readPages'), 99);
      engine.requests.fail({ probability: 0.1, seed: 5 });
      const failed = 100 - (await run('readPages'));
      assert.ok(failed > 0 && failed < 50);
      engine.requests.fail({ probability: 1 });
      assert.equal(await run('readPages'), 0);
      assert.deepEqual(engine.requests.counts(), {
        reads: 300,
        writes: 200,
        failedReads: 1 + failed + 100,
        failedWrites: 1,
      });
      await engine.close();
    });
  }

  it('are refused where there are none such', async () => {
    const { requests } = await ExploreEngine.create(CONFIG);
    for (const faults of [{ nth: 0 }, { probability: 2 }, { probability: NaN }]) {
      assert.throws(() => requests.fail(faults), InputError);
    }
  });
});

describe('a device that takes its time', () => {
  it('serves so many requests of a simulated machine at once, and the others wait', async () => {
    const like = machineForArch('x86_64');
    const machine = { ...like, costs: { ...like.costs, deviceRequests: 2 } };
    const config = vmConfig({ arch: 'x86_64', frames: 64, cpus: 4, nodes: 1 }, RIGHT_DESIGNS[0]);
    const spent = async (cpus: number): Promise<number> => {
      const engine = await SimulateEngine.create(config, machine);
      const threads = Array.from({ length: cpus }, (_, cpu) => ({
        cpu,
        program: 'writePages' as const,
        args: [1, cpu, 1, 1],
      }));
      const startNs = engine.nowNs;
      await engine.run(threads);
      return Math.floor((engine.nowNs - startNs) / machine.costs.deviceNs);
    };
    assert.equal(await spent(1), 1);
    assert.equal(await spent(2), 1);
    assert.equal(await spent(4), 2);
  });

  it('answers before or after any other step, and a search tries both', async () => {
    const engine = await ExploreEngine.create(CONFIG);
    const found = new Set<number>();
    const execution = engine.execution(
      [
        { cpu: 0, program: 'readPages', args: [1, 0, 1, 7] },
        { cpu: 1, program: 'writePages', args: [1, 0, 1, 7] },
      ],
      () => {
        found.add(execution.running[0].result);
        return [];
      },
    );
    assert.equal(searchAll(execution, { executions: 1000 }).outcome, 'exhausted');
    assert.deepEqual([...found].sort(), [0, 1]);
  });
});

describe('an execution that starts over', () => {
  it('finds the device as it was, and the same requests fail again', async () => {
    const engine = await ExploreEngine.create(CONFIG);
    await runAlone(engine, 'writePages', 1, 0, 4, 100);
    engine.requests.fail({ nth: 2 });
    const counts = engine.requests.counts();
    const execution = engine.execution([
      { cpu: 0, program: 'readPages', args: [1, 0, 4, 100] },
      { cpu: 1, program: 'writePages', args: [1, 0, 4, 200] },
    ]);
    for (let time = 0; time < 2; time++) {
      execution.restart();
      assert.deepEqual(engine.requests.counts(), counts);
      while (!execution.ended[0]) execution.step(0);
      while (!execution.ended[1]) execution.step(1);
      assert.deepEqual(
        execution.running.map(({ result }) => result),
        [3, 4],
      );
    }
  });
});
