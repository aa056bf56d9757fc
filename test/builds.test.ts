/** The forms of the one source agree, word for word, and so do the engines. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { vmConfig } from '../src/engines/configuration.js';
import { runAlone, type Engine, type Thread } from '../src/engines/engine.js';
import { ExploreEngine } from '../src/engines/explore/exploreEngine.js';
import { ParallelEngine } from '../src/engines/parallel/parallelEngine.js';
import { machineForArch } from '../src/engines/simulate/machine.js';
import { SimulateEngine } from '../src/engines/simulate/simulateEngine.js';
import { ARCH_NAMES, RIGHT_DESIGNS, designsOn } from './machine.js';

const OPERATIONS = 1500;
/** Whether memory may be full, as the last argument of random operations. */
const RUNS_OUT = 1;
const AMPLE = 0;
/** Of each region that threads share. */
const SHARED_PAGES = 32;

/** The name of the first word in which two machines differ, if any. */
function firstDifference(a: Engine, b: Engine): string | undefined {
  const at = a.memory.words.findIndex((value, word) => value !== b.memory.words[word]);
  if (at < 0) return undefined;
  return `${a.vm.nameOf(at)}: ${a.memory.words[at]} and ${b.memory.words[at]}`;
}

describe('the plain and the stepped form', () => {
  for (const arch of ARCH_NAMES) {
    for (const design of designsOn(arch)) {
      it(`leave the same memory after random operations: ${arch}, ${design.name}`, async () => {
        const config = vmConfig({ arch, frames: 400, cpus: 2, nodes: 2 }, design);
        await fc.assert(
          fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), async (seed) => {
            const plain = await ParallelEngine.create(config);
            const stepped = await SimulateEngine.create(config, machineForArch(arch));
            const args = [seed, OPERATIONS, seed % 2, RUNS_OUT];
            const expected = await runAlone(plain, 'randomOperations', ...args);
            assert.equal(await runAlone(stepped, 'randomOperations', ...args), expected);
            assert.equal(firstDifference(plain, stepped), undefined);
            assert.deepEqual(plain.vm.audit(plain.memory), []);
          }),
          { numRuns: 3 },
        );
      });
    }
  }
});

describe('the three engines', () => {
  for (const design of RIGHT_DESIGNS) {
    it(`leave the same counts and a clean audit for the same work: ${design.name}`, async () => {
      const pages = 200;
      const config = vmConfig({ arch: 'x86_64', frames: 700, cpus: 2, nodes: 1 }, design);
      const engines: Engine[] = [
        await ParallelEngine.create(config),
        await ExploreEngine.create(config),
        await SimulateEngine.create(config, machineForArch('x86_64')),
      ];
      const results = [];
      for (const engine of engines) {
        const first = await runAlone(engine, 'pftStart', pages);
        const second = await runAlone(engine, 'pftThread', first, 2);
        const threads: Thread[] = [first, second].map((task, cpu) => ({
          cpu,
          program: 'pftTouch',
          // The shares overlap, so that the two CPUs meet.
          args: [task, cpu * 50, pages - 50],
        }));
        assert.deepEqual(await engine.run(threads), [pages - 50, pages - 50]);
        assert.deepEqual(engine.vm.audit(engine.memory), []);
        const mm = engine.memory.words[first + 1];
        const mapped = engine.vm
          .mappedPages(engine.memory, mm)
          .map(({ address, anon }) => [address, anon]);
        const { rss, anonRss, tables, totalVm, mapCount } = engine.vm.readMm(engine.memory, mm);
        results.push({ mapped, rss, anonRss, tables, totalVm, mapCount });
        await runAlone(engine, 'pftExit', first);
        await runAlone(engine, 'pftExit', second);
        assert.deepEqual(engine.vm.audit(engine.memory), []);
        await engine.close();
      }
      assert.equal(results[0].rss, pages);
      assert.deepEqual(results[1], results[0]);
      assert.deepEqual(results[2], results[0]);
    });
  }

  for (const design of RIGHT_DESIGNS) {
    it(`agree with the model of contents, and leave the same memory: ${design.name}`, async () => {
      const config = vmConfig({ arch: 'x86_64', frames: 3000, cpus: 1, nodes: 1 }, design);
      const engines: Engine[] = [
        await ParallelEngine.create(config),
        await ExploreEngine.create(config),
        await SimulateEngine.create(config, machineForArch('x86_64')),
      ];
      const results = [];
      for (const engine of engines) {
        results.push(await runAlone(engine, 'randomOperations', 3, OPERATIONS, 1, AMPLE));
        assert.deepEqual(engine.vm.audit(engine.memory), []);
        assert.equal(firstDifference(engines[0], engine), undefined);
        await engine.close();
      }
      assert.deepEqual(results, [results[0], results[0], results[0]]);
    });
  }

  it('agree with the model of contents where there are huge pages', async () => {
    for (const arch of ARCH_NAMES) {
      const config = vmConfig({ arch, frames: 9000, cpus: 1, nodes: 1 }, RIGHT_DESIGNS[0]);
      const engine = await ParallelEngine.create(config);
      await runAlone(engine, 'randomOperations', 1, OPERATIONS, 0, RUNS_OUT);
      assert.deepEqual(engine.vm.audit(engine.memory), []);
      await engine.close();
    }
  });

  it('run random processes side by side on two workers, and the audit is clean', async () => {
    for (const design of RIGHT_DESIGNS) {
      const config = vmConfig({ arch: 'x86_64', frames: 3000, cpus: 2, nodes: 2 }, design);
      const engine = await ParallelEngine.create(config);
      await engine.run(
        [0, 1].map((cpu) => ({
          cpu,
          program: 'randomOperations',
          args: [cpu + 7, 4000, cpu, AMPLE],
        })),
      );
      assert.deepEqual(engine.vm.audit(engine.memory), []);
      await engine.close();
    }
  });
});

/** Two processes that share files, with two threads each; each thread is to run on a CPU of its own. */
async function startSharing(engine: Engine): Promise<{ files: number; tasks: number[] }> {
  const files = await runAlone(engine, 'sharedFiles', SHARED_PAGES);
  const tasks = [];
  for (let process = 0; process < 2; process++) {
    const first = await runAlone(engine, 'sharedStart');
    tasks.push(first, await runAlone(engine, 'pftThread', first, 2));
  }
  return { files, tasks };
}

async function shareMemory(
  engine: Engine,
  seed: number,
  operations: number,
  runsOut: number,
): Promise<number[]> {
  const { files, tasks } = await startSharing(engine);
  const found = await engine.run(
    tasks.map((task, cpu) => ({
      cpu,
      program: 'sharedOperations',
      args: [task, 100 * seed + cpu, operations, cpu, files, runsOut],
    })),
  );
  assert.deepEqual(engine.vm.audit(engine.memory), []);
  for (const task of tasks) await runAlone(engine, 'pftExit', task);
  assert.deepEqual(engine.vm.audit(engine.memory), []);
  return found;
}

describe('threads of two processes', () => {
  for (const design of RIGHT_DESIGNS) {
    it(`find their words in memory that others change: ${design.name}`, async () => {
      const config = vmConfig({ arch: 'x86_64', frames: 3000, cpus: 4, nodes: 2 }, design);
      const engines: Engine[] = [
        await ParallelEngine.create(config),
        await ExploreEngine.create(config),
        await SimulateEngine.create(config, machineForArch('x86_64')),
      ];
      for (const engine of engines) {
        for (let seed = 1; seed <= 2; seed++) {
          const found = await shareMemory(engine, seed, 2000, AMPLE);
          assert.ok(found.every((loads) => loads > 50));
        }
        await engine.close();
      }
    });
  }

  it('find their words where memory runs out', async () => {
    for (const arch of ARCH_NAMES) {
      const config = vmConfig({ arch, frames: 160, cpus: 4, nodes: 1 }, RIGHT_DESIGNS[0]);
      const engine = await SimulateEngine.create(config, machineForArch(arch));
      await shareMemory(engine, 1, 1500, RUNS_OUT);
      await engine.close();
    }
  });
});

describe('the simulate engine', () => {
  it('gives the same times for the same work, to the bit', async () => {
    const config = vmConfig({ arch: 'ia64', frames: 600, cpus: 4, nodes: 2 }, RIGHT_DESIGNS[0]);
    const times = [];
    for (let run = 0; run < 2; run++) {
      const engine = await SimulateEngine.create(config, machineForArch('ia64'));
      const first = await runAlone(engine, 'pftStart', 200);
      const tasks = [first];
      for (let pid = 2; pid <= 4; pid++)
        tasks.push(await runAlone(engine, 'pftThread', first, pid));
      await engine.run(
        tasks.map((task, cpu) => ({ cpu, program: 'pftTouch', args: [task, cpu * 50, 50] })),
      );
      times.push([engine.nowNs, ...engine.spans.map(({ endNs }) => endNs)]);
    }
    assert.deepEqual(times[1], times[0]);
  });

  it('makes page-table-lock slower than v18 where CPUs contend', async () => {
    const end = async (name: string): Promise<number> => {
      const design = RIGHT_DESIGNS.find((candidate) => candidate.name === name)!;
      const config = vmConfig({ arch: 'x86_64', frames: 2000, cpus: 8, nodes: 4 }, design);
      const engine = await SimulateEngine.create(config, machineForArch('x86_64'));
      const first = await runAlone(engine, 'pftStart', 800);
      const tasks = [first];
      for (let pid = 2; pid <= 8; pid++)
        tasks.push(await runAlone(engine, 'pftThread', first, pid));
      const start = engine.nowNs;
      const watch = engine.watchLines();
      await engine.run(
        tasks.map((task, cpu) => ({ cpu, program: 'pftTouch', args: [task, cpu * 100, 100] })),
      );
      const hottest = engine.vm.nameOf(watch.hottest(1)[0].words[0]);
      assert.match(hottest, /^mm\[0\]\./);
      return engine.nowNs - start;
    };
    assert.ok((await end('page-table-lock')) > (await end('v18')));
  });
});
