/** Counterexamples for tests: found by the checker, and made by hand where no scenario has what is to be shown. */
import assert from 'node:assert/strict';
import { designNamed } from '../src/designs/index.js';
import type { ScheduleStep } from '../src/engines/explore/schedule.js';
import type { ArchName } from '../src/hardware/arch/index.js';
import { checkCase } from '../src/scenarios/check.js';
import { onArch } from '../src/scenarios/checkTask.js';
import type { Counterexample } from '../src/scenarios/counterexample.js';
import { firstFault } from '../src/scenarios/firstFault.js';
import { lockedAtEnd } from '../src/scenarios/locks.js';

const EXECUTIONS_MAX = 1000;

/** What two CPUs that touch one page do wrong under a design. */
export async function foundUnder(design: string, arch: ArchName = 'i386'): Promise<Counterexample> {
  const scenario = onArch(firstFault, arch);
  const [bothWrite] = scenario.cases;
  const verdict = await checkCase(scenario, bothWrite, designNamed(design), {
    executions: EXECUTIONS_MAX,
    seconds: Infinity,
  });
  assert.ok(verdict.counterexample !== undefined, `${design} on ${arch} does not fail`);
  return verdict.counterexample;
}

/** A step of a thread in a function: what is left out is as of a plain load. */
export type Made = Partial<ScheduleStep> & Pick<ScheduleStep, 'thread' | 'word'>;

/** A counterexample of these steps. @param more - fields that are to be otherwise */
export function made(steps: readonly Made[], more: Partial<Counterexample> = {}): Counterexample {
  const threads = Math.max(...steps.map(({ thread }) => thread)) + 1;
  return {
    minorfault: 'counterexample',
    version: 1,
    scenario: 'made',
    case: 'by hand',
    arch: 'i386',
    design: 'v18',
    cpus: threads,
    kind: 'audit',
    failures: ['something is wrong'],
    preemptions: 0,
    fewest: false,
    threads: Array.from({ length: threads }, (_, cpu) => ({ cpu, program: 'firstFault' })),
    steps: steps.map((step, index) => {
      const { before = 0, after = before, callers = ['firstFault'], thread } = step;
      const previous = steps[index - 1]?.thread ?? thread;
      const left = { thread: previous, state: 'ended' } as const;
      return {
        operation: 'load',
        operands: [],
        shared: true,
        ...(previous === thread ? {} : { left }),
        ...step,
        cpu: thread,
        function: callers.at(-1)!,
        callers,
        before,
        after,
      };
    }),
    waiting: [],
    ...more,
  };
}

/** Two locks that two CPUs take in different orders, each the other's last. */
export function deadlock(): Counterexample {
  const take = (thread: number, word: string): Made => ({
    thread,
    word,
    operation: 'spinLock',
    after: thread + 1,
    callers: ['firstFault', word === 'mm[0].pageTableLock' ? 'pteLock' : 'rmqueueBulk'],
  });
  const preempted = {
    operation: 'spinLock',
    operands: [],
    word: 'zone[0].lock',
    function: 'rmqueueBulk',
    callers: ['firstFault', 'rmqueueBulk'],
    value: 0,
  };
  const first = made([
    take(0, 'mm[0].pageTableLock'),
    {
      ...take(1, 'zone[0].lock'),
      left: { thread: 0, state: 'preempted', pending: preempted },
    },
  ]);
  const locks = lockedAtEnd(first.steps);
  const waits = (
    thread: number,
    word: string,
    value: number,
  ): Counterexample['waiting'][number] => ({
    thread,
    cpu: thread,
    operation: 'spinLock',
    operands: [],
    word,
    value,
    function: 'doAnonymousPage',
    callers: ['firstFault', 'doAnonymousPage'],
    holds: locks.heldBy(thread).map((held) => ({
      word: held.word,
      operation: held.operation,
      since: held.since,
      function: held.function,
    })),
  });
  return {
    ...first,
    kind: 'deadlock',
    failures: ['deadlock: cpu 0 waits', 'deadlock: cpu 1 waits'],
    preemptions: 1,
    waiting: [waits(0, 'zone[0].lock', 2), waits(1, 'mm[0].pageTableLock', 1)],
  };
}
