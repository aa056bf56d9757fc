import type { Command } from 'commander';
import { performance } from 'node:perf_hooks';
import { ARCH_NAMES, type ArchName } from '../hardware/arch/index.js';
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
import { formatHead, formatSchedule, textWidth } from './scheduleText.js';

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
        const verdict = await checkCase(scenario, scenarioCase, design, { executions }, 2, (done) =>
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
    const length = verdict.counterexample?.steps.length ?? Infinity;
    if (known === undefined || length < known.counterexample!.steps.length) {
      shortest.set(verdict.design, verdict);
    }
  }
  return [...shortest.values()];
}

function printFailure({ counterexample }: TimedVerdict): void {
  if (counterexample === undefined) return;
  const width = textWidth(process.stdout.columns, counterexample.threads.length);
  print(`${formatHead(counterexample)}\n`);
  print(`${formatSchedule(counterexample, { width })}\n`);
}
