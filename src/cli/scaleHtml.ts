/** What `minorfault scale` found as a page: curves, hottest lines, and what they rest on. All in one file. */
import { COST_FIELDS, COST_NAMES } from '../engines/simulate/costs.js';
import type { SimulatedMachine } from '../engines/simulate/machine.js';
import type { ScaleResult } from '../measure/scale.js';
import { HEAD_LINES, embedded, escaped, pageAssets } from './html.js';
import { count, percent } from './output.js';
import { measuredRates, scaleChart, type MeasuredRates } from './scaleChart.js';

/** @param command - that made it */
export async function scaleHtml(
  result: ScaleResult,
  machine: SimulatedMachine,
  command: string,
): Promise<string> {
  const { script, style } = await pageAssets('scalePage');
  // The tables are of that load alone.
  const measured = result.load === 'pft' ? measuredRates(machine) : [];
  const title = `Faults a second: ${result.load} on ${machine.name}`;
  return `<!doctype html>
<html lang="en">
<head>
${HEAD_LINES}
<title>${escaped(title)}</title>
<style>
${style}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
<p>Simulated, while all CPUs are at work; bars from the least to the most of seeds ${result.seeds.join(', ')}.
${measured.length === 0 ? '' : 'Points without a line were measured, thread start and exit included.'}</p>
<p>Made by <code>${escaped(command)}</code></p>
<div id="chart"></div>
<h2>Where each saturates</h2>
${saturationTable(result)}
${lineSection(result)}
<h2>What it rests on</h2>
${measuredTable(result, measured)}
<p>${escaped(machine.title)}. ${escaped(machine.topologySource)}. <code>minorfault calibrate</code> tells how far off the
constants are on rows of measured tables that they were not fitted to; docs/scaling.md tells what is known of curves.</p>
${table(
  ['constant', 'value', 'unit', 'of', 'source'],
  COST_NAMES.map((name) => [
    name,
    count(machine.costs[name]),
    COST_FIELDS[name].unit,
    COST_FIELDS[name].text,
    machine.sources[name],
  ]),
)}
<script type="application/json" id="data">${embedded(scaleChart(result, measured))}</script>
<script>
${script}</script>
</body>
</html>
`;
}

function saturationTable({ curves }: ScaleResult): string {
  return table(
    ['design', 'peak, faults a second', 'at CPUs', 'saturated from CPUs'],
    curves.map(({ design, saturation: { peakCpus, peakFaultsPerSecond, saturatedCpus } }) => [
      design,
      count(Math.round(peakFaultsPerSecond)),
      count(peakCpus),
      saturatedCpus === undefined ? 'not seen' : count(saturatedCpus),
    ]),
  );
}

/** What was waited for; nothing where none was asked for. */
function lineSection({ curves }: ScaleResult): string {
  const rows = curves.flatMap(({ design, points }) =>
    points.flatMap(({ cpus, lines }) =>
      lines.map((line) => [
        design,
        count(cpus),
        line.words.join(' '),
        count(line.lines),
        percent(line.share),
        percent(line.transferShare),
        count(line.transfers),
        line.waiters.map(({ functions, share }) => `${functions} ${percent(share)}`).join(', '),
      ]),
    ),
  );
  if (rows.length === 0) return '';
  const head = ['design', 'CPUs', 'words', 'lines', 'share', 'transfer', 'transfers', 'who waits'];
  return `<h2>Hottest cache lines</h2>
<p>Share: of all CPUs’ time, that they wait for the line. Transfer: of that, for the line to come to them; the rest is for
others to let go of a lock on it. A star stands for lines that are alike.</p>
${table(head, rows)}`;
}

/** The measured rows beside the curve of their design, where there is one. */
function measuredTable({ curves }: ScaleResult, measured: readonly MeasuredRates[]): string {
  const rows = measured.flatMap(({ label, source, design, rates }) =>
    [...rates].map(([threads, rate]) => {
      const point = curves
        .find((curve) => curve.design === design)
        ?.points.find(({ cpus }) => cpus === threads);
      const simulated = point?.faultsPerSecond;
      return [
        label,
        source,
        count(threads),
        count(Math.round(rate)),
        simulated === undefined ? '' : count(Math.round(simulated)),
        simulated === undefined ? '' : `${(simulated / rate).toFixed(2)} ×`,
      ];
    }),
  );
  if (rows.length === 0) return '';
  return table(['measured', 'source', 'threads', 'measured', 'simulated', 'ratio'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, texts: readonly string[]): string =>
    `<tr>${texts.map((text) => `<${tag}>${escaped(text)}</${tag}>`).join('')}</tr>`;
  return `<div class="table"><table>
<thead>${cells('th', head)}</thead>
<tbody>
${rows.map((row) => cells('td', row)).join('\n')}
</tbody>
</table></div>`;
}
