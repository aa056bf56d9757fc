import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { MACHINES } from '../engines/simulate/machine.js';
import type { ScaleResult } from '../measure/scale.js';
import type { ScaleChart } from './chartData.js';
import { scaleHtml } from './scaleHtml.js';

const LINE = {
  words: ['mm[0].pageTableLock'],
  lines: 1,
  share: 0.9,
  transferShare: 0.1,
  transfers: 7,
  waiters: [{ functions: 'pteLock > ptesLock', share: 1 }],
};

const RESULT: ScaleResult = {
  machine: 'altix-512',
  load: 'pft',
  seeds: [1, 2],
  curves: [
    {
      design: 'page-table-lock',
      points: [
        { cpus: 1, faultsPerSecond: 100, least: 90, most: 110, lines: [] },
        { cpus: 16, faultsPerSecond: 200, least: 190, most: 210, lines: [LINE] },
      ],
      saturation: { peakCpus: 16, peakFaultsPerSecond: 200 },
    },
  ],
};

describe('the page of scale', () => {
  const machine = MACHINES.named('altix-512');
  let html: string;
  let chart: ScaleChart;
  before(async () => {
    html = await scaleHtml(RESULT, machine, 'minorfault scale --seeds 1,2 </script>');
    const text = /<script type="application\/json" id="data">([^]*?)<\/script>/.exec(html)![1];
    chart = JSON.parse(text) as ScaleChart;
  });

  it('draws a curve with its bars, and gaps where it has no point', () => {
    assert.deepEqual(chart.cpus, [1, 2, 4, 8, 16]);
    assert.deepEqual(chart.series[0], {
      label: 'page-table-lock',
      kind: 'simulated',
      colour: 0,
      rates: [100, null, null, null, 200],
      least: [90, null, null, null, 190],
      most: [110, null, null, null, 210],
    });
  });

  it('has the documents’ rows as points, in the colour of their design', () => {
    const measured = chart.series.filter(({ kind }) => kind === 'measured');
    assert.deepEqual(
      measured.map(({ label, colour }) => [label, colour]),
      [
        ['page-table-lock, measured, 1024 MiB', 0],
        ['page-table-lock, measured, 4096 MiB', 0],
        ['prefault-v2, measured, 1024 MiB', 1],
        ['prefault-v2, measured, 4096 MiB', 1],
      ],
    );
    assert.equal(measured[0].rates[0], 88859.03);
    assert.match(html, /<td>88,859<\/td><td>100<\/td><td>0\.00 ×<\/td>/);
  });

  it('has none of another test or of another kind of machine', async () => {
    assert.doesNotMatch(
      await scaleHtml({ ...RESULT, load: 'fork-heavy' }, machine, ''),
      /measured,/,
    );
    assert.doesNotMatch(await scaleHtml(RESULT, MACHINES.named('x86-2s'), ''), /measured,/);
  });

  it('says which lines are hot, who waits, and what made it', () => {
    assert.match(html, /<td>mm\[0\]\.pageTableLock<\/td><td>1<\/td><td>90\.0 %<\/td>/);
    assert.match(html, /pteLock &gt; ptesLock 100\.0 %/);
    assert.match(html, /<code>minorfault scale --seeds 1,2 &lt;\/script&gt;<\/code>/);
  });

  it('loads nothing, and has the library of charts in it', () => {
    assert.doesNotMatch(html, /\b(?:src|href)="|url\(|@import/);
    assert.match(html, /default-src 'none'/);
    assert.match(html, /\.uplot/);
    assert.match(html, /class uPlot|function uPlot/);
  });
});
