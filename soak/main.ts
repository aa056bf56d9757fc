/**
 * npm run soak: random processes and threads where memory is short, design after design, for minutes. Exit
 * codes: 0 nothing was wrong, 1 something was, 2 bad options.
 */
import { Command, CommanderError } from 'commander';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError } from '../src/base/errors.js';
import { choiceOption, parseCount, parseDesigns, valueOption } from '../src/cli/arguments.js';
import { count, formatTable, print, printJson } from '../src/cli/output.js';
import { progressBar } from '../src/cli/progress.js';
import { DESIGNS } from '../src/designs/index.js';
import { ARCHES, type ArchName } from '../src/hardware/arch/index.js';
import type { VmDesign } from '../src/mm/design.js';
import { soak, type EngineName, type SoakOptions, type SoakResult } from './soak.js';

interface Options {
  readonly minutes: number;
  readonly rounds?: number;
  readonly design?: readonly VmDesign[];
  readonly seed: number;
  readonly engine: EngineName;
  readonly arch: ArchName;
  readonly ioFailures: number;
  readonly memorySuffices?: true;
  readonly json?: true;
}

/** What was soaked, and what came of it. */
interface Row {
  readonly design: string;
  readonly seconds: number;
  readonly result: SoakResult;
}

const HEAD = [
  'design',
  'machines',
  'rounds',
  'operations',
  'loads checked',
  'minor faults',
  'major faults',
  'pages out',
  'pages in',
  'I/O failures',
  'seconds',
  'result',
];

const arches = Object.keys(ARCHES) as ArchName[];

const program = new Command('soak')
  .description('random processes and threads where memory is short, checked at every load')
  .addOption(valueOption('--minutes <n>', 'shared out over the designs', parseMinutes, '10'))
  .addOption(valueOption('--rounds <n>', 'of each design, instead of minutes', parseCount))
  .addOption(valueOption('--design <names>', 'all that are not broken if left out', parseDesigns))
  .addOption(valueOption('--seed <n>', 'of the first machine', parseCount, '1'))
  .addOption(
    choiceOption('--engine <name>', 'engine', ['parallel', 'stepped'] as const, 'parallel'),
  )
  .addOption(choiceOption('--arch <name>', 'architecture', arches, 'x86_64'))
  .addOption(
    valueOption(
      '--io-failures <p>',
      'how likely each request to the device fails',
      parseProbability,
      '0',
    ),
  )
  .option('--memory-suffices', 'it is a failure where memory is too full for a thread')
  .option('--json', 'print JSON')
  .showHelpAfterError('(see --help)')
  .exitOverride();

try {
  process.exitCode = await run(program.parse().opts<Options>());
} catch (error) {
  process.exitCode = report(error);
}

async function run(options: Options): Promise<number> {
  const designs = options.design ?? DESIGNS.filter((design) => isWorthIt(design, options.arch));
  const directory = mkdtempSync(join(tmpdir(), 'minorfault-soak-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('SIGINT', () => {
    remove();
    process.exit(130);
  });
  const rows: Row[] = [];
  try {
    for (const design of designs) {
      const row = await soakDesign(design, options, designs.length, directory);
      rows.push(row);
      if (!process.stderr.isTTY) process.stderr.write(`${cells(row).join('  ')}\n`);
      if (!options.json) printFailure(row, options);
    }
  } finally {
    remove();
  }
  if (options.json)
    printJson({ engine: options.engine, arch: options.arch, rows: rows.map(asJson(options)) });
  else print(formatTable(HEAD, rows.map(cells)));
  return rows.some(({ result }) => result.failure !== undefined) ? 1 : 0;
}

/** What is right; and what is for high memory where there is some. */
function isWorthIt({ broken, highpte }: VmDesign, arch: ArchName): boolean {
  return broken === undefined && (highpte === undefined || ARCHES[arch].highMemory);
}

async function soakDesign(
  design: VmDesign,
  options: Options,
  designs: number,
  directory: string,
): Promise<Row> {
  const { engine, arch, seed, ioFailures, memorySuffices = false, rounds, minutes } = options;
  const limitMs = (minutes * 60_000) / designs;
  const startMs = performance.now();
  const total = rounds ?? Math.round(limitMs / 1000);
  const unit = rounds === undefined ? 's' : 'rounds';
  const bar = progressBar(`${design.name} {bar} {value}/{total} ${unit}`, total);
  const soakOptions: SoakOptions = {
    engine,
    arch,
    design,
    seed,
    ioFailures,
    memorySuffices,
    directory,
  };
  const result = await soak(soakOptions, (counts) => {
    const passedMs = performance.now() - startMs;
    bar.update(rounds === undefined ? Math.round(passedMs / 1000) : counts.rounds);
    return rounds === undefined ? passedMs < limitMs : counts.rounds < rounds;
  });
  bar.stop();
  return { design: design.name, seconds: (performance.now() - startMs) / 1000, result };
}

/** The command that runs the machine of a failure up to it again. */
function replayCommand({ design, result }: Row, options: Options): string {
  const { engine, arch, ioFailures } = options;
  const { seed, round } = result.failure!;
  const faults = ioFailures === 0 ? '' : ` --io-failures ${ioFailures}`;
  const strict = options.memorySuffices === true ? ' --memory-suffices' : '';
  return (
    `npm run soak -- --engine ${engine} --arch ${arch} --design ${design} --seed ${seed} ` +
    `--rounds ${round}${faults}${strict}`
  );
}

function printFailure(row: Row, options: Options): void {
  const { failure } = row.result;
  if (failure === undefined) return;
  const { seed, round, message } = failure;
  print(`${row.design}, seed ${seed}, round ${round}: ${message}`);
  print(`replay: ${replayCommand(row, options)}`);
  if (options.engine === 'parallel') {
    print(
      'The same calls again, but workers run as the host lets them: it may take more rounds, or fail otherwise.',
    );
  }
  print('');
}

function cells({ design, seconds, result }: Row): string[] {
  const { machines, rounds, operations, loads, faults, majorFaults } = result;
  const { pagesOut, pagesIn, failedRequests, failure } = result;
  const minorFaults = faults - majorFaults;
  const figures = [machines, rounds, operations, loads, minorFaults, majorFaults];
  const traffic = [pagesOut, pagesIn, failedRequests];
  const verdict = failure === undefined ? 'ok' : 'FAILED';
  return [design, ...[...figures, ...traffic].map(count), seconds.toFixed(0), verdict];
}

function asJson(options: Options): (row: Row) => object {
  return (row) => {
    const { design, seconds, result } = row;
    const replay = result.failure === undefined ? undefined : replayCommand(row, options);
    return { design, seconds, ...result, replay };
  };
}

function parseMinutes(text: string): number {
  const minutes = Number(text);
  if (minutes > 0 && Number.isFinite(minutes)) return minutes;
  throw new InputError('OPTION', `got "${text}" minutes, expected more than 0`);
}

function parseProbability(text: string): number {
  const probability = Number(text);
  if (text !== '' && probability >= 0 && probability <= 1) return probability;
  throw new InputError('OPTION', `got probability "${text}", expected 0 to 1`);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof InputError) {
    process.stderr.write(`soak: ${error.message}\n`);
    return 2;
  }
  throw error;
}
