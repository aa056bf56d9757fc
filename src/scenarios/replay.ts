/**
 * Runs a counterexample again: the same steps of the same threads, on the VM as it is now. Where that has changed
 * since, it says where the two part, and goes on from turn to turn: each thread goes until it has done what it did
 * last in its turn.
 */
import { InputError } from '../base/errors.js';
import { designNamed } from '../designs/index.js';
import type { Execution } from '../engines/explore/execution.js';
import { scheduleOf, type ScheduleStep } from '../engines/explore/schedule.js';
import type { FailureKind } from '../engines/explore/search.js';
import { Walk } from '../engines/explore/walk.js';
import { operationName } from '../engines/stepping.js';
import { prepareCase } from './check.js';
import { onArch } from './checkTask.js';
import { counterexampleOf, type Counterexample } from './counterexample.js';
import { scenarioNamed } from './index.js';
import type { ScenarioCase } from './scenario.js';

export interface Replay {
  /** `same`: it fails in the same way; `other`: in another; `passes`: it does not fail any more. */
  readonly outcome: 'same' | 'other' | 'passes';
  readonly failures: readonly string[];
  /** Where it first did something else than was recorded. */
  readonly divergence?: Divergence;
  /** What happened now, where something fails. */
  readonly counterexample?: Counterexample;
}

export interface Divergence {
  /** Counted from 1, in the recorded schedule. */
  readonly step: number;
  readonly expected: string;
  readonly got: string;
}

/** How many times as many steps a turn may take as it did before something was changed. */
const PATIENCE = 4;
const MORE_STEPS = 200;

/** @throws InputError when there is no such scenario, case or design */
export async function replayCounterexample(recorded: Counterexample): Promise<Replay> {
  const scenario = onArch(scenarioNamed(recorded.scenario), recorded.arch);
  const scenarioCase = caseNamed(scenario.cases, recorded);
  const design = designNamed(recorded.design);
  const prepared = await prepareCase(scenario, scenarioCase, design, recorded.cpus);
  // Threads that the failure could do without are not in the file.
  const threads = prepared.threads.filter(({ cpu, program }) => {
    return recorded.threads.some((thread) => thread.cpu === cpu && thread.program === program);
  });
  if (threads.length !== recorded.threads.length) {
    const has = prepared.threads.map(({ cpu, program }) => `${program} on cpu ${cpu}`).join(', ');
    throw new InputError('REPLAY_THREADS', `the case has other threads than the file: ${has}`);
  }
  const execution = prepared.engine.execution(threads, prepared.execution.check);
  const { failures, kind, schedule } = follow(execution, recorded);
  const { scenario: name, case: of, arch, design: under, cpus } = recorded;
  const now = scheduleOf(execution, schedule);
  const counterexample = counterexampleOf(
    { scenario: name, case: of, arch, design: under, cpus, kind, failures, fewest: false, threads },
    now,
  );
  const divergence = divergenceOf(recorded.steps, now.steps);
  const parted = divergence === undefined ? {} : { divergence };
  if (failures.length === 0) return { outcome: 'passes', failures, ...parted };
  return {
    outcome: kind === recorded.kind ? 'same' : 'other',
    failures,
    ...parted,
    counterexample,
  };
}

function caseNamed(
  cases: readonly ScenarioCase[],
  { scenario, case: name }: Counterexample,
): ScenarioCase {
  const found = cases.find((candidate) => candidate.name === name);
  if (found !== undefined) return found;
  const known = cases.map((candidate) => `"${candidate.name}"`).join(', ');
  throw new InputError('CASE_UNKNOWN', `${scenario} has no case "${name}"; it has ${known}`);
}

interface Followed {
  readonly failures: readonly string[];
  readonly kind: FailureKind;
  readonly schedule: readonly number[];
}

function follow(execution: Execution, { steps, kind }: Counterexample): Followed {
  const walk = new Walk(execution, {
    watchesRaces: kind === 'data race',
    // One without an end was found by taking so many.
    maxSteps: kind === 'livelock' ? steps.length : undefined,
  });
  for (const { thread, acts } of turnsOf(steps)) {
    const last = acts.at(-1)!;
    let left = acts.filter((act) => act === last).length;
    const patience = PATIENCE * acts.length + MORE_STEPS;
    for (let taken = 0; left > 0 && taken < patience; taken++) {
      const act = nextOf(execution, thread);
      if (!walk.step(thread)) break;
      if (act === last) left--;
    }
  }
  const threads = [...execution.running.keys()];
  while (threads.some((thread) => walk.step(thread)));
  const failures = walk.failures();
  return { failures, kind: execution.failureKind, schedule: execution.path() };
}

/** What a thread is about to do, as far as an edit elsewhere leaves it the same. */
function nextOf(execution: Execution, thread: number): string {
  const { cpu } = execution.running[thread];
  return `${execution.running[thread].callers().at(-1) ?? ''}: ${operationName(cpu)}`;
}

interface Turn {
  readonly thread: number;
  /** What it did, without the words. */
  readonly acts: readonly string[];
}

function turnsOf(steps: readonly ScheduleStep[]): Turn[] {
  const turns: { thread: number; acts: string[] }[] = [];
  for (const step of steps) {
    const act = `${step.function}: ${step.operation}`;
    if (turns.at(-1)?.thread === step.thread) turns.at(-1)!.acts.push(act);
    else turns.push({ thread: step.thread, acts: [act] });
  }
  return turns;
}

/** The first step that is not as recorded. */
function divergenceOf(
  recorded: readonly ScheduleStep[],
  now: readonly ScheduleStep[],
): Divergence | undefined {
  for (let at = 0; at < Math.max(recorded.length, now.length); at++) {
    const [expected, got] = [inWords(recorded.at(at)), inWords(now.at(at))];
    if (expected !== got) return { step: at + 1, expected, got };
  }
  return undefined;
}

function inWords(step: ScheduleStep | undefined): string {
  if (step === undefined) return 'nothing';
  return `cpu ${step.cpu} in ${step.function}: ${step.operation} ${step.word}`;
}
