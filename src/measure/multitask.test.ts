/** The multi-task load: clean in every engine, and spurious faults only where ptes are cleared first. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ARCH_NAMES, RIGHT_DESIGNS } from '../../test/machine.js';
import { InputError } from '../base/errors.js';
import { designNamed } from '../designs/index.js';
import { runAlone, type Engine } from '../engines/engine.js';
import { ExploreEngine } from '../engines/explore/exploreEngine.js';
import { ParallelEngine } from '../engines/parallel/parallelEngine.js';
import { machineForArch } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import {
  configFor,
  forkTasks,
  jobTimingIndex,
  runMultitask,
  shares,
  type MultitaskSetup,
} from './multitask.js';
import { MAIL_TABLES } from './multitaskMail.js';
import { ARCHES } from '../hardware/arch/index.js';

/** What a task does, see JOBS in workloads/multitask.ts. */
const JOBS_PER_TASK = 10;

function setupOf(design: string, options: Partial<MultitaskSetup> = {}): MultitaskSetup {
  return {
    engine: 'simulate',
    arch: 'ia64',
    design: designNamed(design),
    cpus: 4,
    cpusPerNode: 2,
    tasks: 6,
    seed: 1,
    ...options,
  };
}

/** Runs all tasks to their end, with audits; then nothing but the file is left. */
async function runToEnd(engine: Engine, { cpus, tasks, seed }: MultitaskSetup): Promise<void> {
  const audit = (): void => assert.deepEqual(engine.vm.audit(engine.memory), []);
  const file = await runAlone(engine, 'multitaskFile');
  const left = engine.vm.pageStates(engine.memory);
  const inUse = left.pgalloc - left.pgfree;
  const parent = await runAlone(engine, 'multitaskParent');
  const records = await forkTasks(engine, parent, tasks);
  audit();
  const jobs = await engine.run(shares(cpus, file, seed, records));
  assert.equal(
    jobs.reduce((sum, done) => sum + done),
    tasks * JOBS_PER_TASK,
  );
  audit();
  await runAlone(engine, 'endTask', parent);
  audit();
  const { pgalloc, pgfree, nr_page_table_pages } = engine.vm.pageStates(engine.memory);
  assert.equal(nr_page_table_pages, 0);
  assert.equal(pgalloc - pgfree, inUse);
  await engine.close();
}

describe('the multi-task load', () => {
  for (const { name } of RIGHT_DESIGNS) {
    it(`runs to its end in all engines, and leaves nothing behind: ${name}`, async () => {
      const setup = setupOf(name, { arch: 'x86_64' });
      const config = configFor(setup);
      await runToEnd(await ParallelEngine.create(config), setup);
      await runToEnd(await ExploreEngine.create(config), setup);
      await runToEnd(await SimulateEngine.create(config, machineForArch('x86_64')), setup);
    });
  }

  for (const arch of ARCH_NAMES) {
    it(`runs where a CPU has no partner: ${arch}`, async () => {
      for (const cpus of [1, 3]) {
        const setup = setupOf('page-table-lock', { arch, cpus });
        const engine = await SimulateEngine.create(configFor(setup), machineForArch(arch));
        await runToEnd(engine, setup);
      }
    });
  }

  for (const design of RIGHT_DESIGNS) {
    const { pteUpdate } = design.locking;
    const some = pteUpdate === 'clear-then-set';
    it(`has ${some ? 'spurious faults' : 'no spurious fault'} with ${pteUpdate}: ${design.name}`, async () => {
      // What differs between architectures is not the locking.
      const arches = design.name.startsWith('page-table-lock') ? ARCH_NAMES : (['ia64'] as const);
      for (const arch of arches) {
        // Few tasks are quick; but whether any CPU comes by in a moment is left to chance, and so to seeds.
        let spuriousFaults = 0;
        for (let seed = 1; seed <= 4 && spuriousFaults === 0; seed++) {
          const setup = setupOf(design.name, { arch, cpus: 8, tasks: 16, seed });
          ({ spuriousFaults } = await runMultitask(setup));
        }
        // Without an exchange of ptes they are cleared and set all the same.
        const expected = some || !ARCHES[arch].atomicPtes;
        assert.equal(spuriousFaults > 0, expected, `${arch}: ${spuriousFaults}`);
      }
    });
  }

  it('has none on one CPU, where no other can look', async () => {
    const { spuriousFaults } = await runMultitask(setupOf('page-table-lock', { cpus: 1 }));
    assert.equal(spuriousFaults, 0);
  });

  it('gives the same figures for the same seed, and others for another', async () => {
    const first = await runMultitask(setupOf('page-table-lock'));
    assert.deepEqual(await runMultitask(setupOf('page-table-lock')), first);
    const other = await runMultitask(setupOf('page-table-lock', { seed: 2 }));
    assert.notEqual(other.realSeconds, first.realSeconds);
  });

  it('keeps to the definitions of its columns', async () => {
    const result = await runMultitask(setupOf('v18'));
    assert.equal(result.jobs, 6 * JOBS_PER_TASK);
    assert.equal(result.jobsPerMinute, (result.jobs * 60) / result.realSeconds);
    assert.equal(result.jobsPerMinutePerTask, result.jobsPerMinute / 6);
    assert.ok(result.cpuSeconds > result.realSeconds);
    assert.ok(result.cpuSeconds <= 4 * result.realSeconds);
  });

  it('runs on workers, with a time for each task', async () => {
    const result = await runMultitask(setupOf('v18', { engine: 'parallel', cpus: 2 }));
    assert.equal(result.jobs, 6 * JOBS_PER_TASK);
    assert.ok(result.jti >= 0 && result.jti <= 100);
  });

  it('is refused where the tasks do not fit the machine', async () => {
    const refused = async (tasks: number): Promise<void> => {
      await assert.rejects(runMultitask(setupOf('v18', { tasks })), InputError);
    };
    await refused(15_000);
    await refused(30_000);
  });
});

describe('the job timing index', () => {
  it('is 100 where all times are the same, and loses what they deviate in hundredths of their mean', () => {
    assert.equal(jobTimingIndex([7]), 100);
    assert.equal(jobTimingIndex([3, 3, 3]), 100);
    assert.equal(jobTimingIndex([1, 3]), 50);
    assert.equal(jobTimingIndex([0, 0, 0, 1]), 0);
  });
});

describe("the mail's tables", () => {
  it('are of 97 jobs a task, row by row', () => {
    for (const row of Object.values(MAIL_TABLES).flat()) {
      const jobs = (row.jobsPerMinute * row.realSeconds) / 60 / row.tasks;
      assert.ok(Math.abs(jobs - 97) < 0.05, `${row.tasks} tasks: ${jobs} jobs`);
      assert.ok(Math.abs(row.jobsPerMinutePerTask - row.jobsPerMinute / row.tasks) < 0.005);
    }
  });
});
