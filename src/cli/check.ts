import type { Command } from 'commander';
import { availableParallelism } from 'node:os';
import { InputError } from '../base/errors.js';
import { runTasks } from '../engines/workerPool.js';
import { ARCH_NAMES, type ArchName } from '../hardware/arch/index.js';
import type { VmDesign } from '../mm/design.js';
import { DEFAULT_BUDGET, DEFAULT_CPUS, isExpected, type Budget } from '../scenarios/check.js';
import {
  CHECK_TASKS,
  onArch,
  runCheckTask,
  type CheckTask,
  type TimedVerdict,
} from '../scenarios/checkTask.js';
import type { Counterexample } from '../scenarios/counterexample.js';
import { SCENARIOS, designsFor, scenarioNamed } from '../scenarios/index.js';
import { MATRIX_SCENARIOS, PAIR_SCENARIOS } from '../scenarios/pairs.js';
import { replayCounterexample } from '../scenarios/replay.js';
import type { Scenario } from '../scenarios/scenario.js';
import {
  FORCE_OPTION,
  choiceOption,
  designsToRun,
  parseCount,
  parseDesigns,
  valueOption,
} from './arguments.js';
import { printMatrices } from './checkMatrix.js';
import {
  readCounterexample,
  writeCounterexample,
  writeSchedulePage,
} from './counterexampleFiles.js';
import { count, formatTable, print, printJson } from './output.js';
import { progressBar } from './progress.js';
import { formatHead, formatSchedule, textWidth } from './scheduleText.js';

interface CheckOptions {
  readonly arch?: ArchName;
  readonly design?: VmDesign[];
  readonly force?: true;
  readonly case?: string;
  readonly cpus: number;
  readonly executions: number;
  readonly seconds: number;
  readonly random: number;
  readonly seed: number;
  readonly workers: number;
  readonly matrix?: true;
  readonly replay?: string;
  readonly save?: string;
  readonly html?: string;
  readonly all?: true;
  readonly json?: true;
}

/** What a pair of the matrix may cost, unless told otherwise: there are more than a thousand. */
const MATRIX_BUDGET: Partial<Budget> = { executions: 300, seconds: 10, random: 0 };

export function addCheckCommand(program: Command): void {
  const names = SCENARIOS.map(({ name }) => name).join(', ');
  program
    .command('check')
    .description('try every interleaving of a scenario, and show the one that fails')
    .argument('[scenario...]', `of ${names}, pairs-…; all but the pairs if none`)
    .addOption(choiceOption('--arch <name>', 'architecture', ARCH_NAMES))
    .addOption(valueOption('--design <names>', 'only these designs, with commas', parseDesigns))
    .option('--case <text>', 'only cases with this in their names')
    .addOption(valueOption('--cpus <n>', 'CPUs of each race', parseCount, `${DEFAULT_CPUS}`))
    .addOption(
      valueOption(
        '--executions <n>',
        'bound of the full search (of a pair: 300)',
        parseCount,
        `${DEFAULT_BUDGET.executions}`,
      ),
    )
    .addOption(
      valueOption(
        '--seconds <n>',
        'time for each case (for a pair: 10)',
        parseCount,
        `${DEFAULT_BUDGET.seconds}`,
      ),
    )
    .addOption(
      valueOption(
        '--random <n>',
        'random schedules where a search did not end (of a pair: 0)',
        parseWhole,
        `${DEFAULT_BUDGET.random}`,
      ),
    )
    .addOption(valueOption('--seed <n>', 'of the random ones', parseCount, '1'))
    .addOption(
      valueOption(
        '--workers <n>',
        'cases checked at the same time, or who share the search of one',
        parseCount,
        `${availableParallelism()}`,
      ),
    )
    .option(
      '--matrix',
      'every pair of operations of the address space, as a table a kind of memory',
    )
    .option('--replay <file>', 'run a saved schedule again')
    .option('--save <file>', 'write the first failing schedule, for --replay')
    .option('--html <file>', 'write it as a page to step through')
    .option('--all', 'show every step of it')
    .option(...FORCE_OPTION)
    .option('--json', 'print JSON')
    .action(async (given: string[], options: CheckOptions, command: Command) => {
      if (options.replay !== undefined) await replay(options.replay, options);
      else await check(given, options, command);
    });
}

/** A whole number of at least 0. */
function parseWhole(text: string): number {
  return text.trim() === '0' ? 0 : parseCount(text);
}

async function check(
  names: readonly string[],
  options: CheckOptions,
  command: Command,
): Promise<void> {
  const listed = names.length > 0 ? names.map(scenarioNamed) : undefined;
  const scenarios = listed ?? (options.matrix ? PAIR_SCENARIOS : SCENARIOS);
  const other = scenarios.find((scenario) => !isPairs(scenario));
  if (options.matrix && other !== undefined) {
    const known = MATRIX_SCENARIOS.map(({ name }) => name).join(', ');
    throw new InputError('CHECK_MATRIX', `--matrix: got ${other.name}, expected some of ${known}`);
  }
  const tasks = tasksOf(scenarios, listed !== undefined, options, command);
  if (tasks.length === 0) {
    const asked = options.case === undefined ? '' : ` with "${options.case}" in its name`;
    throw new InputError(
      'CHECK_NOTHING',
      `no scenario has a case for ${options.cpus} CPUs${asked}`,
    );
  }
  const verdicts = await checkAll(tasks, options);
  const failed = shortestOfEachDesign(verdicts);
  const [first] = failed.flatMap(({ counterexample }) => counterexample ?? []);
  if (first !== undefined && options.save !== undefined) {
    await writeCounterexample(options.save, first);
  }
  if (first !== undefined && options.html !== undefined) {
    await writeSchedulePage(options.html, first);
  }
  if (options.json) {
    printJson(verdicts);
  } else {
    for (const verdict of failed) printFailure(verdict, options);
    if (options.matrix) printMatrices(scenarios, verdicts);
    else printVerdicts(verdicts);
    print(`\n${options.cpus} CPUs, sequentially consistent: a missing barrier cannot show.`);
  }
  if (!verdicts.every(isExpected)) process.exitCode = 1;
}

function tasksOf(
  scenarios: readonly Scenario[],
  named: boolean,
  options: CheckOptions,
  command: Command,
): CheckTask[] {
  const { cpus, force } = options;
  const given = (name: keyof Budget): boolean => command.getOptionValueSource(name) === 'cli';
  return scenarios.flatMap((written) => {
    const arch = options.arch ?? written.machine.arch;
    const scenario = onArch(written, arch);
    const wanted = options.design ?? designsFor(scenario);
    // What must fail there is run though the architecture cannot carry it.
    const failing = options.design === undefined && options.arch === undefined;
    const designs = designsToRun(command, arch, wanted, force === true || failing);
    const { executions, seconds, random, seed } = options;
    const typed = Object.entries({ executions, seconds, random, seed });
    const isPair = isPairs(written);
    const budget: Partial<Budget> = {
      ...(isPair ? MATRIX_BUDGET : {}),
      ...Object.fromEntries(typed.filter(([name]) => !isPair || given(name as keyof Budget))),
    };
    const asked = scenario.cases.filter(({ name }) => name.includes(options.case ?? ''));
    if (asked.length === 0 && named) {
      const known = scenario.cases.map(({ name }) => `"${name}"`).join(', ');
      throw new InputError(
        'CHECK_CASE',
        `--case: got "${options.case}", expected part of one of ${scenario.name}'s: ${known}`,
      );
    }
    const cases = asked.filter(({ maxCpus = DEFAULT_CPUS }) => cpus <= maxCpus);
    if (cases.length === 0 && named) {
      const most = Math.max(...asked.map(({ maxCpus = DEFAULT_CPUS }) => maxCpus));
      throw new InputError(
        'CHECK_CPUS',
        `--cpus: got ${cpus}, expected at most ${most}: ${scenario.name} is a race of no more`,
      );
    }
    return cases.flatMap(({ name }) =>
      designs.map((design) => {
        return { scenario: written.name, case: name, design: design.name, arch, cpus, budget };
      }),
    );
  });
}

function isPairs({ name }: Scenario): boolean {
  return MATRIX_SCENARIOS.some((pairs) => pairs.name === name);
}

/** Several cases at the same time, or one with its search shared. */
async function checkAll(
  tasks: readonly CheckTask[],
  { workers, executions }: CheckOptions,
): Promise<TimedVerdict[]> {
  if (tasks.length === 1 || workers === 1) return await checkInTurn(tasks, executions, workers);
  const bar = progressBar('{bar} {value}/{total} cases, {eta_formatted} left', tasks.length);
  let done = 0;
  const verdicts = await runTasks<CheckTask, TimedVerdict>(CHECK_TASKS, tasks, workers, {
    done: () => bar.update(++done),
  });
  bar.stop();
  return verdicts;
}

async function checkInTurn(
  tasks: readonly CheckTask[],
  executions: number,
  workers: number,
): Promise<TimedVerdict[]> {
  const verdicts: TimedVerdict[] = [];
  for (const task of tasks) {
    const label = `${task.scenario} (${task.case}) ${task.design}`;
    const bar = progressBar(`${label}: {value} executions`, executions);
    verdicts.push(await runCheckTask(task, (done) => bar.update(done), workers));
    bar.stop();
  }
  return verdicts;
}

function printVerdicts(verdicts: readonly TimedVerdict[]): void {
  const rows = verdicts.map((verdict) => [
    verdict.scenario,
    verdict.case,
    verdict.arch,
    verdict.design,
    verdict.expected,
    describe(verdict),
    count(verdict.executions),
    count(verdict.blocked),
    count(verdict.steps),
    `${verdict.ms} ms`,
  ]);
  const head = [
    'scenario',
    'case',
    'arch',
    'design',
    'expected',
    'verdict',
    'executions',
    'blocked',
    'steps',
    'time',
  ];
  print(formatTable(head, rows));
}

function describe(verdict: TimedVerdict): string {
  const surprise = isExpected(verdict) ? '' : ' (NOT EXPECTED)';
  switch (verdict.outcome) {
    case 'failed':
      return `${verdict.kind}, by ${verdict.bound}${surprise}`;
    case 'bounded':
      return `no failure within ${verdict.bound}${surprise}`;
    case 'exhausted':
      return `exhausted, no failure${surprise}`;
  }
}

/** Of several failing cases of a design, the one that is quickest to read. */
function shortestOfEachDesign(verdicts: readonly TimedVerdict[]): TimedVerdict[] {
  const shortest = new Map<string, TimedVerdict>();
  for (const verdict of verdicts) {
    if (verdict.counterexample === undefined) continue;
    const of = `${verdict.scenario} ${verdict.design}`;
    const known = shortest.get(of)?.counterexample?.steps.length ?? Infinity;
    if (verdict.counterexample.steps.length < known) shortest.set(of, verdict);
  }
  return [...shortest.values()];
}

function printFailure({ counterexample }: TimedVerdict, options: CheckOptions): void {
  if (counterexample === undefined) return;
  print(`${formatHead(counterexample)}\n`);
  printSchedule(counterexample, options);
}

function printSchedule(counterexample: Counterexample, { all }: CheckOptions): void {
  const width = textWidth(process.stdout.columns, counterexample.threads.length);
  print(`${formatSchedule(counterexample, { width, all: all === true })}\n`);
}

async function replay(file: string, options: CheckOptions): Promise<void> {
  const recorded = await readCounterexample(file);
  const again = await replayCounterexample(recorded);
  const { outcome, divergence, failures, counterexample } = again;
  if (options.html !== undefined && counterexample !== undefined) {
    await writeSchedulePage(options.html, counterexample);
  }
  if (outcome !== 'passes') process.exitCode = 1;
  if (options.json) {
    printJson(again);
    return;
  }
  if (counterexample !== undefined) printSchedule(counterexample, options);
  if (divergence !== undefined) {
    const { step, expected, got } = divergence;
    print(`From step ${step} on it is another run: recorded was ${expected}; now it is ${got}.`);
  }
  const under = `${recorded.scenario} (${recorded.case}) under ${recorded.design}`;
  switch (outcome) {
    case 'same':
      print(`${under} fails as recorded: ${failures.join('; ')}`);
      break;
    case 'other':
      print(`${under} fails, but not as recorded: ${failures.join('; ')}`);
      break;
    case 'passes':
      print(`${under} does not fail by this schedule any more.`);
  }
}
