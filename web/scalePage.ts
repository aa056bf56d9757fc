/**
 * The script of the page of `minorfault scale` (src/cli/scaleHtml.ts): draws the curves on logarithmic axes, with a
 * bar at each point from the least to the most of all seeds.
 */
import uPlot from 'uplot';
import type { ChartSeries, ScaleChart } from '../src/cli/chartData.js';

/** Colours that are told apart by most eyes, on white and on black (Okabe and Ito). */
const COLOURS = ['#d55e00', '#0072b2', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8c8c8c'];
const HEIGHT = 480;
/** Of the bar across the end of an error bar, and of a measured point: in pixels of the page. */
const CAP = 3;
const POINT = 9;

const chart = JSON.parse(document.getElementById('data')!.textContent) as ScaleChart;
const place = document.getElementById('chart')!;

function colourOf({ colour }: ChartSeries): string {
  return COLOURS[colour % COLOURS.length];
}

function seriesOptions(series: ChartSeries): uPlot.Series {
  const stroke = colourOf(series);
  const value: uPlot.Series.Value = (_plot, rate: number | null) =>
    rate === null ? '–' : Math.round(rate).toLocaleString('en-US');
  if (series.kind === 'simulated') {
    return { label: series.label, stroke, width: 2, spanGaps: true, points: { size: 5 }, value };
  }
  const points = { show: true, size: POINT, width: 2, stroke };
  return { label: series.label, stroke, width: 0, paths: () => null, points, value };
}

function drawErrorBars(plot: uPlot): void {
  const { ctx } = plot;
  const cap = CAP * devicePixelRatio;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  chart.series.forEach((series, number) => {
    if (series.kind === 'measured' || !plot.series[number + 1].show) return;
    ctx.strokeStyle = colourOf(series);
    ctx.beginPath();
    chart.cpus.forEach((cpus, at) => {
      const least = series.least[at];
      const most = series.most[at];
      if (least === null || most === null) return;
      const x = plot.valToPos(cpus, 'x', true);
      const low = plot.valToPos(least, 'y', true);
      const high = plot.valToPos(most, 'y', true);
      ctx.moveTo(x, low);
      ctx.lineTo(x, high);
      for (const end of [low, high]) {
        ctx.moveTo(x - cap, end);
        ctx.lineTo(x + cap, end);
      }
    });
    ctx.stroke();
  });
  ctx.restore();
}

function width(): number {
  return place.clientWidth;
}

const text = getComputedStyle(document.body).color;
const grid = { stroke: 'rgba(128, 128, 128, 0.25)', width: 1 };
const axis = { stroke: text, grid, ticks: grid };

const plot = new uPlot(
  {
    width: width(),
    height: HEIGHT,
    scales: { x: { time: false, distr: 3, log: 2 }, y: { distr: 3, log: 10 } },
    axes: [
      { ...axis, label: 'CPUs' },
      {
        ...axis,
        label: 'faults a second',
        size: 90,
        values: (_plot, splits) =>
          splits.map((split) => (split === null ? '' : split.toLocaleString('en-US'))),
      },
    ],
    series: [{ label: 'CPUs' }, ...chart.series.map(seriesOptions)],
    hooks: { draw: [drawErrorBars] },
  },
  [[...chart.cpus], ...chart.series.map(({ rates }) => [...rates])],
  place,
);

window.addEventListener('resize', () => plot.setSize({ width: width(), height: HEIGHT }));
