import type { Command } from 'commander';
import { PTE_UPDATE_DESIGNS } from '../designs/index.js';
import { ARCH_NAMES, type ArchName } from '../hardware/arch/index.js';
import {
  runMultitask,
  type Aim7Row,
  type MultitaskEngine,
  type MultitaskResult,
} from '../measure/multitask.js';
import { MAIL_TABLES } from '../measure/multitaskMail.js';
import type { VmDesign } from '../mm/design.js';
import {
  FORCE_OPTION,
  choiceOption,
  designsToRun,
  parseCount,
  parseCounts,
  parseDesigns,
  valueOption,
} from './arguments.js';
import { formatTable, print, printJson } from './output.js';
import { progressBar } from './progress.js';

interface MultitaskOptions {
  readonly engine: MultitaskEngine;
  readonly arch: ArchName;
  readonly design: readonly VmDesign[];
  readonly tasks: number[];
  readonly cpus?: number;
  readonly cpusPerNode: number;
  readonly seed: number;
  readonly force?: true;
  readonly json?: true;
}

const HELP = `
Columns as in AIM7's table: jobs/min = jobs × 60 / real, of all tasks together; jti, the job timing index, =
100 × (1 − standard deviation / mean) of the tasks' times, each from the common start to the task's end, cut to
a whole number; real = seconds from the common start to the end of the last task; cpu = seconds of all CPUs
together, waiting for spinlocks included, sleep not. With --engine simulate all times are simulated. Beside them
ours: spurious = page faults that found everything in order; minor = page faults that needed no device.

Our tasks and jobs are a stand-in for AIM7's, and much smaller: compare columns of one table with each other, and
ratios with ratios, but not our jobs/min with the mail's.`;

const ENGINES = ['simulate', 'parallel'] as const;

const LABELS: Readonly<Record<MultitaskEngine, string>> = {
  parallel: 'worker threads of this library; not the speed of a kernel',
  simulate: 'simulated with the costs of docs/simulator.md; a load that nothing was fitted to',
};
const DEFAULT_CPUS: Readonly<Record<MultitaskEngine, number>> = { parallel: 2, simulate: 8 };

export function addMultitaskCommand(program: Command): void {
  program
    .command('multitask')
    .description('many tasks on a few CPUs, as in AIM7: spurious faults before and after a patch')
    .addOption(choiceOption('--engine <name>', 'engine', ENGINES, 'simulate'))
    .addOption(choiceOption('--arch <name>', 'architecture', ARCH_NAMES, 'ia64'))
    .addOption(
      valueOption(
        '--design <names>',
        'designs, with commas: before, after',
        parseDesigns,
        PTE_UPDATE_DESIGNS,
      ),
    )
    .addOption(
      valueOption('--tasks <list>', 'numbers of tasks, with commas', parseCounts, '1,100,200'),
    )
    .addOption(
      valueOption('--cpus <n>', 'CPUs (default: 8 simulated, 2 workers in parallel)', parseCount),
    )
    .addOption(valueOption('--cpus-per-node <n>', 'CPUs of each NUMA node', parseCount, '2'))
    .addOption(valueOption('--seed <n>', 'for the order of jobs', parseCount, '1'))
    .option(...FORCE_OPTION)
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(async (given: MultitaskOptions, command: Command) => {
      const { arch, design, force = false } = given;
      const options = { ...given, design: designsToRun(command, arch, design, force) };
      const results = await runAll(options);
      if (options.json) printJson({ results, mail: mailRows(options.tasks) });
      else printResults(results, options);
    });
}

function cpusOf({ cpus, engine }: MultitaskOptions): number {
  return cpus ?? DEFAULT_CPUS[engine];
}

async function runAll(options: MultitaskOptions): Promise<MultitaskResult[]> {
  const { engine, arch, cpusPerNode, seed } = options;
  const runs = options.tasks.flatMap((tasks) =>
    options.design.map((design) => ({ design, tasks })),
  );
  const total = runs.reduce((sum, { tasks }) => sum + tasks, 0);
  const bar = progressBar('multitask {bar} {value}/{total} tasks', total);
  const results: MultitaskResult[] = [];
  let done = 0;
  try {
    for (const { design, tasks } of runs) {
      const cpus = cpusOf(options);
      results.push(await runMultitask({ engine, arch, design, cpus, cpusPerNode, tasks, seed }));
      bar.update((done += tasks));
    }
  } finally {
    bar.stop();
  }
  return results;
}

/** The mail's rows for the numbers of tasks that were run. */
function mailRows(tasks: readonly number[]): { name: string; rows: Aim7Row[] }[] {
  return Object.entries(MAIL_TABLES).map(([name, rows]) => ({
    name,
    rows: rows.filter((row) => tasks.includes(row.tasks)),
  }));
}

const AIM7_HEAD = ['Tasks', 'jobs/min', 'jti', 'jobs/min/task', 'real', 'cpu'];

function printResults(results: readonly MultitaskResult[], options: MultitaskOptions): void {
  const { engine, arch, design: designs, tasks } = options;
  // As they were run: each number of tasks under all designs.
  const tables = designs.map((_, place) =>
    results.filter((_result, run) => run % designs.length === place),
  );
  for (const [place, { name }] of designs.entries()) {
    print(`${arch}, ${cpusOf(options)} CPUs, ${name} (${LABELS[engine]})`);
    const rows = tables[place].map((row) => [
      ...aim7Cells(row, 6),
      String(row.spuriousFaults),
      String(row.minorFaults),
    ]);
    print(formatTable([...AIM7_HEAD, 'spurious', 'minor'], rows));
    print('');
  }
  const mail = mailRows(tasks);
  if (mail[0].rows.length === 0) return;
  for (const { name, rows } of mail) {
    print(`AIM7 in the mail of 31 March 2005, ${name} (the mail's figures: Linux on 8 processors)`);
    print(
      formatTable(
        AIM7_HEAD,
        rows.map((row) => aim7Cells(row, 2)),
      ),
    );
    print('');
  }
  if (designs.length !== 2) return;
  print(`jobs/min after / before`);
  const ours = ratios(tables[0], tables[1]);
  const theirs = ratios(mail[0].rows, mail[1].rows);
  const rows = tasks.map((count) => [count, ours.get(count)!, theirs.get(count) ?? '']);
  print(formatTable(['Tasks', `${designs[1].name} / ${designs[0].name}`, "the mail's"], rows));
}

function ratios(before: readonly Aim7Row[], after: readonly Aim7Row[]): Map<number, string> {
  return new Map(
    before.map(({ tasks, jobsPerMinute }, row) => [
      tasks,
      (after[row].jobsPerMinute / jobsPerMinute).toFixed(3),
    ]),
  );
}

/** @param digits - of seconds, behind the point */
function aim7Cells(row: Aim7Row, digits: number): string[] {
  return [
    String(row.tasks),
    row.jobsPerMinute.toFixed(2),
    String(row.jti),
    row.jobsPerMinutePerTask.toFixed(4),
    row.realSeconds.toFixed(digits),
    row.cpuSeconds.toFixed(digits),
  ];
}
