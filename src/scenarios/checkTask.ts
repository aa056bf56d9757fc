/** A case to be checked, by names: what a worker thread can be handed. */
import { designNamed } from '../designs/index.js';
import type { ArchName } from '../hardware/arch/index.js';
import { checkCase, type Budget, type Verdict } from './check.js';
import { scenarioNamed } from './index.js';
import type { Scenario } from './scenario.js';

export interface CheckTask {
  readonly scenario: string;
  readonly case: string;
  readonly design: string;
  readonly arch: ArchName;
  readonly cpus: number;
  readonly budget: Partial<Budget>;
}

export type TimedVerdict = Verdict & { readonly ms: number };

/** Where a worker finds `runCheckTask`. */
export const CHECK_TASKS = { url: import.meta.url, name: 'runCheckTask' };

/** @param workers - how many share the search of this one case */
export async function runCheckTask(
  task: CheckTask,
  report: (executions: number) => void,
  workers = 1,
): Promise<TimedVerdict> {
  const { arch, cpus, budget } = task;
  const scenario = onArch(scenarioNamed(task.scenario), arch);
  const scenarioCase = scenario.cases.find(({ name }) => name === task.case)!;
  const start = Date.now();
  const design = designNamed(task.design);
  const options = { cpus, workers, progress: report };
  const verdict = await checkCase(scenario, scenarioCase, design, budget, options);
  return { ...verdict, ms: Date.now() - start };
}

/** A scenario on another architecture than its own. */
export function onArch(scenario: Scenario, arch: ArchName): Scenario {
  return { ...scenario, machine: { ...scenario.machine, arch } };
}
