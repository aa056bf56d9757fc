/**
 * Searches a scenario under a design, on a ladder: first every schedule with no preemption, then
 * with one, which finds a bug by the fewest switches; then every interleaving.
 */
import { whyNotCarried } from '../designs/carries.js';
import { vmConfig } from '../engines/configuration.js';
import { runAlone } from '../engines/engine.js';
import type { Execution } from '../engines/explore/execution.js';
import { ExploreEngine } from '../engines/explore/exploreEngine.js';
import { scheduleOf } from '../engines/explore/schedule.js';
import {
  searchAll,
  searchBounded,
  type Progress,
  type SearchResult,
} from '../engines/explore/search.js';
import type { ArchName } from '../hardware/arch/index.js';
import type { VmDesign } from '../mm/design.js';
import { counterexampleOf, type Counterexample, type FailureKind } from './counterexample.js';
import type { Scenario, ScenarioCase } from './scenario.js';

export interface Verdict {
  readonly scenario: string;
  readonly case: string;
  readonly arch: ArchName;
  readonly design: string;
  /** `open` where the design is broken otherwise, or the architecture cannot carry it. */
  readonly expected: 'pass' | 'fail' | 'open';
  readonly outcome: 'exhausted' | 'bounded' | 'failed';
  /** How far the search went, or where it found the failure. */
  readonly bound: string;
  readonly executions: number;
  readonly blocked: number;
  readonly steps: number;
  readonly failures: readonly string[];
  readonly counterexample: Counterexample | undefined;
}

/** Whether a verdict is what the scenario expects of the design. */
export function isExpected(verdict: Verdict): boolean {
  if (verdict.expected === 'open') return true;
  return verdict.expected === (verdict.outcome === 'failed' ? 'fail' : 'pass');
}

function expectedOf(
  { machine, fails }: Scenario,
  scenarioCase: ScenarioCase,
  design: VmDesign,
): Verdict['expected'] {
  if ((scenarioCase.fails ?? fails).includes(design.name)) return 'fail';
  if (design.broken !== undefined) return 'open';
  return whyNotCarried(machine.arch, design) === undefined ? 'pass' : 'open';
}

const CPUS = 2;
const QUICK_PREEMPTIONS = [0, 1];

/**
 * @param maxExecutions - of the full search; beyond it the verdict is `bounded`
 */
export async function checkCase(
  scenario: Scenario,
  scenarioCase: ScenarioCase,
  design: VmDesign,
  maxExecutions: number,
  progress?: Progress,
): Promise<Verdict> {
  const machine = { ...scenario.machine, cpus: CPUS };
  const engine = await ExploreEngine.create(vmConfig(machine, design, scenario.limits));
  const { program, args } = scenarioCase.setup(CPUS);
  const setup = await runAlone(engine, program, ...args);
  const check = engine.vm.END_CHECKS[scenarioCase.mustHold ?? 'audit'];
  const threads = scenarioCase.threads(setup, CPUS);
  const execution = engine.execution(threads, check);
  const about = {
    scenario: scenario.name,
    case: scenarioCase.name,
    arch: scenario.machine.arch,
    design: design.name,
  };
  const counterexample = ({ failures, schedule }: SearchResult, fewest: boolean): Counterexample =>
    counterexampleOf(
      { ...about, cpus: CPUS, kind: kindOf(execution), failures, fewest, threads },
      scheduleOf(execution, schedule),
    );
  const verdictOf = (bound: string, found: SearchResult, fewest: boolean): Verdict => ({
    ...about,
    expected: expectedOf(scenario, scenarioCase, design),
    outcome: found.outcome,
    bound,
    executions: found.executions,
    blocked: found.blocked,
    steps: found.steps,
    failures: found.failures,
    counterexample: found.outcome === 'failed' ? counterexample(found, fewest) : undefined,
  });
  const bounds = { executions: Math.min(maxExecutions, scenarioCase.executions ?? Infinity) };
  for (const preemptions of QUICK_PREEMPTIONS) {
    const quick = searchBounded(execution, preemptions, bounds);
    if (quick.outcome === 'failed') {
      return verdictOf(`${preemptions} preemption${preemptions === 1 ? '' : 's'}`, quick, true);
    }
  }
  const full = searchAll(execution, bounds, progress);
  return verdictOf(
    full.outcome === 'bounded' ? `${bounds.executions} executions` : 'all',
    full,
    false,
  );
}

/** Of an execution that has failed. */
function kindOf({ failure, ended }: Execution): FailureKind {
  if (failure !== undefined) return 'invariant';
  return ended.includes(false) ? 'deadlock' : 'audit';
}
