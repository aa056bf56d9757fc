import type { Command } from 'commander';
import { performance } from 'node:perf_hooks';
import { ARCH_NAMES, type ArchName } from '../hardware/arch/index.js';
import type { Schedule, ScheduleStep } from '../engines/explore/schedule.js';
import type { VmDesign } from '../mm/design.js';
import { checkCase, isExpected, type Verdict } from '../scenarios/check.js';
import { SCENARIOS, designsFor, scenarioNamed } from '../scenarios/index.js';
import {
  FORCE_OPTION,
  choiceOption,
  designsToRun,
  parseCount,
  parseDesigns,
  valueOption,
} from './arguments.js';
import { count, formatTable, print, printJson } from './output.js';
import { progressBar } from './progress.js';

interface CheckOptions {
  readonly arch?: ArchName;
  readonly design?: VmDesign[];
  readonly force?: true;
  readonly executions: number;
  readonly json?: true;
}

type TimedVerdict = Verdict & { readonly ms: number };

export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .description('try every interleaving of a scenario, and show the one that fails')
    .argument('[scenario...]', `of ${SCENARIOS.map(({ name }) => name).join(', ')}; all if none`)
    .addOption(choiceOption('--arch <name>', 'architecture', ARCH_NAMES))
    .addOption(valueOption('--design <names>', 'only these designs, with commas', parseDesigns))
    .addOption(valueOption('--executions <n>', 'bound of the full search', parseCount, '1000000'))
    .option(...FORCE_OPTION)
    .option('--json', 'print JSON')
    .action(async (names: string[], options: CheckOptions, command: Command) => {
      const verdicts = await checkAll(names, options, command);
      if (options.json) printJson(verdicts);
      else printVerdicts(verdicts);
      if (!verdicts.every(isExpected)) process.exitCode = 1;
    });
}

async function checkAll(
  names: readonly string[],
  { arch, design: named, force, executions }: CheckOptions,
  command: Command,
): Promise<TimedVerdict[]> {
  const scenarios = names.length > 0 ? names.map(scenarioNamed) : SCENARIOS;
  const verdicts: TimedVerdict[] = [];
  for (const written of scenarios) {
    const machine = { ...written.machine, arch: arch ?? written.machine.arch };
    const scenario = { ...written, machine };
    const designs = designsToRun(
      command,
      machine.arch,
      named ?? designsFor(scenario),
      force === true,
    );
    for (const scenarioCase of scenario.cases) {
      for (const design of designs) {
        const label = `${scenario.name} (${scenarioCase.name}) ${design.name}`;
        const bar = progressBar(`${label}: {value} executions`, executions);
        const start = performance.now();
        const verdict = await checkCase(scenario, scenarioCase, design, executions, (done) =>
          bar.update(done),
        );
        bar.stop();
        verdicts.push({ ...verdict, ms: Math.round(performance.now() - start) });
      }
    }
  }
  return verdicts;
}

function printVerdicts(verdicts: readonly TimedVerdict[]): void {
  const failed = verdicts.filter(({ outcome }) => outcome === 'failed');
  for (const verdict of shortestOfEachDesign(failed)) printFailure(verdict);
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
  print('\nTwo CPUs, sequentially consistent: a missing barrier cannot show.');
}

function describe(verdict: Verdict): string {
  const surprise = isExpected(verdict) ? '' : ' (NOT EXPECTED)';
  switch (verdict.outcome) {
    case 'failed':
      return `failed, with ${verdict.bound}${surprise}`;
    case 'bounded':
      return `no failure within ${verdict.bound}${surprise}`;
    case 'exhausted':
      return `exhausted, no failure${surprise}`;
  }
}

/** Of several failing cases of a design, the one that is quickest to read. */
function shortestOfEachDesign(failed: readonly TimedVerdict[]): TimedVerdict[] {
  const shortest = new Map<string, TimedVerdict>();
  for (const verdict of failed) {
    const known = shortest.get(verdict.design);
    const length = verdict.schedule?.steps.length ?? Infinity;
    if (known === undefined || length < known.schedule!.steps.length) {
      shortest.set(verdict.design, verdict);
    }
  }
  return [...shortest.values()];
}

function printFailure(verdict: TimedVerdict): void {
  print(`${verdict.scenario} (${verdict.case}) under ${verdict.design} fails:`);
  for (const failure of verdict.failures) print(`  ${failure}`);
  print('');
  print('Words: pte[frame][entry], page[frame].field, mm[number].field; old → new.\n');
  if (verdict.schedule !== undefined) print(formatSchedule(verdict.schedule));
  print('');
}

const COLUMN = 62;

/** A column a CPU, time downwards; steps on words that nobody else touches are folded. */
function formatSchedule({ threads, steps }: Schedule): string {
  const lines = [columns(threads, 0, 'cpu 0', ['cpu 1', 'cpu 2', 'cpu 3'])];
  let folded = 0;
  let last = -1;
  const unfold = (): void => {
    if (folded > 0) lines.push(columns(threads, last, `· ${folded} steps of its own`));
    folded = 0;
  };
  steps.forEach((step, index) => {
    if (step.thread !== last) {
      unfold();
      if (last >= 0) lines.push(`${'─'.repeat(6)} switch: ${switchReason(steps, index)}`);
      last = step.thread;
    }
    if (!step.shared) {
      folded++;
      return;
    }
    unfold();
    lines.push(
      `${String(index + 1).padStart(4)}  ${columns(threads, step.thread, formatStep(step)).slice(6)}`,
    );
  });
  unfold();
  return lines.join('\n');
}

/**
 * Why a switch matters: this CPU's turn changes a word that the other has read before and will touch
 * again after it. Counts that both only add to do not matter.
 */
function switchReason(steps: readonly ScheduleStep[], index: number): string {
  const { thread, cpu } = steps[index];
  const end = steps.findIndex((step, later) => later > index && step.thread !== thread);
  if (end < 0) return `cpu ${cpu} goes on`;
  const other = steps[end];
  const touchedByOther = (word: string, from: number, to: number): boolean =>
    steps.slice(from, to).some((step) => step.thread === other.thread && step.word === word);
  const changed = steps
    .slice(index, end)
    .find(
      (step) =>
        step.shared &&
        step.before !== step.after &&
        !COMMUTING.has(step.operation) &&
        touchedByOther(step.word, 0, index) &&
        touchedByOther(step.word, end, steps.length),
    );
  if (changed === undefined) return `cpu ${cpu} goes on`;
  return `cpu ${cpu} will change ${changed.word}, which cpu ${other.cpu} has read and will use`;
}

const COMMUTING = new Set(['addUnused', 'downRead', 'upRead']);

function formatStep(step: ScheduleStep): string {
  const change =
    step.before === step.after
      ? value(step.before, step.word)
      : `${value(step.before, step.word)} → ${value(step.after, step.word)}`;
  return `${step.function}: ${step.operation} ${step.word} ${change}`;
}

/** Entries of tables in hexadecimal, all else in decimal. */
function value(number: number, word: string): string {
  return /^(pte|pmd|pud|pgd)/.test(word) ? `0x${(number >>> 0).toString(16)}` : String(number);
}

/** Text in the column of one thread. */
function columns(
  threads: number,
  thread: number,
  text: string,
  others: readonly string[] = [],
): string {
  const cells = Array.from({ length: threads }, (_, column) => {
    if (column === thread) return text;
    return others[column - 1] ?? '';
  });
  return `      ${cells.map((cell) => cell.padEnd(COLUMN)).join('│ ')}`.trimEnd();
}
