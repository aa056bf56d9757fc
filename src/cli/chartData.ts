/** What the page of `minorfault scale` is handed to draw: for its script too, which knows nothing of Node. */

/** One line of the chart. Its values are by place in `cpus`; null where it has none. */
export interface ChartSeries {
  readonly label: string;
  /** Simulated ones are joined by a line; those with the same colour are of one design. */
  readonly kind: 'simulated' | 'measured';
  readonly colour: number;
  readonly rates: readonly (number | null)[];
  /** Ends of the error bars. */
  readonly least: readonly (number | null)[];
  readonly most: readonly (number | null)[];
}

export interface ScaleChart {
  /** Of all series, increasing. */
  readonly cpus: readonly number[];
  readonly series: readonly ChartSeries[];
}
