/** Predictions for recordings on N CPUs: which faults are taken, where, and that the same comes out each time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MACHINES } from '../engines/simulate/machine.js';
import { timeReplay, predictReplay, type TimedResult, type TimedTask } from './predictReplay.js';
import { simulatePoint } from './scalePoint.js';

const recording = (name: string): string =>
  fileURLToPath(new URL(`../../../recordings/${name}`, import.meta.url));

const LS = {
  trace: recording('ls.trace.gz'),
  truthPath: recording('ls.truth.json.gz'),
  memoryBytes: 2 ** 26,
  allowLost: false,
  partial: false,
};
const PFT2 = { ...LS, trace: recording('pft2.trace.gz'), truthPath: undefined };
const MACHINE = MACHINES.named('x86-4s');

function timed(task: Partial<TimedTask>): Promise<TimedResult> {
  const base = { ...LS, machine: MACHINE, design: 'v18', cpus: 1, pacing: 'recorded', seed: 1 };
  return timeReplay({ ...base, ...task } as TimedTask);
}

describe('a prediction for a recording', () => {
  it('takes the faults that the exact replay takes, and is the same each time', async () => {
    const first = await timed({});
    assert.equal(first.faults, 224);
    assert.equal(first.threads, 1);
    assert.equal(first.wallNs, first.cpuNs);
    assert.deepEqual(await timed({}), first);
  });

  it('of one thread does not depend on the pace', async () => {
    const { wallNs } = await timed({});
    assert.ok(Math.abs((await timed({ pacing: 'back-to-back' })).wallNs - wallNs) < 1);
  });

  it('of two threads takes less wall time on two CPUs, and no less of the CPUs’', async () => {
    const one = await timed(PFT2);
    const two = await timed({ ...PFT2, cpus: 2 });
    assert.equal(two.faults, one.faults);
    assert.equal(one.besideOthers, 0);
    assert.ok(two.besideOthers > two.faults / 2);
    assert.ok(two.wallNs < 0.9 * one.wallNs);
    assert.ok(two.cpuNs >= one.cpuNs);
  });

  it('has faults meet more often back to back: on page_table_lock that takes longer', async () => {
    const task = { ...PFT2, cpus: 2, design: 'page-table-lock' };
    const { wallNs } = await timed(task);
    assert.ok((await timed({ ...task, pacing: 'back-to-back' })).wallNs > wallNs);
  });

  it('has its recorded pace within its range, for each number of CPUs', async () => {
    const [{ design, points }] = await predictReplay({
      ...PFT2,
      designs: ['v18'],
      machine: MACHINE,
      cpus: [1, 2],
      seeds: [1],
      workers: 1,
    });
    assert.equal(design, 'v18');
    assert.deepEqual(
      points.map(({ cpus }) => cpus),
      [1, 2],
    );
    for (const { wallNs, leastNs, mostNs } of points) {
      assert.ok(leastNs <= wallNs && wallNs <= mostNs);
    }
  });
});

describe('a recording as a load', () => {
  it('has a rate, and the lines that its threads wait for', async () => {
    const { faultsPerSecond, lines } = await simulatePoint({
      machine: MACHINE,
      design: 'page-table-lock',
      load: PFT2,
      cpus: 2,
      seed: 1,
      pages: 0,
      lines: 3,
    });
    assert.ok(faultsPerSecond > 0);
    assert.match(lines[0].words.join(' '), /pageTableLock/);
  });
});
