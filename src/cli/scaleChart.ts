/** What the page of `minorfault scale` draws: curves of the designs, and rows that somebody measured, as points. */
import { MACHINES, type SimulatedMachine } from '../engines/simulate/machine.js';
import type { ScaleResult } from '../measure/scale.js';
import { TABLES } from '../measure/table.js';
import type { ChartSeries, ScaleChart } from './chartData.js';

/** Rows of one design and size, of a table that was measured on such a machine. */
export interface MeasuredRates {
  readonly label: string;
  readonly source: string;
  readonly design: string;
  readonly rates: ReadonlyMap<number, number>;
}

/** What was measured of the page-fault test on machines of the same kind. */
export function measuredRates({ arch }: SimulatedMachine): MeasuredRates[] {
  return TABLES.names.flatMap((name) => {
    const { machine, rows, source } = TABLES.named(name);
    if (MACHINES.named(machine).arch !== arch) return [];
    const kinds = new Map<string, MeasuredRates & { readonly rates: Map<number, number> }>();
    for (const { design, bytes, threads, faultsPerWallSecond } of rows) {
      const label = `${design}, measured, ${bytes / 2 ** 20} MiB`;
      const kind = kinds.get(label) ?? { label, source, design, rates: new Map<number, number>() };
      kind.rates.set(threads, faultsPerWallSecond);
      kinds.set(label, kind);
    }
    return [...kinds.values()];
  });
}

export function scaleChart(
  { curves }: ScaleResult,
  measured: readonly MeasuredRates[],
): ScaleChart {
  const counts = [
    ...curves.flatMap(({ points }) => points.map((point) => point.cpus)),
    ...measured.flatMap(({ rates }) => [...rates.keys()]),
  ];
  const cpus = [...new Set(counts)].sort((a, b) => a - b);
  const designs = [...new Set([...curves, ...measured].map(({ design }) => design))];
  const simulated = curves.map(({ design, points }): ChartSeries => {
    const at = (count: number): (typeof points)[number] | undefined =>
      points.find((point) => point.cpus === count);
    return {
      label: design,
      kind: 'simulated',
      colour: designs.indexOf(design),
      rates: cpus.map((count) => at(count)?.faultsPerSecond ?? null),
      least: cpus.map((count) => at(count)?.least ?? null),
      most: cpus.map((count) => at(count)?.most ?? null),
    };
  });
  const points = measured.map(({ label, design, rates }): ChartSeries => {
    const values = cpus.map((count) => rates.get(count) ?? null);
    return {
      label,
      kind: 'measured',
      colour: designs.indexOf(design),
      rates: values,
      least: values,
      most: values,
    };
  });
  return { cpus, series: [...simulated, ...points] };
}
