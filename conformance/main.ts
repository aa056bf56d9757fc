/**
 * npm run conformance: random sequences of calls on the kernel of this machine and on our VM, compared after
 * each call. Exit codes: 0 no difference, 1 a difference, 2 bad options or no Linux to compare with.
 */
import { Command, CommanderError } from 'commander';
import fc from 'fast-check';
import { release } from 'node:os';
import { InputError } from '../src/base/errors.js';
import { choiceOption, parseCount, valueOption } from '../src/cli/arguments.js';
import { count, formatTable, print, printJson } from '../src/cli/output.js';
import { progressBar } from '../src/cli/progress.js';
import { Conformance } from './conformance.js';
import { sequences, type Mode } from './generate.js';
import { whyOtherwise } from './linux.js';
import { search, type Outcome } from './search.js';
import { survey, type Kind } from './survey.js';

interface Options {
  readonly sequences: number;
  readonly calls: number;
  readonly seed?: number;
  readonly path?: string;
  readonly mode: Mode | 'both';
  readonly all?: true;
  readonly json?: true;
}

const program = new Command('conformance')
  .description('compares our VM with the kernel of this machine, call by call')
  .addOption(valueOption('--sequences <n>', 'sequences of each mode', parseCount, '5000'))
  .addOption(valueOption('--calls <n>', 'calls of a sequence', parseCount, '60'))
  .addOption(valueOption('--seed <n>', 'of the random sequences', parseSeed))
  .option('--path <path>', 'of a difference that was found: runs that sequence alone')
  .addOption(choiceOption('--mode <name>', 'mode', ['hints', 'kernel', 'both'] as const, 'both'))
  .option('--all', 'go on after a difference, and show one of each kind')
  .option('--json', 'print JSON')
  .showHelpAfterError('(see --help)')
  .exitOverride();

try {
  const options = program.parse().opts<Options>();
  process.exitCode = await run(options);
} catch (error) {
  process.exitCode = report(error);
}

async function run(options: Options): Promise<number> {
  const modes: Mode[] = options.mode === 'both' ? ['hints', 'kernel'] : [options.mode];
  const seed = options.seed ?? Date.now() & 0x7fff_ffff;
  const conformance = await Conformance.start();
  process.once('SIGINT', () => {
    conformance.stop();
    process.exit(130);
  });
  const otherwise = whyOtherwise();
  if (otherwise !== undefined && !options.json) {
    print(`note: ${otherwise}: differences are to be expected\n`);
  }
  const outcomes: Outcome[] = [];
  const kinds: Kind[] = [];
  const start = performance.now();
  try {
    for (const mode of modes) {
      if (options.all) kinds.push(...(await surveyMode(conformance, mode, seed, options)));
      else outcomes.push(await checkMode(conformance, mode, seed, options));
    }
  } finally {
    conformance.stop();
  }
  const seconds = (performance.now() - start) / 1000;
  if (options.json) printAsJson(conformance, outcomes, kinds, seconds);
  else printForPeople(conformance, outcomes, kinds, seconds, options);
  return kinds.length > 0 || outcomes.some(({ difference }) => difference !== undefined) ? 1 : 0;
}

async function checkMode(
  conformance: Conformance,
  mode: Mode,
  seed: number,
  options: Options,
): Promise<Outcome> {
  const bar = progressBar(`${mode} {bar} {value}/{total} sequences`, options.sequences);
  const outcome = await search(conformance, { ...options, mode, seed }, (done) => bar.update(done));
  bar.stop();
  return outcome;
}

async function surveyMode(
  conformance: Conformance,
  mode: Mode,
  seed: number,
  { sequences: total, calls }: Options,
): Promise<Kind[]> {
  const bar = progressBar(`${mode} {bar} {value}/{total} sequences`, total);
  const samples = fc.sample(sequences(mode, calls), { numRuns: total, seed });
  const kinds = await survey(conformance, samples, (done) => bar.update(done));
  bar.stop();
  return kinds;
}

function printAsJson(
  conformance: Conformance,
  outcomes: readonly Outcome[],
  kinds: readonly Kind[],
  seconds: number,
): void {
  printJson({
    kernel: release(),
    seconds,
    calls: Object.fromEntries(conformance.tallies),
    unrepeated: conformance.unrepeated,
    exempted: Object.fromEntries(conformance.exempted),
    outcomes,
    kinds,
  });
}

function printForPeople(
  conformance: Conformance,
  outcomes: readonly Outcome[],
  kinds: readonly Kind[],
  seconds: number,
  options: Options,
): void {
  for (const { mode, difference, seed, path } of outcomes) {
    if (difference === undefined) continue;
    print(`${mode}: a difference ${difference}\n`);
    print(
      `replay: npm run conformance -- --mode ${mode} --calls ${options.calls} ` +
        `--seed ${seed} --path ${path}\n`,
    );
  }
  for (const { name, times, text } of kinds) print(`${count(times)} × ${name}: ${text}\n`);
  const rows = [...conformance.tallies]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, { compared, succeeded }]) => [name, count(compared), count(succeeded)]);
  print(formatTable(['call', 'compared', 'succeeded on Linux'], rows));
  const total = outcomes.reduce((sum, { sequences }) => sum + sequences, 0);
  if (total > 0) {
    const rate = (total / seconds).toFixed(0);
    const seed = outcomes[0].seed;
    print(`\n${count(total)} sequences, ${rate} a second, seed ${seed}, Linux ${release()}`);
  }
  for (const [name, times] of conformance.exempted) {
    print(`${count(times)} sequences ended early: ${name} (docs/conformance.md)`);
  }
  if (conformance.unrepeated > 0) {
    print(`${conformance.unrepeated} differences were gone when the sequence ran again.`);
  }
}

/** A seed as it was printed. */
function parseSeed(text: string): number {
  const seed = Number(text);
  if (Number.isInteger(seed)) return seed;
  throw new InputError('OPTION', `got seed "${text}", expected a whole number`);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof InputError) {
    process.stderr.write(`conformance: ${error.message}\n`);
    return 2;
  }
  throw error;
}
