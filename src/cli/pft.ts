import type { Command } from 'commander';
import { GIB } from '../base/units.js';
import { DEFAULT_DESIGNS } from '../designs/index.js';
import { ARCH_NAMES, type ArchName } from '../hardware/arch/index.js';
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
  valueOption,
} from './arguments.js';
import { formatTable, print, printJson } from './output.js';
import { progressBar } from './progress.js';

interface PftOptions {
  readonly engine: PftEngine;
  readonly arch: ArchName;
  readonly design: VmDesign[];
  readonly size: number;
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

const LABELS: Readonly<Record<PftEngine, string>> = {
  parallel: 'worker threads of this library; not the scalability of a kernel',
  simulate: 'simulated, with costs that are not calibrated yet',
};

export function addPftCommand(program: Command): void {
  program
    .command('pft')
    .description('the page-fault test: threads touch their share of a mapping')
    .addOption(choiceOption('--engine <name>', 'engine', ENGINES, 'parallel'))
    .addOption(choiceOption('--arch <name>', 'architecture', ARCH_NAMES, 'x86_64'))
    .addOption(
      valueOption('--design <names>', 'designs, with commas', parseDesigns, DEFAULT_DESIGNS),
    )
    .addOption(valueOption('--size <size>', 'memory touched in each repetition', parseSize, '256M'))
    .addOption(valueOption('--reps <n>', 'repetitions', parseCount, '3'))
    .addOption(
      valueOption('--threads <list>', 'numbers of threads, with commas', parseCounts, '1,2'),
    )
    .addOption(valueOption('--cpus-per-node <n>', 'CPUs of each NUMA node', parseCount, '2'))
    .addOption(valueOption('--cpus <n>', 'CPUs of the machine (default: the threads)', parseCount))
    .addOption(
      valueOption('--memory <size>', 'of the machine (default: what the test needs)', parseSize),
    )
    .addOption(choiceOption('--format <name>', 'format', FORMATS, 'classic'))
    .option(...FORCE_OPTION)
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(async (options: PftOptions, command: Command) => {
      const { arch, design, force = false } = options;
      const results = await runAll(options, designsToRun(command, arch, design, force));
      if (options.json) printJson(results);
      else printResults(results, options);
    });
}

async function runAll(options: PftOptions, designs: readonly VmDesign[]): Promise<PftResult[]> {
  const { engine, arch, size, reps, cpusPerNode, cpus, memory } = options;
  const runs = designs.flatMap((design) => options.threads.map((threads) => ({ design, threads })));
  const bar = progressBar('pft {bar} {value}/{total} rows', runs.length);
  const results: PftResult[] = [];
  try {
    for (const { design, threads } of runs) {
      const machine = { arch, cpus, cpusPerNode, memoryBytes: memory };
      const setup = { engine, design, bytes: size, repetitions: reps, threads, ...machine };
      results.push(await runPft(setup));
      bar.update(results.length);
    }
  } finally {
    bar.stop();
  }
  return results;
}

function printResults(results: readonly PftResult[], { engine, arch, format }: PftOptions): void {
  for (const design of new Set(results.map((result) => result.design))) {
    print(`${arch} ${design} (${LABELS[engine]})`);
    const rows = results.filter((result) => result.design === design).map(rowOf(format));
    print(formatTable(HEADS[format], rows));
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
