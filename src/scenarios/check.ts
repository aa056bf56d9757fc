/**
 * Searches a scenario under a design, on a ladder: first every schedule with no preemption, then with one, which
 * finds a bug by the fewest switches; then every interleaving; and random ones where that takes too long. What is
 * found is made as simple as it can be.
 */
import { whyNotCarried } from '../designs/carries.js';
import { vmConfig } from '../engines/configuration.js';
import type { Thread } from '../engines/engine.js';
import { runAlone } from '../engines/engine.js';
import { SharedPlaces, searchBounded } from '../engines/explore/bounded.js';
import type { Execution } from '../engines/explore/execution.js';
import { ExploreEngine } from '../engines/explore/exploreEngine.js';
import { searchRandom } from '../engines/explore/randomSearch.js';
import { reduceSchedule, type Reduced } from '../engines/explore/reduce.js';
import { scheduleOf } from '../engines/explore/schedule.js';
import type { FailureKind, Progress, SearchResult } from '../engines/explore/search.js';
import type { Problem } from '../engines/explore/searchMessages.js';
import { searchAll } from '../engines/explore/sourceSets.js';
import { searchInWorkers } from '../engines/explore/splitSearch.js';
import type { MachineState } from '../engines/stepping.js';
import type { ArchName } from '../hardware/arch/index.js';
import type { VmDesign } from '../mm/design.js';
import { counterexampleOf, type Counterexample } from './counterexample.js';
import type { Scenario, ScenarioCase } from './scenario.js';

export interface Verdict {
  readonly scenario: string;
  readonly case: string;
  readonly arch: ArchName;
  readonly design: string;
  readonly cpus: number;
  /** `open` where the design is broken otherwise, or the architecture cannot carry it. */
  readonly expected: 'pass' | 'fail' | 'open';
  readonly outcome: 'exhausted' | 'bounded' | 'failed';
  /** How far the search went, or what found the failure. */
  readonly bound: string;
  /** Of the full search, or of the one that failed. */
  readonly executions: number;
  readonly blocked: number;
  readonly steps: number;
  readonly failures: readonly string[];
  readonly kind: FailureKind | undefined;
  readonly counterexample: Counterexample | undefined;
}

/** What a check may cost. */
export interface Budget {
  /** Of the full search; beyond it the verdict is `bounded`. */
  readonly executions: number;
  /** Of a case in all, the reduction of what fails apart. */
  readonly seconds: number;
  /** Of each quick look: every schedule with no preemption, with one, and so on. */
  readonly quick: number;
  /** Random schedules, where the full search has not come to its end. */
  readonly random: number;
  readonly seed: number;
}

export const DEFAULT_BUDGET: Budget = {
  executions: 1_000_000,
  seconds: 60,
  quick: 50_000,
  random: 2000,
  seed: 1,
};

/** Whether a verdict is what the scenario expects of the design. */
export function isExpected(verdict: Verdict): boolean {
  if (verdict.expected === 'open') return true;
  return verdict.expected === (verdict.outcome === 'failed' ? 'fail' : 'pass');
}

function expectedOf(
  { machine, fails, holds }: Scenario,
  scenarioCase: ScenarioCase,
  design: VmDesign,
): Verdict['expected'] {
  if ((scenarioCase.fails ?? fails).includes(design.name)) return 'fail';
  if (holds?.includes(design.name) === true) return 'pass';
  if (design.broken !== undefined) return 'open';
  return whyNotCarried(machine.arch, design) === undefined ? 'pass' : 'open';
}

/** CPUs that a race is run on unless told otherwise. */
export const DEFAULT_CPUS = 2;

/** Preemptions that are tried before the full search, unless a case asks for more. */
const QUICK_PREEMPTIONS = 1;
/** Share of the time that a quick look may take. */
const QUICK_SHARE = 0.3;
/** The same where a case asks for more than the usual preemptions. */
const DEEP_SHARE = 0.7;
/** Time for making a schedule simpler, in milliseconds. */
const REDUCE_MS = 1500;
/** Share of the time that the full search leaves to random schedules. */
const RANDOM_SHARE = 0.2;

/** Engines with booted machines, by configuration: to make one takes longer than many a search. */
const engines = new Map<string, { engine: ExploreEngine; booted: MachineState }>();
const MAX_ENGINES = 16;

async function bootedEngine(config: ReturnType<typeof vmConfig>): Promise<ExploreEngine> {
  const key = JSON.stringify(config);
  let known = engines.get(key);
  if (known === undefined) {
    const engine = await ExploreEngine.create(config);
    known = { engine, booted: engine.machine.save() };
    if (engines.size === MAX_ENGINES) engines.delete([...engines.keys()][0]);
    engines.set(key, known);
  }
  known.engine.machine.restore(known.booted);
  return known.engine;
}

/** A case set up on its machine, ready to be run in any order. */
export interface Prepared {
  /** The same as data. */
  readonly problem: Problem;
  readonly engine: ExploreEngine;
  readonly threads: readonly Thread[];
  readonly execution: Execution;
}

export async function prepareCase(
  scenario: Scenario,
  scenarioCase: ScenarioCase,
  design: VmDesign,
  cpus: number,
): Promise<Prepared> {
  const machine = { ...scenario.machine, cpus };
  const config = vmConfig(machine, design, scenario.limits);
  const engine = await bootedEngine(config);
  const setup = scenarioCase.setup(cpus);
  const threads = scenarioCase.threads(await runAlone(engine, setup.program, ...setup.args), cpus);
  const check = scenarioCase.mustHold ?? 'audit';
  const execution = engine.execution(threads, engine.vm.END_CHECKS[check]);
  return { problem: { config, setup, threads, check }, engine, threads, execution };
}

export interface CheckOptions {
  readonly cpus?: number;
  /** How many share the full search. */
  readonly workers?: number;
  readonly progress?: Progress;
}

export async function checkCase(
  scenario: Scenario,
  scenarioCase: ScenarioCase,
  design: VmDesign,
  budget: Partial<Budget> = {},
  { cpus = DEFAULT_CPUS, workers = 1, progress }: CheckOptions = {},
): Promise<Verdict> {
  const prepared = await prepareCase(scenario, scenarioCase, design, cpus);
  const limits = { ...DEFAULT_BUDGET, ...budget };
  const { found, bound } = await climb(prepared, scenarioCase, limits, workers, progress);
  const about = {
    scenario: scenario.name,
    case: scenarioCase.name,
    arch: scenario.machine.arch,
    design: design.name,
    cpus,
  };
  const verdict = {
    ...about,
    expected: expectedOf(scenario, scenarioCase, design),
    outcome: found.outcome,
    bound,
    executions: found.executions,
    blocked: found.blocked,
    steps: found.steps,
  };
  if (found.outcome !== 'failed') {
    return { ...verdict, failures: [], kind: undefined, counterexample: undefined };
  }
  const simplest = simplestOf(prepared, found);
  const { failures, kind, fewest } = simplest.reduced;
  const counterexample = counterexampleOf(
    { ...about, kind, failures, fewest, threads: simplest.threads },
    scheduleOf(simplest.execution, simplest.reduced.schedule),
  );
  return { ...verdict, failures, kind, counterexample };
}

interface Climbed {
  readonly found: SearchResult;
  readonly bound: string;
}

/** Searches on, from what is quick to what takes long, until something fails or all is done. */
async function climb(
  { execution, problem }: Prepared,
  scenarioCase: ScenarioCase,
  budget: Budget,
  workers: number,
  progress?: Progress,
): Promise<Climbed> {
  const start = Date.now();
  const ms = budget.seconds * 1000;
  const shared = new SharedPlaces(execution);
  const deepest = scenarioCase.preemptions ?? QUICK_PREEMPTIONS;
  const share = deepest > QUICK_PREEMPTIONS ? DEEP_SHARE : QUICK_SHARE;
  const looked: string[] = [];
  for (let preemptions = 0; preemptions <= deepest; preemptions++) {
    const bounds = { executions: budget.quick, deadline: start + ms * share };
    const quick = searchBounded(execution, preemptions, bounds, shared);
    if (quick.outcome === 'failed') return { found: quick, bound: preemptionsInWords(preemptions) };
    if (quick.outcome === 'exhausted') looked[0] = preemptionsInWords(preemptions);
  }
  const executions = Math.min(budget.executions, scenarioCase.executions ?? Infinity);
  const bounds = { executions, deadline: start + ms * (1 - RANDOM_SHARE) };
  const full =
    workers > 1
      ? await searchInWorkers(problem, bounds, { workers }, progress)
      : searchAll(execution, bounds, progress);
  if (full.outcome !== 'bounded') return { found: full, bound: 'the full search' };
  looked.push(`${full.executions} executions`);
  const { seed, random } = budget;
  if (random === 0) return { found: full, bound: looked.join(', ') };
  const randomly = { executions: random, seed, deadline: start + ms };
  const found = searchRandom(execution, randomly, shared, progress);
  looked.push(`${found.executions} random ones of seed ${seed}`);
  return found.outcome === 'failed'
    ? { found, bound: `random schedules of seed ${seed}` }
    : { found: full, bound: looked.join(', ') };
}

export function preemptionsInWords(preemptions: number): string {
  return preemptions === 1 ? '1 preemption' : `${preemptions} preemptions`;
}

interface Simplest {
  readonly execution: Execution;
  readonly threads: readonly Thread[];
  readonly reduced: Reduced;
}

/** The failure with the fewest threads and preemptions that show it. */
function simplestOf(
  { engine, threads, execution }: Omit<Prepared, 'problem'>,
  found: SearchResult,
): Simplest {
  const kind = found.kind ?? 'invariant';
  const { schedule, failures } = found;
  const reduced = reduceSchedule(execution, { schedule, failures, kind }, REDUCE_MS);
  if (threads.length <= 2) return { execution, threads, reduced };
  execution.restart();
  for (const left of threads) {
    const others = threads.filter((thread) => thread !== left);
    const fewer = engine.execution(others, execution.check);
    const bounds = { executions: Infinity, deadline: Date.now() + REDUCE_MS / 4 };
    const without = searchBounded(fewer, reduced.preemptions, bounds);
    if (without.outcome === 'failed' && without.kind === kind) {
      return simplestOf({ engine, threads: others, execution: fewer }, without);
    }
    fewer.restart();
  }
  // The CPUs have run other programs since.
  const again = engine.execution(threads, execution.check);
  return { execution: again, threads, reduced };
}
