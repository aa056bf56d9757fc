import type { Command } from 'commander';
import { availableParallelism } from 'node:os';
import { GIB, MIB } from '../base/units.js';
import { COST_FIELDS } from '../engines/simulate/costs.js';
import { MACHINES, formatMachine, type SimulatedMachine } from '../engines/simulate/machine.js';
import {
  fitMachine,
  predictTable,
  type Calibration,
  type Prediction,
} from '../measure/calibrate.js';
import { TABLES, type MeasuredTable, type TableRow } from '../measure/table.js';
import { parseCount, parseCounts, valueOption } from './arguments.js';
import { writeText } from './files.js';
import { count, formatTable, percent, print, printJson } from './output.js';
import { progressBar } from './progress.js';

interface CalibrateOptions {
  readonly fit: boolean;
  readonly seeds: number[];
  readonly evaluations: number;
  readonly workers: number;
  readonly save?: string;
  readonly json?: true;
}

const HELP = `
Both columns of the table are predicted: flt/cpu/s, pages a second of processor time, and fault/wsec, pages a second
of wall time. The table's file says which rows constants are fitted to; the others are held out. Published
repetitions of one table differ by 6 to 8 %.`;

export function addCalibrateCommand(program: Command): void {
  program
    .command('calibrate')
    .description('fit a simulated machine to some rows of a measured table, and predict the others')
    .argument('<table>', `of ${TABLES.names.join(', ')}; or a file`)
    .option('--no-fit', 'predict with the constants that the machine’s file has')
    .addOption(
      valueOption('--seeds <list>', 'of what is left to chance, with commas', parseCounts, '1,2,3'),
    )
    .addOption(
      valueOption('--evaluations <n>', 'of the error, while it is made small', parseCount, '150'),
    )
    .addOption(
      valueOption(
        '--workers <n>',
        'rows simulated at the same time',
        parseCount,
        `${availableParallelism()}`,
      ),
    )
    .option('--save <file>', 'write the fitted machine, for --machine')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(async (given: string, options: CalibrateOptions) => {
      const table = TABLES.from(given);
      const machine = MACHINES.named(table.machine);
      const fitted = options.fit ? await fit(machine, table, options) : machine;
      const calibration = await predictTable(fitted, table, options);
      if (options.save !== undefined) {
        await writeText(options.save, formatMachine(fitted));
      }
      if (options.json) printJson({ table, ...calibration });
      else printCalibration(table, machine, calibration);
    });
}

async function fit(
  machine: SimulatedMachine,
  table: MeasuredTable,
  { seeds, evaluations, workers }: CalibrateOptions,
): Promise<SimulatedMachine> {
  const bar = progressBar(
    'fit {bar} {value}/{total}, deviation {deviation}, {eta_formatted} left',
    evaluations,
  );
  try {
    return await fitMachine(machine, table, {
      seeds,
      evaluations,
      workers,
      progress: (done, deviation) => {
        bar.update(Math.min(done, evaluations), { deviation: deviation.toFixed(2) });
      },
    });
  } finally {
    bar.stop();
  }
}

function printCalibration(
  table: MeasuredTable,
  before: SimulatedMachine,
  { machine, rows, errors, seeds, scale }: Calibration,
): void {
  print(`${table.title} (${table.source})\n`);
  const constants = table.constants.map(({ name, prior }) => [
    name,
    number(machine.costs[name]),
    number(before.costs[name]),
    number(prior),
    COST_FIELDS[name].unit,
    COST_FIELDS[name].text,
  ]);
  print(formatTable(['constant', 'value', 'in the file', 'beforehand', 'unit', 'of'], constants));
  print('');
  const head = ['design', 'memory', 'threads', 'use'];
  const columns = ['measured', 'predicted', 'range', 'error'];
  print(
    formatTable(
      [
        ...head,
        ...columns.map((name) => `cpu: ${name}`),
        ...columns.map((name) => `wall: ${name}`),
      ],
      rows.map(({ row, predictions }) => [
        row.design,
        memory(row.bytes),
        String(row.threads),
        row.use,
        ...cells(predictions.faultsPerCpuSecond),
        ...cells(predictions.faultsPerWallSecond),
      ]),
    ),
  );
  print('');
  for (const use of ['fit', 'held out'] as const) printErrors(use, errors[use]);
  const coarse = scale === 1 ? '' : `, memory on a scale of 1 to ${scale}`;
  print(
    `cpu: pages a second of processor time; wall: of wall time; seeds ${seeds.join(', ')}${coarse}.`,
  );
}

function printErrors(use: TableRow['use'], errors: Calibration['errors'][TableRow['use']]): void {
  if (errors === undefined) return;
  const { faultsPerCpuSecond: cpu, faultsPerWallSecond: wall } = errors.columns;
  const what = use === 'fit' ? 'rows fitted to' : 'rows held out';
  print(
    `${errors.rows} ${what}: mean absolute error cpu ${percent(cpu.mean)}, wall ${percent(wall.mean)}; ` +
      `worst cpu ${percent(cpu.worst)}, wall ${percent(wall.worst)}`,
  );
}

function cells({ measured, predicted, least, most, error }: Prediction): string[] {
  const spread = Math.max(most - predicted, predicted - least) / predicted;
  const sign = error < 0 ? '−' : '+';
  return [
    measured.toFixed(0),
    predicted.toFixed(0),
    `±${percent(spread)}`,
    `${sign}${percent(Math.abs(error))}`,
  ];
}

function memory(bytes: number): string {
  return bytes >= GIB ? `${bytes / GIB} GiB` : `${bytes / MIB} MiB`;
}

/** With four digits that matter. */
function number(value: number): string {
  return count(Number(value.toPrecision(4)));
}
