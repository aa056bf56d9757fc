/** Page tables in high memory: where they are, that all walks work there, and what happens to slots. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../designs/index.js';
import { vmConfig, type VmConfig } from '../engines/configuration.js';
import { runAlone, type Engine } from '../engines/engine.js';
import { ExploreEngine } from '../engines/explore/exploreEngine.js';
import { RandomEngine } from '../engines/explore/randomEngine.js';
import { ParallelEngine } from '../engines/parallel/parallelEngine.js';
import { machineForArch } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import {
  BASE,
  HIGHPTE_DESIGNS,
  READ,
  RIGHT_DESIGNS,
  testMachine,
  type TestMachine,
} from '../../test/machine.js';
import { MEMORY_FAILS, NOTHING_FAILS } from '../workloads/report.js';

const ARCHES = ['i386', 'i386-pae'] as const;
const LOW = 64;
const OPERATIONS = 1500;

/** Leaf tables and upper ones of all processes, by whether they are in high memory. */
function tablesOf({ vm, memory }: TestMachine): Record<string, number> {
  const found: Record<string, number> = { lowLeaves: 0, highLeaves: 0, lowTops: 0, highTops: 0 };
  for (const { pfn, level } of vm.tableNames(memory).values()) {
    const where = `${pfn < LOW ? 'low' : 'high'}${level === 0 ? 'Leaves' : 'Tops'}`;
    found[where]++;
  }
  return found;
}

describe('page tables', () => {
  for (const design of HIGHPTE_DESIGNS) {
    it(`are in high memory if they are leaves: ${design.name}`, async () => {
      const m = await testMachine({ arch: 'i386', lowFrames: LOW, design });
      m.map(BASE, 2000);
      for (let page = 0; page < 200; page += 50) m.store(BASE + page * 10 * m.page, 1);
      assert.deepEqual(tablesOf(m), { lowLeaves: 0, highLeaves: 2, lowTops: 1, highTops: 0 });
      m.audit();
    });
  }

  it('are in low memory where the design cannot reach them elsewhere', async () => {
    const m = await testMachine({ arch: 'i386', lowFrames: LOW, design: RIGHT_DESIGNS[0] });
    m.map(BASE, 1);
    m.store(BASE, 1);
    assert.deepEqual(tablesOf(m), { lowLeaves: 1, highLeaves: 0, lowTops: 1, highTops: 0 });
  });

  it('use up low memory while high memory is free, and do not where leaves are in high memory', async () => {
    const processes = async (name: string): Promise<number> => {
      const design = designNamed(name);
      const m = await testMachine({ arch: 'i386', frames: 512, lowFrames: 24, design });
      m.map(BASE, 1);
      m.store(BASE, 1);
      let children = 0;
      while (children < 60 && m.vm.sysFork(m.cpu, 2 + children) > 0) children++;
      assert.ok(m.freeFrames() > 300);
      m.audit();
      return children;
    };
    const low = await processes('page-table-lock');
    const high = await processes('highpte-atomic');
    assert.ok(low < high, `${low} processes, and ${high}`);
  });
});

describe('a walk of /proc', () => {
  for (const design of HIGHPTE_DESIGNS) {
    it(`counts what is mapped: ${design.name}`, async () => {
      const m = await testMachine({ arch: 'i386', lowFrames: LOW, design });
      m.map(BASE, 3000);
      for (let page = 0; page < 3000; page += 60) m.store(BASE + page * m.page, 1);
      assert.equal(m.vm.procStatm(m.cpu, m.cpu.mm), 50);
      assert.equal(m.counts().rss, 50);
      assert.ok(m.touch(BASE + m.page, READ));
      assert.equal(m.vm.procStatm(m.cpu, m.cpu.mm), 51);
      m.audit();
    });
  }
});

describe('random operations', () => {
  for (const arch of ARCHES) {
    for (const design of HIGHPTE_DESIGNS) {
      it(`agree with the model of contents: ${arch}, ${design.name}`, async () => {
        const machines = [
          { frames: 3000, swapPages: 0, mayFail: NOTHING_FAILS },
          { frames: 130, swapPages: 400, mayFail: MEMORY_FAILS },
        ];
        for (const { frames, swapPages, mayFail } of machines) {
          const options = { arch, design, frames, swapPages, lowFrames: LOW, kmaps: 3 };
          const m = await testMachine(options);
          m.vm.PROGRAMS.randomOperations(m.cpu, 1, 2 * OPERATIONS, 1, mayFail);
          assert.ok(tablesOf(m).highLeaves > 0);
          m.audit();
        }
      });
    }
  }

  for (const design of HIGHPTE_DESIGNS) {
    it(`leave the same memory in each engine: ${design.name}`, async () => {
      const config = highConfig(design.name, { cpus: 2 });
      const engines: Engine[] = [
        await ParallelEngine.create(config),
        await ExploreEngine.create(config),
        await SimulateEngine.create(config, machineForArch('i386')),
      ];
      const [first] = engines;
      for (const engine of engines) {
        await runAlone(engine, 'randomOperations', 5, OPERATIONS, 1, MEMORY_FAILS);
        assert.deepEqual(engine.vm.audit(engine.memory), []);
        const differs = first.memory.words.findIndex(
          (value, at) => value !== engine.memory.words[at],
        );
        assert.equal(differs, -1, first.vm.nameOf(differs));
        await engine.close();
      }
    });
  }
});

function highConfig(name: string, machine: Partial<VmConfig['machine']>): VmConfig {
  const shape = { arch: 'i386', frames: 400, cpus: 4, nodes: 1, lowFrames: LOW, kmaps: 3 } as const;
  return vmConfig({ ...shape, ...machine }, designNamed(name));
}

/** Threads of two processes at work on memory that they share. @returns loads that were checked, of each */
async function share(engine: Engine, seed: number): Promise<number[]> {
  const files = await runAlone(engine, 'sharedFiles', 32);
  const tasks = [];
  for (let process = 0; process < 2; process++) {
    const first = await runAlone(engine, 'sharedStart');
    tasks.push(first, await runAlone(engine, 'pftThread', first, 2));
  }
  const found = await engine.run(
    tasks.map((task, cpu) => ({
      cpu,
      program: 'sharedOperations',
      args: [task, 100 * seed + cpu, OPERATIONS, cpu, files, MEMORY_FAILS],
    })),
  );
  assert.deepEqual(engine.vm.audit(engine.memory), []);
  for (const task of tasks) await runAlone(engine, 'pftExit', task);
  assert.deepEqual(engine.vm.audit(engine.memory), []);
  return found;
}

describe('threads of two processes', () => {
  for (const design of HIGHPTE_DESIGNS) {
    it(`find their words where memory is reclaimed and slots are few: ${design.name}`, async () => {
      const config = highConfig(design.name, { frames: 300, swapPages: 600 });
      const engines: Engine[] = [
        await ParallelEngine.create(config),
        await RandomEngine.create(config, { seed: 1 }),
        await SimulateEngine.create(config, machineForArch('i386')),
      ];
      for (const engine of engines) {
        const found = await share(engine, 1);
        assert.ok(found.every((loads) => loads > 50));
        await engine.close();
      }
    });
  }
});

describe('the pool of slots', () => {
  it('is waited for where it runs dry, and handed over', async () => {
    const engine = await SimulateEngine.create(
      highConfig('highpte-persistent', { kmaps: 2 }),
      machineForArch('i386'),
    );
    await share(engine, 2);
    const { KMAP, Kmap } = engine.vm;
    const count = (event: number): number => engine.memory.words[KMAP + event];
    assert.ok(count(Kmap.flushes) > 0);
    assert.ok(count(Kmap.sleeps) > 0);
    assert.ok(count(Kmap.handOvers) > 0);
  });

  it('must not be too small for a move', () => {
    assert.throws(() => highConfig('highpte-persistent', { kmaps: 1 }), { code: 'MACHINE_KMAPS' });
  });
});

describe('the audit', () => {
  it('tells of a slot that somebody has kept', async () => {
    const m = await testMachine({
      arch: 'i386',
      lowFrames: LOW,
      design: designNamed('highpte-hybrid'),
    });
    m.map(BASE, 1);
    m.store(BASE, 1);
    const { vm, memory, cpu } = m;
    m.audit();
    memory.words[vm.preemptCount(0)] = 1;
    assert.deepEqual(vm.audit(memory), ['atomic kmaps that cpu 0 holds is 1, should be 0']);
    memory.words[vm.preemptCount(0)] = 0;
    const [table] = [...vm.tableNames(memory).values()].filter(({ level }) => level === 0);
    vm.kmapHigh(cpu, table.pfn);
    assert.match(vm.audit(memory).join('\n'), /^kmap slot \d+ is in use \(1\)$/);
  });
});

describe('a task that may sleep with a slot of its CPU', () => {
  const careless = { ...designNamed('highpte-2.5.7'), kmapUnchecked: false };

  it('is told so at once in every engine', async () => {
    const machine = { arch: 'i386', frames: 100, cpus: 1, nodes: 1, lowFrames: LOW } as const;
    const config = vmConfig(machine, careless);
    const engines: Engine[] = [
      await ParallelEngine.create(config),
      await ExploreEngine.create(config),
      await SimulateEngine.create(config, machineForArch('i386')),
    ];
    for (const engine of engines) {
      const first = await runAlone(engine, 'highpteSetup', 1, 0, 0);
      await assert.rejects(runAlone(engine, 'moveElsewhere', first, 0, 0), {
        message: /cpu 0 may sleep with an atomic kmap held/,
      });
      await engine.close();
    }
  });

  it('is told so where it does sleep, too', async () => {
    const config = vmConfig(
      { arch: 'i386', frames: 100, cpus: 1, nodes: 1, lowFrames: LOW },
      designNamed('highpte-atomic'),
    );
    const engine = await ExploreEngine.create(config);
    engine.memory.words[engine.vm.preemptCount(0)] = 1;
    await assert.rejects(runAlone(engine, 'holdSemaphore'), {
      message: /cpu 0 sleeps \(downRead\) with an atomic kmap held/,
    });
  });
});

describe('high memory', () => {
  it('is there only where the kernel cannot map all', () => {
    const machine = { frames: 100, cpus: 1, nodes: 1, lowFrames: 50 } as const;
    const code = 'MACHINE_LOW_FRAMES';
    const design = designNamed('highpte-atomic');
    assert.throws(() => vmConfig({ ...machine, arch: 'x86_64' }, design), { code });
    assert.throws(() => vmConfig({ ...machine, arch: 'i386', lowFrames: 101 }, design), { code });
    assert.throws(() => vmConfig({ ...machine, arch: 'i386' }, designNamed('v18-prezero')), {
      code,
    });
  });
});
