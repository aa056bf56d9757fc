/** A schedule that a test directs: for races that take more preemptions than a search is to try each time. */
import { vmConfig } from '../src/engines/configuration.js';
import { runAlone } from '../src/engines/engine.js';
import { ExploreEngine } from '../src/engines/explore/exploreEngine.js';
import type { Execution } from '../src/engines/explore/execution.js';
import { operationName } from '../src/engines/stepping.js';
import type { VmDesign } from '../src/mm/design.js';
import type { Scenario, ScenarioCase } from '../src/scenarios/scenario.js';

/** A CPU goes on until it is about to do an operation in a function; to its end, or as far as it can, without one. */
export interface Leg {
  readonly cpu: number;
  readonly until?: { readonly operation: string; readonly within: readonly string[] };
}

/**
 * Runs a case along a schedule, and then all CPUs to their end.
 *
 * @returns what is wrong at the end
 * @throws Error where a CPU does not come to the point where it should stop
 */
export async function runDirected(
  { machine, limits }: Scenario,
  { setup, threads, mustHold }: ScenarioCase,
  design: VmDesign,
  legs: readonly Leg[],
): Promise<string[]> {
  const engine = await ExploreEngine.create(vmConfig({ ...machine, cpus: 2 }, design, limits));
  const { program, args } = setup(2);
  const made = await runAlone(engine, program, ...args);
  const check = engine.vm.END_CHECKS[mustHold ?? 'audit'];
  const execution = engine.execution(threads(made, 2), check);
  execution.restart();
  for (const leg of legs) {
    const reached = (): boolean => leg.until !== undefined && isAt(execution, leg.cpu, leg.until);
    while (!reached() && canGo(execution, leg.cpu)) execution.step(leg.cpu);
    if (leg.until !== undefined && !reached()) {
      const where = execution.running[leg.cpu].callers().join(' > ');
      throw new Error(`cpu ${leg.cpu} stops in ${where}, before ${leg.until.within.join(' > ')}`);
    }
  }
  for (let cpu = 0; cpu < 2; cpu = canGo(execution, 0) ? 0 : cpu + 1) {
    while (canGo(execution, cpu)) execution.step(cpu);
  }
  return execution.endFailures();
}

function canGo(execution: Execution, cpu: number): boolean {
  return execution.failure === undefined && execution.isEnabled(cpu);
}

/** Whether a CPU's pending operation is one in these functions, the last of them the innermost. */
function isAt(
  execution: Execution,
  cpu: number,
  { operation, within }: NonNullable<Leg['until']>,
): boolean {
  if (operationName(execution.cpuOf(cpu)) !== operation) return false;
  const callers = execution.running[cpu].callers();
  return callers.slice(-within.length).join() === within.join();
}
