import type { Command } from 'commander';
import { InputError } from '../base/errors.js';
import { GIB } from '../base/units.js';
import { DEFAULT_DESIGNS } from '../designs/index.js';
import { ARCH_NAMES, type ArchName } from '../hardware/arch/index.js';
import { MACHINES, type SimulatedMachine } from '../engines/simulate/machine.js';
import { runPft, type PftEngine, type PftResult } from '../measure/pft.js';
import type { VmDesign } from '../mm/design.js';
import {
  FORCE_OPTION,
  choiceOption,
  designsToRun,
  parseCount,
  parseCounts,
  parseDesigns,
  parseSize,
  parseSizes,
  valueOption,
} from './arguments.js';
import { formatTable, print, printJson } from './output.js';
import { progressBar } from './progress.js';

interface PftOptions {
  readonly engine: PftEngine;
  readonly arch: ArchName;
  readonly design: readonly VmDesign[];
  readonly machine?: SimulatedMachine;
  readonly size: number[];
  readonly seed: number;
  readonly reps: number;
  readonly threads: number[];
  readonly cpusPerNode: number;
  readonly cpus?: number;
  readonly memory?: number;
  readonly format: 'classic' | 'modern';
  readonly force?: true;
  readonly json?: true;
}

const HELP = `
Columns as in the documents: pages = reps × size / page size; flt/cpu/s = pages / (user + system);
fault/wsec = pages / wall. The classic format prints wall time as seconds, a dot, and hundredths of a
second padded to three digits: 2.021s is 2.21 s. --format modern prints true seconds.

Designs with prezeroing start with all memory zeroed. One repetition shows a burst; several show what is left
when each takes what the one before gave back. In the simulate engine kscrubd zeroes on the last CPU of each
node while no thread of the test is there: --cpus and --memory give it CPUs and memory of its own.`;

const ENGINES = ['parallel', 'simulate'] as const;
const FORMATS = ['classic', 'modern'] as const;

function label({ engine, machine }: PftResult): string {
  return engine === 'parallel'
    ? 'worker threads of this library; not the scalability of a kernel'
    : `simulated with the costs of ${machine}: minorfault calibrate tells how far off that is`;
}

export function addPftCommand(program: Command): void {
  program
    .command('pft')
    .description('the page-fault test: threads touch their share of a mapping')
    .addOption(choiceOption('--engine <name>', 'engine', ENGINES, 'parallel'))
    .addOption(choiceOption('--arch <name>', 'architecture', ARCH_NAMES, 'x86_64'))
    .addOption(
      valueOption('--design <names>', 'designs, with commas', parseDesigns, DEFAULT_DESIGNS),
    )
    .addOption(
      valueOption(
        '--machine <name>',
        'to be simulated as it is: one of `minorfault machines`, or a file',
        (given) => MACHINES.from(given),
      ),
    )
    .addOption(
      valueOption('--size <sizes>', 'memory touched in each repetition', parseSizes, '256M'),
    )
    .addOption(valueOption('--reps <n>', 'repetitions', parseCount, '3'))
    .addOption(
      valueOption('--threads <list>', 'numbers of threads, with commas', parseCounts, '1,2'),
    )
    .addOption(valueOption('--cpus-per-node <n>', 'CPUs of each NUMA node', parseCount, '2'))
    .addOption(valueOption('--cpus <n>', 'CPUs of the machine (default: the threads)', parseCount))
    .addOption(
      valueOption('--memory <size>', 'of the machine (default: what the test needs)', parseSize),
    )
    .addOption(valueOption('--seed <n>', 'of what a simulation leaves to chance', parseCount, '1'))
    .addOption(choiceOption('--format <name>', 'format', FORMATS, 'classic'))
    .option(...FORCE_OPTION)
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(async (given: PftOptions, command: Command) => {
      if (given.machine !== undefined && given.engine !== 'simulate') {
        throw new InputError('OPTION', '--machine: a machine is simulated: --engine simulate');
      }
      const { arch = given.arch } = given.machine ?? {};
      const { design, force = false } = given;
      const options = { ...given, arch, design: designsToRun(command, arch, design, force) };
      const results = await runAll(options);
      if (options.json) printJson(results);
      else printResults(results, options);
    });
}

async function runAll(options: PftOptions): Promise<PftResult[]> {
  const { engine, arch, reps, cpusPerNode, cpus, memory, machine, seed } = options;
  const runs = options.design.flatMap((design) =>
    options.size.flatMap((bytes) => options.threads.map((threads) => ({ design, bytes, threads }))),
  );
  const bar = progressBar('pft {bar} {value}/{total} rows', runs.length);
  const results: PftResult[] = [];
  try {
    for (const run of runs) {
      const shape = { arch, cpus, cpusPerNode, memoryBytes: memory, machine };
      results.push(await runPft({ engine, repetitions: reps, seed, ...shape, ...run }));
      bar.update(results.length);
    }
  } finally {
    bar.stop();
  }
  return results;
}

function printResults(results: readonly PftResult[], { arch, format }: PftOptions): void {
  for (const design of new Set(results.map((result) => result.design))) {
    const rows = results.filter((result) => result.design === design);
    print(`${arch} ${design} (${label(rows[0])})`);
    print(formatTable(HEADS[format], rows.map(rowOf(format))));
    print('');
  }
}

const HEADS = {
  classic: ['Gb', 'Rep', 'Threads', 'User', 'System', 'Wall', 'flt/cpu/s', 'fault/wsec'],
  modern: ['GiB', 'reps', 'threads', 'user s', 'system s', 'wall s', 'faults/cpu-s', 'faults/s'],
} as const;

function rowOf(format: PftOptions['format']): (result: PftResult) => string[] {
  return (result) => [
    format === 'classic' ? String(Math.floor(result.bytes / GIB)) : (result.bytes / GIB).toFixed(2),
    String(result.repetitions),
    String(result.threads),
    seconds(result.userSeconds, format),
    seconds(result.systemSeconds, format),
    format === 'classic' ? classicWall(result.wallSeconds) : result.wallSeconds.toFixed(3),
    result.faultsPerCpuSecond.toFixed(3),
    result.faultsPerWallSecond.toFixed(3),
  ];
}

function seconds(value: number, format: PftOptions['format']): string {
  return `${value.toFixed(3)}${format === 'classic' ? 's' : ''}`;
}

/** Seconds, a dot, and hundredths padded to three digits. */
export function classicWall(value: number): string {
  const hundredths = Math.round(value * 100);
  const whole = Math.floor(hundredths / 100);
  return `${whole}.${String(hundredths % 100).padStart(3, '0')}s`;
}
