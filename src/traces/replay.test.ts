/** The shipped recordings, replayed; what is wrong with bad ones is told in cli.test.ts. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { DESIGNS } from '../designs/index.js';
import { replayFile, type ReplayReport } from './replayFile.js';

const RECORDINGS = new URL('../../../recordings/', import.meta.url);
const designs = DESIGNS.filter(({ broken }) => broken === undefined);

function recording(name: string): string {
  return fileURLToPath(new URL(name, RECORDINGS));
}

async function replay(name: string, withTruth: boolean): Promise<ReplayReport[]> {
  return await replayFile(recording(`${name}.trace.gz`), {
    designs,
    memoryBytes: 128 * 2 ** 20,
    truthPath: withTruth ? recording(`${name}.truth.json.gz`) : undefined,
    allowLost: false,
    partial: false,
  });
}

describe('a replay beside the kernel’s own counts', () => {
  for (const [name, faults] of [
    ['ls', 224],
    ['perl', 1690],
    ['pft2', 6203],
  ] as const) {
    it(`explains every fault of ${name}, its memory, and its page table at exit`, async () => {
      const reports = await replay(name, true);
      assert.equal(reports.length, designs.length);
      for (const { processes, meminfo, notes } of reports) {
        assert.deepEqual(notes, []);
        assert.equal(processes.length, 1);
        const [process] = processes;
        assert.equal(process.faults.kernel, faults);
        assert.equal(process.faults.model, faults);
        assert.equal(process.faults.unexplained, 0);
        for (const { kernel, model } of Object.values(process.faults.byKind)) {
          assert.equal(model, kernel);
        }
        assert.equal(process.rssPeakKb.model, process.rssPeakKb.kernel);
        assert.equal(process.exitPagemap, 'equal');
        assert.equal(process.pageTableKb.model, process.pageTableKb.kernel);
        assert.equal(process.minflt.trace, process.minflt.kernel);
        assert.equal(meminfo['PageTables kB'], 0);
      }
    });
  }
});

describe('a replay of the trace alone', () => {
  it('explains every fault, and says that it knows nothing of the page table', async () => {
    for (const { processes } of await replay('perl', false)) {
      assert.equal(processes[0].faults.unexplained, 0);
      assert.equal(processes[0].exitPagemap, 'unknown');
      assert.equal(processes[0].minflt.kernel, null);
    }
  });
});
