/** The shipped recordings, replayed; what is wrong with bad ones is told in cli.test.ts. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { InputError } from '../base/errors.js';
import { MIB } from '../base/units.js';
import { DESIGNS, designNamed } from '../designs/index.js';
import { PlainCpu } from '../engines/parallel/plainCpu.js';
import type { VmDesign } from '../mm/design.js';
import { replayFile, type ProcessReport, type ReplayReport } from './replayFile.js';

const RECORDINGS = new URL('../../../recordings/', import.meta.url);
/** Those that take the faults which the kernel took: with prefault there are fewer. */
const soundDesigns = DESIGNS.filter(
  ({ broken, prefault }) => broken === undefined && prefault === undefined,
);

function recording(name: string): string {
  return fileURLToPath(new URL(name, RECORDINGS));
}

async function replay(
  name: string,
  withTruth: boolean,
  machine: { memoryBytes: number; swapBytes?: number } = { memoryBytes: 256 * MIB },
  designs: readonly VmDesign[] = soundDesigns,
): Promise<ReplayReport[]> {
  return await replayFile(recording(`${name}.trace.gz`), {
    designs,
    ...machine,
    truthPath: withTruth ? recording(`${name}.truth.json.gz`) : undefined,
    allowLost: false,
    partial: false,
  });
}

/** Recordings whose files were in the kernel's cache: faults after exec, of how many processes. */
const WARM = [
  { name: 'forksh', faults: 6801, processes: 91 },
  { name: 'gcc', faults: 3315, processes: 3 },
  { name: 'gitgc', faults: 16920, processes: 8 },
  { name: 'growth', faults: 8487, processes: 1 },
  { name: 'ls', faults: 224, processes: 1 },
  { name: 'perl', faults: 1690, processes: 1 },
  { name: 'pft2', faults: 6203, processes: 1 },
  { name: 'pft2thp', faults: 78, processes: 1 },
  { name: 'sqlite', faults: 1385, processes: 2 },
] as const;

function sum(processes: readonly ProcessReport[], of: (process: ProcessReport) => number): number {
  return processes.reduce((total, process) => total + of(process), 0);
}

describe('a replay beside the kernel’s own counts', () => {
  for (const { name, faults, processes: count } of WARM) {
    it(`explains every fault of ${name}, its memory, and its page tables at exit`, async () => {
      const reports = await replay(name, true);
      assert.equal(reports.length, soundDesigns.length);
      for (const { processes, meminfo, notes } of reports) {
        assert.deepEqual(notes, []);
        assert.equal(processes.length, count);
        assert.equal(
          sum(processes, (process) => process.faults.kernel),
          faults,
        );
        for (const process of processes) {
          assert.equal(process.faults.model, process.faults.kernel);
          assert.equal(process.faults.unexplained, 0);
          for (const { kernel, model } of Object.values(process.faults.byKind)) {
            assert.equal(model, kernel);
          }
          assert.equal(process.rssPeakKb.model, process.rssPeakKb.kernel);
          assert.equal(process.exitPagemap, 'equal');
          assert.equal(process.pageTableKb.model, process.pageTableKb.kernel);
          assert.equal(process.minflt.trace, process.minflt.kernel);
        }
        assert.equal(meminfo['PageTables kB'], 0);
      }
    });
  }

  it('explains every fault of pycold, whose files were read as it ran', async () => {
    for (const { processes, notes } of await replay('pycold', true)) {
      assert.deepEqual(notes, []);
      assert.equal(processes[0].faults.kernel, 1822);
      assert.equal(processes[0].faults.unexplained, 0);
      // Twenty pages were cached when the kernel looked and in no event that the recording has.
      const { onlyKernel, onlyModel, otherKind } = processes[0].exitPages;
      assert.deepEqual(
        { onlyKernel, onlyModel, otherKind },
        { onlyKernel: 20, onlyModel: 0, otherKind: 0 },
      );
    }
  });
});

describe('a replay, which keeps no contents of pages', () => {
  it('is handed back every page table as zeros', async (t) => {
    let frames = 0;
    t.mock.method(PlainCpu.prototype, 'zeroPage', function (this: PlainCpu, frame: number) {
      frames++;
      const dirty = this.words.subarray(frame, frame + 1024).findIndex((word) => word !== 0);
      assert.equal(dirty, -1, `word ${dirty} of a new frame is not zero`);
    });
    for (const name of ['forksh', 'growth', 'pft2thp', 'stress']) await replay(name, false);
    assert.ok(frames > 10_000);
  });
});

describe('a replay of the trace alone', () => {
  it('explains every fault of stress, which forks with huge pages, and its memory', async () => {
    for (const { processes, notes } of await replay('stress', false)) {
      assert.deepEqual(notes, []);
      assert.equal(processes.length, 2);
      for (const { faults, rssPeakKb } of processes) {
        assert.equal(faults.unexplained, 0);
        assert.equal(rssPeakKb.model, rssPeakKb.kernel);
      }
    }
  });

  it('explains every fault, and says that it knows nothing of the page table', async () => {
    for (const { processes } of await replay('perl', false)) {
      assert.equal(processes[0].faults.unexplained, 0);
      assert.equal(processes[0].exitPagemap, 'unknown');
      assert.equal(processes[0].minflt.kernel, null);
    }
  });
});

/** One of each locking: the others reclaim as these do. */
const lockings = ['page-table-lock', 'v18', 'table-lock', 'pte-bit', 'linux-6'].map(designNamed);

/** Recordings whose memory runs short: what the machine has, and what must be seen of it. */
const SHORT = [
  { name: 'growth', memory: 16, truth: true, swapsOut: true, swapsIn: false, extra: false },
  { name: 'gcc', memory: 16, truth: true, swapsOut: true, swapsIn: true, extra: true },
  { name: 'gitgc', memory: 8, truth: true, swapsOut: true, swapsIn: true, extra: true },
  { name: 'stress', memory: 8, truth: false, swapsOut: true, swapsIn: true, extra: true },
  { name: 'ls', memory: 0.25, truth: true, swapsOut: true, swapsIn: false, extra: true },
] as const;

describe('a replay whose memory runs short', () => {
  for (const { name, memory, truth, swapsOut, swapsIn, extra } of SHORT) {
    it(`runs ${name} to its end on ${memory} MiB, and loses no anonymous page`, async () => {
      const machine = { memoryBytes: memory * MIB, swapBytes: 4 * memory * MIB };
      for (const { processes, pressure, meminfo, notes } of await replay(
        name,
        truth,
        machine,
        lockings,
      )) {
        for (const { faults, exitPagemap, rssPeakKb } of processes) {
          assert.equal(faults.unexplained, 0);
          assert.equal(exitPagemap, truth ? 'equal' : 'unknown');
          assert.ok(rssPeakKb.model <= memory * 1024);
        }
        assert.ok(pressure !== undefined);
        const { swappedOut, swappedIn, fileRead, majorFaults, scanned, reclaimed } = pressure;
        assert.equal(pressure.swap, memory * 1024);
        assert.equal(swappedOut > 0, swapsOut);
        assert.equal(swappedIn > 0, swapsIn);
        assert.equal(sum(processes, ({ faults }) => faults.extra) > 0, extra);
        assert.ok(majorFaults > 0);
        // A call that faults pages in, such as mlock, has some for itself.
        assert.ok(sum(processes, ({ faults }) => faults.major) <= majorFaults);
        // What is read is read for a fault, or ahead of one.
        assert.ok(swappedIn + fileRead >= majorFaults);
        assert.ok(pressure.allocationStalls > 0 && reclaimed > 0 && reclaimed <= scanned);
        assert.equal(meminfo['PageTables kB'], 0);
        assert.match(notes.map(({ note }) => note).join(), /lower bounds/);
      }
    });
  }

  it('is told apart from one with swap that is not needed', async () => {
    const machine = { memoryBytes: 16 * MIB, swapBytes: 64 * MIB };
    const limited = await replay('ls', true, machine, lockings);
    const unlimited = await replay('ls', true, undefined, lockings);
    limited.forEach(({ processes, pressure, notes }, design) => {
      assert.deepEqual(processes, unlimited[design].processes);
      assert.deepEqual(notes, []);
      const { swap, ...rest } = pressure!;
      assert.equal(swap, 16384);
      assert.ok(Object.values(rest).every((value) => value === 0));
    });
  });

  it('ends when swap is full too, and says what fills memory', async () => {
    const machine = { memoryBytes: 4 * MIB, swapBytes: 16 * MIB };
    await assert.rejects(replay('growth', false, machine, lockings), (error: unknown) => {
      assert.ok(error instanceof InputError);
      assert.equal(error.code, 'MACHINE_FULL');
      assert.match(
        error.message,
        /anonymous 3\.\d MiB.* with 16\.0 MiB of swap, of which 0\.0 MiB/,
      );
      return true;
    });
  });
});
