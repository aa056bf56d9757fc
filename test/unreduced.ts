/** The search that the reduced ones are measured by: it leaves nothing out. */
import type { Execution } from '../src/engines/explore/execution.js';
import { searchAll } from '../src/engines/explore/sourceSets.js';

/** Final states by their hashes, and deadlocks. */
export interface Found {
  readonly states: ReadonlySet<number>;
  readonly deadlocks: ReadonlySet<string>;
}

/** Every schedule there is. */
export function searchUnreduced(execution: Execution): Found {
  const deadlocks = new Set<string>();
  const choices: number[][] = [];
  execution.restart();
  for (;;) {
    for (let enabled = execution.enabledMask(); enabled !== 0; enabled = execution.enabledMask()) {
      const { depth } = execution;
      const threads = execution.running.map((_, thread) => thread);
      if (depth === choices.length) choices.push(threads.filter((at) => (enabled >> at) & 1));
      execution.step(choices[depth][0]);
    }
    for (const failure of execution.endFailures()) deadlocks.add(failure);
    while (choices.length > 0 && choices.at(-1)!.length === 1) choices.pop();
    if (choices.length === 0) return { states: execution.finalStates, deadlocks };
    choices.at(-1)!.shift();
    execution.goBack(choices.length - 1);
  }
}

/** One schedule of every class. @param commute - whether additions whose results are unused commute */
export function searchReduced(execution: Execution, commute: boolean): Found {
  const bounds = { executions: Infinity };
  const { failures } = searchAll(execution, bounds, undefined, { commute, goOn: true });
  return { states: execution.finalStates, deadlocks: new Set(failures) };
}
