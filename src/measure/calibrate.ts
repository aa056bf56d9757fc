/**
 * Fits constants of a simulated machine to some rows of a measured table, and predicts the others.
 *
 * The fit looks for the most likely constants, by least squares of logarithms: of both columns of the rows to be
 * fitted, as far as they are from the measured ones, in units of what repetitions of a table differ by; and of the
 * constants, as far as they are from what they are held to be beforehand, in units of how well that is known.
 * Without the second, a few rows are met to a percent, and the others missed by more than before.
 */
import { designNamed } from '../designs/index.js';
import { COST_FIELDS, type CostName } from '../engines/simulate/costs.js';
import type { SimulatedMachine } from '../engines/simulate/machine.js';
import { WorkerPool } from '../engines/workerPool.js';
import { nelderMead } from './nelderMead.js';
import { runPft } from './pft.js';
import { scaleOf } from './pftSimulated.js';
import { overSeeds } from './seeds.js';
import type { MeasuredTable, TableRow } from './table.js';

/** The two columns of a row, in pages a second. */
export interface Rates {
  readonly faultsPerCpuSecond: number;
  readonly faultsPerWallSecond: number;
}

const COLUMNS = ['faultsPerCpuSecond', 'faultsPerWallSecond'] as const;
export type Column = (typeof COLUMNS)[number];

/** A row to be simulated, as a worker is handed it. */
export interface RowTask {
  readonly machine: SimulatedMachine;
  readonly row: TableRow;
  readonly seed: number;
  readonly scale: number;
}

/** Where a worker finds `simulateRow`. */
const ROW_TASKS = { url: import.meta.url, name: 'simulateRow' };

export async function simulateRow({ machine, row, seed, scale }: RowTask): Promise<Rates> {
  const { design, bytes, threads } = row;
  // All repetitions are alike but for what is left to chance, which seeds vary.
  return await runPft({
    engine: 'simulate',
    arch: machine.arch,
    design: designNamed(design),
    bytes,
    repetitions: 1,
    threads,
    cpusPerNode: machine.cpusPerNode,
    machine,
    seed,
    scale,
  });
}

/** One column of a row: what was measured, and what is predicted over all seeds. */
export interface Prediction {
  readonly measured: number;
  /** Over all seeds. */
  readonly predicted: number;
  readonly least: number;
  readonly most: number;
  /** predicted / measured - 1. */
  readonly error: number;
}

export interface PredictedRow {
  readonly row: TableRow;
  readonly predictions: Readonly<Record<Column, Prediction>>;
}

/** Mean and greatest of the absolute errors of a column. */
export interface ColumnError {
  readonly mean: number;
  readonly worst: number;
}

export interface Errors {
  readonly rows: number;
  readonly columns: Readonly<Record<Column, ColumnError>>;
}

export interface Calibration {
  readonly machine: SimulatedMachine;
  readonly seeds: readonly number[];
  readonly scale: number;
  readonly rows: readonly PredictedRow[];
  readonly errors: Readonly<Record<TableRow['use'], Errors | undefined>>;
}

export interface FitOptions {
  readonly seeds: readonly number[];
  readonly workers: number;
  /** Of the function that is made small: each simulates all rows to be fitted, with every seed. */
  readonly evaluations: number;
  /** @param deviation - sum of the squares, so far the least */
  readonly progress?: ((evaluations: number, deviation: number) => void) | undefined;
}

/** Standard deviations of the logarithms: of a measured rate, as published repetitions differ, and of a constant. */
const OF_MEASUREMENT = 0.07;
const OF_CONSTANT = 0.2;
/** Logarithm of the factor by which the first points stand apart. */
const FIRST_STEP = 0.15;

/** @returns the machine with its constants fitted */
export async function fitMachine(
  machine: SimulatedMachine,
  table: MeasuredTable,
  { seeds, workers, evaluations, progress }: FitOptions,
): Promise<SimulatedMachine> {
  const rows = table.rows.filter(({ use }) => use === 'fit');
  const scale = scaleOf(machine);
  const names = table.constants.map(({ name }) => name);
  const pool = new WorkerPool<RowTask, Rates>(ROW_TASKS, workers);
  const errorOf = async (logs: readonly number[]): Promise<number> => {
    const tried = withConstants(machine, names, logs.map(Math.exp));
    const predicted = await predictRows(pool, tried, rows, seeds, scale);
    const misses = predicted.flatMap(({ predictions }) =>
      COLUMNS.map((column) => Math.log(1 + predictions[column].error) / OF_MEASUREMENT),
    );
    const strays = logs.map((log, place) => (log - begin[place]) / OF_CONSTANT);
    return [...misses, ...strays].reduce((sum, deviation) => sum + deviation ** 2, 0);
  };
  const begin = table.constants.map(({ prior }) => Math.log(prior));
  try {
    const { point } = await nelderMead(errorOf, begin, { step: FIRST_STEP, evaluations, progress });
    return sourced(withConstants(machine, names, point.map(Math.exp)), table);
  } finally {
    await pool.close();
  }
}

/** A machine with some constants of other values, none below its least. */
export function withConstants(
  machine: SimulatedMachine,
  names: readonly CostName[],
  values: readonly number[],
): SimulatedMachine {
  const costs: Record<CostName, number> = { ...machine.costs };
  names.forEach((name, index) => {
    costs[name] = Math.max(values[index], COST_FIELDS[name].least);
  });
  return { ...machine, costs };
}

/** Says of the fitted constants where they are from. */
function sourced(machine: SimulatedMachine, table: MeasuredTable): SimulatedMachine {
  const rows = table.rows.filter(({ use }) => use === 'fit').length;
  const source = `fitted to ${rows} rows of: ${table.title} (${table.source})`;
  const sources: Record<CostName, string> = { ...machine.sources };
  for (const { name } of table.constants) sources[name] = source;
  return { ...machine, sources };
}

/** Predicts all rows of a table. */
export async function predictTable(
  machine: SimulatedMachine,
  table: MeasuredTable,
  { seeds, workers }: Pick<FitOptions, 'seeds' | 'workers'>,
): Promise<Calibration> {
  const scale = scaleOf(machine);
  const pool = new WorkerPool<RowTask, Rates>(ROW_TASKS, workers);
  try {
    const rows = await predictRows(pool, machine, table.rows, seeds, scale);
    const errors = { fit: errorsOf(rows, 'fit'), 'held out': errorsOf(rows, 'held out') };
    return { machine, seeds, scale, rows, errors };
  } finally {
    await pool.close();
  }
}

async function predictRows(
  pool: WorkerPool<RowTask, Rates>,
  machine: SimulatedMachine,
  rows: readonly TableRow[],
  seeds: readonly number[],
  scale: number,
): Promise<PredictedRow[]> {
  const tasks = rows.flatMap((row) => seeds.map((seed) => ({ machine, row, seed, scale })));
  const rates = await pool.run(tasks);
  return rows.map((row, place) => {
    const ofRow = rates.slice(place * seeds.length, (place + 1) * seeds.length);
    return {
      row,
      predictions: {
        faultsPerCpuSecond: predictionOf(row, ofRow, 'faultsPerCpuSecond'),
        faultsPerWallSecond: predictionOf(row, ofRow, 'faultsPerWallSecond'),
      },
    };
  });
}

function predictionOf(row: TableRow, rates: readonly Rates[], column: Column): Prediction {
  const { mean: predicted, least, most } = overSeeds(rates.map((rate) => rate[column]));
  const measured = row[column];
  return { measured, predicted, least, most, error: predicted / measured - 1 };
}

function errorsOf(rows: readonly PredictedRow[], use: TableRow['use']): Errors | undefined {
  const used = rows.filter(({ row }) => row.use === use);
  if (used.length === 0) return undefined;
  const errorOf = (column: Column): ColumnError => {
    const errors = used.map(({ predictions }) => Math.abs(predictions[column].error));
    return {
      mean: errors.reduce((sum, error) => sum + error, 0) / errors.length,
      worst: Math.max(...errors),
    };
  };
  return {
    rows: used.length,
    columns: {
      faultsPerCpuSecond: errorOf('faultsPerCpuSecond'),
      faultsPerWallSecond: errorOf('faultsPerWallSecond'),
    },
  };
}
