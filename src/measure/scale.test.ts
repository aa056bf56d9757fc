/** Scaling: the shapes that were measured on real machines, by prediction; and that a seed gives the same to the bit. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InputError } from '../base/errors.js';
import { MACHINES } from '../engines/simulate/machine.js';
import { runScale, saturationOf, type CurvePoint, type ScaleSetup } from './scale.js';
import { SCALE_LOAD_NAMES } from './scaleLoads.js';
import { simulatePoint, type PointTask, type ScalePoint } from './scalePoint.js';

const ALTIX = MACHINES.named('altix-512');

const SETUP: ScaleSetup = {
  machine: ALTIX,
  designs: ['v18'],
  load: 'pft',
  cpus: [1, 2],
  seeds: [1, 2],
  pages: 16,
  lines: 2,
  workers: 2,
};

function pointOf(design: string, cpus: number, more: Partial<PointTask> = {}): Promise<ScalePoint> {
  const task = { machine: ALTIX, design, load: 'pft', cpus, seed: 1, pages: 24, lines: 1 } as const;
  return simulatePoint({ ...task, ...more });
}

async function rateOf(design: string, cpus: number, more?: Partial<PointTask>): Promise<number> {
  return (await pointOf(design, cpus, more)).faultsPerSecond;
}

function curveOf(...rates: number[]): Pick<CurvePoint, 'cpus' | 'faultsPerSecond'>[] {
  return rates.map((faultsPerSecond, place) => ({ cpus: 2 ** place, faultsPerSecond }));
}

describe('what the field measured comes out', () => {
  it('page-table-lock grows to 4 CPUs, peaks by 16 and falls: the lock’s line is the hottest', async () => {
    const four = await rateOf('page-table-lock', 4);
    assert.ok(four > 1.5 * (await rateOf('page-table-lock', 1)));
    assert.ok((await rateOf('page-table-lock', 16)) < four);
    const many = await pointOf('page-table-lock', 64);
    assert.ok(many.faultsPerSecond < four / 2);
    const [hottest] = many.lines;
    assert.equal(hottest.words[0], 'mm[0].pageTableLock');
    assert.ok(hottest.share > 0.9 && hottest.transferShare < 0.1);
    const waiting = hottest.waiters.map(({ functions }) => functions.split(' > ').pop());
    assert.deepEqual(waiting.slice(0, 2).sort(), ['pageTableAtomicStart', 'ptesLock']);
  });

  it('v18 and a lock for each table converge: readers who bounce mmap_sem are the hottest line', async () => {
    const [v18, tableLock] = [await pointOf('v18', 64), await pointOf('table-lock', 64)];
    assert.ok(Math.abs(v18.faultsPerSecond / tableLock.faultsPerSecond - 1) < 0.1);
    for (const { lines } of [v18, tableLock]) {
      assert.equal(lines[0].words[0], 'mm[0].mmapSem');
      assert.ok(lines[0].transferShare > 0.99, 'nobody holds it for writing');
    }
  });

  it('prefault raises the plateau', async () => {
    assert.ok((await rateOf('prefault', 64)) > 3 * (await rateOf('page-table-lock', 64)));
  });

  it('with it mmap_sem is not the limit any more, but the counters are, unless each thread has its own', async () => {
    const v18 = await rateOf('v18', 64);
    const counted = await pointOf('v18-prefault', 64);
    assert.ok(counted.faultsPerSecond > v18 && counted.faultsPerSecond < 2 * v18);
    assert.deepEqual([...counted.lines[0].words].sort(), ['mm[0].anonRss', 'mm[0].rss']);
    assert.ok((await rateOf('v18-prefault:per-thread', 64)) > 3 * v18);
  });

  it('an atomic word that all share in their VMA costs more than half at 48 CPUs', async () => {
    const shared = await pointOf('linux-6', 48);
    assert.ok(shared.faultsPerSecond < (await rateOf('linux-6', 48, { load: 'vma-each' })) / 2);
    assert.deepEqual(shared.lines[0].words, ['vma[0].vmLock']);
  });

  it('rss for each thread does not help where mmap_sem is the limit', async () => {
    const ratio = (await rateOf('v18-per-thread', 64)) / (await rateOf('v18', 64));
    assert.ok(Math.abs(ratio - 1) < 0.1, `${ratio}`);
  });
});

describe('a point', () => {
  it('is the same for the same seed, watched or not, and another for another', async () => {
    const point = await pointOf('page-table-lock', 8);
    assert.deepEqual(await pointOf('page-table-lock', 8), point);
    // Unwatched, CPUs run ahead on lines of their own.
    const unwatched = await rateOf('page-table-lock', 8, { lines: 0 });
    assert.ok(Math.abs(unwatched / point.faultsPerSecond - 1) < 0.01, `${unwatched}`);
    assert.notEqual(await rateOf('page-table-lock', 8, { seed: 2 }), point.faultsPerSecond);
  });

  for (const load of SCALE_LOAD_NAMES) {
    it(`of ${load} has faults, and shares of lines that are shares`, async () => {
      const { faultsPerSecond, lines } = await pointOf('linux-6', 3, { load, pages: 64, lines: 9 });
      assert.ok(faultsPerSecond > 0 && Number.isFinite(faultsPerSecond));
      assert.ok(lines.length > 0);
      assert.ok(lines.reduce((sum, { share }) => sum + share, 0) <= 1);
      for (const { words, transferShare, waiters } of lines) {
        assert.ok(words.length > 0 && transferShare >= 0 && transferShare <= 1);
        assert.ok(waiters.reduce((sum, { share }) => sum + share, 0) <= 1 + 1e-9);
      }
    });
  }
});

describe('scale', () => {
  it('gives the same with one worker and with two, in order of designs and CPUs', async () => {
    const setup = { ...SETUP, designs: ['v18', 'prefault'] };
    let points = 0;
    const result = await runScale({ ...setup, progress: (done) => (points = done) });
    assert.equal(points, 8);
    assert.deepEqual(await runScale({ ...setup, workers: 1 }), result);
    assert.deepEqual(
      result.curves.map(({ design, points: own }) => [design, ...own.map(({ cpus }) => cpus)]),
      [
        ['v18', 1, 2],
        ['prefault', 1, 2],
      ],
    );
    for (const { least, faultsPerSecond, most } of result.curves[0].points) {
      assert.ok(least <= faultsPerSecond && faultsPerSecond <= most);
    }
  });

  it('takes no more CPUs than the machine has', async () => {
    await assert.rejects(
      runScale({ ...SETUP, cpus: [513] }),
      (error) =>
        error instanceof InputError && /513 CPUs, and altix-512 has 512/.test(error.message),
    );
  });

  it('calls a design saturated from where twice the CPUs give less than a tenth more', () => {
    assert.deepEqual(saturationOf(curveOf(100, 200, 210, 150)), {
      peakCpus: 4,
      peakFaultsPerSecond: 210,
      saturatedCpus: 2,
    });
    assert.deepEqual(saturationOf(curveOf(100, 200)), { peakCpus: 2, peakFaultsPerSecond: 200 });
    const steps = [
      { cpus: 1, faultsPerSecond: 100 },
      { cpus: 4, faultsPerSecond: 120 },
    ];
    assert.equal(saturationOf(steps).saturatedCpus, 1, 'four times the CPUs are two doublings');
  });
});
