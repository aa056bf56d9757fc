import { Option, type Command } from 'commander';
import { availableParallelism } from 'node:os';
import { InputError } from '../base/errors.js';
import { MACHINES, type SimulatedMachine } from '../engines/simulate/machine.js';
import type { VmDesign } from '../mm/design.js';
import { GROWTH, runScale, type ScaleCurve, type ScaleResult } from '../measure/scale.js';
import { SCALE_LOADS, SCALE_LOAD_NAMES, type ScaleLoadName } from '../measure/scaleLoads.js';
import type { HotLine } from '../measure/hotLines.js';
import type { TracedLoad } from '../measure/scalePoint.js';
import {
  FORCE_OPTION,
  choiceOption,
  designsToRun,
  parseCount,
  parseCountOrNone,
  parseCounts,
  parseDesigns,
  valueOption,
} from './arguments.js';
import { writeText } from './files.js';
import { count, formatTable, percent, print, printJson } from './output.js';
import { progressBar } from './progress.js';
import { DEFAULT_MEMORY_BYTES, TRACE_MACHINE, checkPredictable } from './replayPrediction.js';
import { scaleHtml } from './scaleHtml.js';

interface ScaleOptions {
  readonly machine: SimulatedMachine;
  readonly design: readonly VmDesign[];
  readonly workload: ScaleLoadName;
  readonly trace?: string;
  readonly truth?: string;
  readonly cpus: number[];
  readonly seeds: number[];
  readonly pages: number;
  readonly lines: number;
  readonly line: readonly string[][];
  readonly kmaps?: number;
  readonly workers: number;
  readonly html?: string;
  readonly force?: true;
  readonly json?: true;
}

const DEFAULT_DESIGNS = 'page-table-lock,v18,v18-per-thread,table-lock,linux-6,prefault';
const DEFAULT_CPUS = '1,2,4,8,16,32,64,128,256,512';

/** Of the column of loads in the help. */
const NAME_WIDTH = Math.max(...SCALE_LOAD_NAMES.map((name) => name.length)) + 2;

const HELP = `
Workloads, on every CPU:
${SCALE_LOAD_NAMES.map((name) => `  ${name.padEnd(NAME_WIDTH)}${SCALE_LOADS[name].summary}`).join('\n')}

A fault is a page touched for the first time (multitask: a fault), as in the documents, which count the pages of a
prefault too. Rates are of simulated time while all CPUs are at work: threads do not start late, and no process exits.
Where twice the CPUs give less than ${percent(GROWTH - 1)} more, a design is said to be saturated.

With --trace the faults of a recording's threads are taken on N CPUs, back to back between two calls that change their
address space; the rate is of that time. Threads are dealt to CPUs in the order of their first faults.

Hottest lines: the words of a cache line that CPUs wait for; of all CPUs' time the share that they wait, and of that the
share for the line to come to them, rather than for others to let go of a lock on it; and in which functions they wait.
A star stands for lines that are alike. --line moves words, such as \`--line mm.mmapSem\`, which shares a line with
mm.pageTableLock in 2.6.10: what would it be if it did not? docs/scaling.md has what is known of how far off a simulated machine is.`;

export function addScaleCommand(program: Command): void {
  program
    .command('scale')
    .description('faults a second over the number of CPUs, and the cache lines that limit them')
    .addOption(
      valueOption(
        '--machine <name>',
        'one of `minorfault machines`, or a file',
        (given) => MACHINES.from(given),
        'altix-512',
      ),
    )
    .addOption(
      valueOption('--design <names>', 'designs, with commas', parseDesigns, DEFAULT_DESIGNS),
    )
    .addOption(choiceOption('--workload <name>', 'workload', SCALE_LOAD_NAMES, 'pft'))
    .addOption(
      new Option('--trace <file>', 'a recording in place of a workload: docs/traces.md').conflicts([
        'workload',
        'pages',
      ]),
    )
    .addOption(new Option('--truth <file>', "the kernel's own counts of that recording"))
    .addOption(
      valueOption('--cpus <list>', 'numbers of CPUs, with commas', parseIncreasing, DEFAULT_CPUS),
    )
    .addOption(
      valueOption('--seeds <list>', 'of what is left to chance, with commas', parseCounts, '1,2,3'),
    )
    .addOption(valueOption('--pages <n>', 'that each CPU touches; few CPUs more', parseCount, '64'))
    .addOption(
      valueOption(
        '--lines <n>',
        'hottest cache lines to print of each design; 0 for none, which is faster',
        parseCountOrNone,
        '3',
      ),
    )
    .addOption(
      new Option(
        '--line <words>',
        'words on a cache line of their own, with commas; may be repeated',
      )
        .argParser((given: string, groups: readonly string[][]) => [...groups, given.split(',')])
        .default([], 'as the layout has them'),
    )
    .addOption(
      valueOption(
        '--kmaps <n>',
        'slots of the pool by which page tables in high memory are reached',
        parseCount,
      ),
    )
    .addOption(
      valueOption('--workers <n>', 'points simulated at the same time', parseCount).default(
        availableParallelism(),
        'CPUs of this machine',
      ),
    )
    .addOption(new Option('--html <file>', 'write a page with the curves, in one file'))
    .option(...FORCE_OPTION)
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(async (given: ScaleOptions, command: Command) => {
      const { force = false } = given;
      const machine = withLines(machineFor(command, given), given.line);
      const design = designsToRun(command, machine.arch, given.design, force);
      // Of the defaults those that the machine has.
      const cpus =
        command.getOptionValueSource('cpus') === 'cli'
          ? given.cpus
          : given.cpus.filter((number) => number <= machine.cpus);
      const result = await run({ ...given, machine, design, cpus });
      if (given.html !== undefined) {
        const typed = ['minorfault', ...process.argv.slice(2)].join(' ');
        await writeText(given.html, await scaleHtml(result, machine, typed));
      }
      if (given.json) printJson(result);
      else printResult(result, machine);
    });
}

/** A recording is of a machine of its own architecture: the default is one, unless another is named. */
function machineFor(command: Command, { machine, trace }: ScaleOptions): SimulatedMachine {
  if (trace === undefined) return machine;
  if (command.getOptionValueSource('machine') !== 'cli') return MACHINES.named(TRACE_MACHINE);
  checkPredictable(machine, []);
  return machine;
}

/** The machine with these words on lines of their own, too. */
function withLines(machine: SimulatedMachine, groups: readonly string[][]): SimulatedMachine {
  if (groups.length === 0) return machine;
  return { ...machine, lines: [...(machine.lines ?? []), ...groups] };
}

/** "1,2,8" as numbers, each larger than the last. */
function parseIncreasing(text: string): number[] {
  const counts = parseCounts(text);
  if (counts.some((number, place) => place > 0 && number <= counts[place - 1])) {
    throw new InputError(
      'OPTION',
      `got "${text}", expected each number to be above the one before`,
    );
  }
  return counts;
}

async function run(options: ScaleOptions): Promise<ScaleResult> {
  const { design, cpus, seeds, workload, trace, truth } = options;
  const load = trace === undefined ? workload : tracedLoad(trace, truth);
  const points = design.length * cpus.length * seeds.length;
  const bar = progressBar('scale {bar} {value}/{total} points', points);
  try {
    return await runScale({
      ...options,
      load,
      designs: design.map(({ name }) => name),
      progress: (done) => bar.update(done),
    });
  } finally {
    bar.stop();
  }
}

function tracedLoad(trace: string, truthPath: string | undefined): TracedLoad {
  return { trace, truthPath, memoryBytes: DEFAULT_MEMORY_BYTES, allowLost: false, partial: false };
}

function printResult({ load, seeds, curves }: ScaleResult, machine: SimulatedMachine): void {
  print(`${load} on ${machine.name}: faults a second, simulated; seeds ${seeds.join(', ')}\n`);
  const [{ points }] = curves;
  const rates = points.map(({ cpus }, place) => [
    count(cpus),
    ...curves.map((curve) => count(Math.round(curve.points[place].faultsPerSecond))),
  ]);
  print(formatTable(['CPUs', ...curves.map(({ design }) => design)], rates));
  print('');
  print(
    formatTable(
      ['design', 'at 1st', 'peak', 'at CPUs', 'saturated from', 'seeds'],
      curves.map(saturationRow),
    ),
  );
  printPool(curves);
  for (const { design, points: own } of curves) {
    const { cpus, lines } = own[own.length - 1];
    if (lines.length === 0) continue;
    print(`\n${design}, ${cpus} CPUs: hottest lines`);
    print(formatTable(LINE_HEAD, lines.map(lineRow)));
  }
}

/** What became of the pool of slots, of designs that have one. */
function printPool(curves: readonly ScaleCurve[]): void {
  const rows = curves.flatMap(({ design, points }) =>
    points.flatMap(({ cpus, pool }) => {
      if (pool === undefined) return [];
      return [[design, ...[cpus, pool.sleeps, pool.flushes, pool.handOvers].map(count)]];
    }),
  );
  if (rows.length === 0) return;
  print('\nkmap pool, with the first seed');
  print(formatTable(['design', 'CPUs', 'sleeps', 'flushes', 'hand-overs'], rows));
}

function saturationRow({ design, points, saturation }: ScaleCurve): string[] {
  const { peakCpus, peakFaultsPerSecond, saturatedCpus } = saturation;
  const spread = Math.max(
    ...points.map(({ least, most, faultsPerSecond }) => (most - least) / 2 / faultsPerSecond),
  );
  return [
    design,
    count(Math.round(points[0].faultsPerSecond)),
    count(Math.round(peakFaultsPerSecond)),
    count(peakCpus),
    saturatedCpus === undefined ? 'not seen' : count(saturatedCpus),
    `±${percent(spread)}`,
  ];
}

const LINE_HEAD = ['words', 'lines', 'share', 'transfer', 'transfers', 'who waits'];

function lineRow(line: HotLine): string[] {
  return [
    line.words.join(' '),
    count(line.lines),
    percent(line.share),
    percent(line.transferShare),
    count(line.transfers),
    line.waiters.map(({ functions, share }) => `${functions} ${percent(share)}`).join(', '),
  ];
}
