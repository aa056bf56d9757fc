/** Executions that take too many steps: whether they would end if every thread had its turn. */
import type { Execution } from './execution.js';

/** Steps of a turn, where threads take turns: what goes on for ever under one may end under another. */
const TURNS = [1, 2, 3, 7];

/**
 * Lets all threads take turns from here, in a few ways. The execution is where it was afterwards.
 *
 * @param maxSteps - of each way
 * @returns what goes on for ever, in words; nothing if all ways end
 */
export function findLivelock(execution: Execution, maxSteps: number): string | undefined {
  const { depth } = execution;
  for (const turn of TURNS) {
    const ends = takeTurns(execution, turn, depth + maxSteps);
    const where = ends ? '' : whatGoesOn(execution);
    execution.goBack(depth);
    if (!ends) return `no end within ${maxSteps} steps in turns of ${turn}: ${where}`;
  }
  return undefined;
}

/** @returns whether it came to an end */
function takeTurns(execution: Execution, turn: number, maxDepth: number): boolean {
  const threads = execution.running.length;
  for (let thread = 0; ; thread = (thread + 1) % threads) {
    if (execution.failure !== undefined || execution.enabledMask() === 0) return true;
    if (execution.depth >= maxDepth) return false;
    for (let step = 0; step < turn && execution.isEnabled(thread); step++) execution.step(thread);
  }
}

function whatGoesOn(execution: Execution): string {
  return execution.running
    .filter((_, thread) => !execution.ended[thread])
    .map((thread) => `cpu ${thread.cpu.id} in ${thread.callers().slice(-2).join(' > ')}`)
    .join(', ');
}
