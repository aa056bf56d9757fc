/**
 * A schedule that fails, with all that is needed to tell of it or to run it again: what the checker finds, and
 * the file in which it is kept. The file is JSON with a step on each line, so that two can be compared by diff.
 */
import { parseJsonFile, type JsonValue } from '../base/jsonFile.js';
import type { Thread } from '../engines/engine.js';
import { FAILURE_KINDS, type FailureKind } from '../engines/explore/search.js';
import type {
  Act,
  Change,
  Left,
  Pending,
  Schedule,
  ScheduleStep,
  Stuck,
} from '../engines/explore/schedule.js';
import { ARCH_NAMES, type ArchName } from '../hardware/arch/index.js';
import { OPERATION_NAMES } from '../hardware/operations.js';
import { lockedAtEnd, type Held } from './locks.js';

const VERSION = 1;

export interface CounterexampleThread {
  readonly cpu: number;
  readonly program: string;
  /** The task that it ran last, such as `task[1]`. */
  readonly task?: string;
}

/** A thread that cannot go, where no thread can. */
export interface WaitingThread extends Stuck {
  /** What it holds meanwhile. */
  readonly holds: readonly Omit<Held, 'thread'>[];
}

export interface Counterexample {
  readonly minorfault: 'counterexample';
  readonly version: typeof VERSION;
  readonly scenario: string;
  readonly case: string;
  readonly arch: ArchName;
  readonly design: string;
  readonly cpus: number;
  readonly kind: FailureKind;
  readonly failures: readonly string[];
  /** Switches away from a thread that could have gone on. */
  readonly preemptions: number;
  /** Whether it is proven that no schedule with fewer fails. */
  readonly fewest: boolean;
  /** In the order in which the steps number them. */
  readonly threads: readonly CounterexampleThread[];
  readonly steps: readonly ScheduleStep[];
  /** Those that wait for each other: a deadlock. */
  readonly waiting: readonly WaitingThread[];
}

/** What the schedule itself does not tell. */
export type Finding = Pick<
  Counterexample,
  'scenario' | 'case' | 'arch' | 'design' | 'cpus' | 'kind' | 'failures' | 'fewest'
> & { readonly threads: readonly Thread[] };

export function counterexampleOf(finding: Finding, schedule: Schedule): Counterexample {
  const { steps, stuck } = schedule;
  const locks = lockedAtEnd(steps);
  return {
    minorfault: 'counterexample',
    version: VERSION,
    scenario: finding.scenario,
    case: finding.case,
    arch: finding.arch,
    design: finding.design,
    cpus: finding.cpus,
    kind: finding.kind,
    failures: finding.failures,
    preemptions: steps.filter(({ left }) => left?.state === 'preempted').length,
    fewest: finding.fewest,
    threads: schedule.threads.map((thread, index) => ({
      ...thread,
      program: finding.threads[index].program,
    })),
    steps,
    waiting: stuck.map((thread) => ({
      ...thread,
      holds: locks.heldBy(thread.thread).map(({ word, operation, since, ...held }) => ({
        word,
        operation,
        since,
        function: held.function,
      })),
    })),
  };
}

/** The file's text. */
export function formatCounterexample(counterexample: Counterexample): string {
  const fields = Object.entries(counterexample).map(([name, value]) => {
    const perLine = ['threads', 'steps', 'waiting'].includes(name);
    const items = perLine ? (value as readonly unknown[]) : [];
    const text =
      items.length === 0
        ? JSON.stringify(value)
        : `[\n${items.map((item) => `    ${JSON.stringify(item)}`).join(',\n')}\n  ]`;
    return `  ${JSON.stringify(name)}: ${text}`;
  });
  return `{\n${fields.join(',\n')}\n}\n`;
}

/**
 * @param file - its name, for messages
 * @throws InputError when the text is none
 */
export function parseCounterexample(text: string, file: string): Counterexample {
  const root = parseJsonFile(text, file, 'COUNTEREXAMPLE_FORMAT');
  root.field('minorfault').choice(['counterexample']);
  const version = root.field('version');
  if (version.count(1) !== VERSION) version.fail(`${VERSION}`, 'COUNTEREXAMPLE_VERSION');
  const threads = root.field('threads').list(readThread);
  const steps = root.field('steps').list((step) => readStep(step, threads));
  return {
    minorfault: 'counterexample',
    version: VERSION,
    scenario: root.field('scenario').text(),
    case: root.field('case').text(),
    arch: root.field('arch').choice(ARCH_NAMES),
    design: root.field('design').text(),
    cpus: root.field('cpus').count(1),
    kind: root.field('kind').choice(FAILURE_KINDS),
    failures: root.field('failures').list((failure) => failure.text()),
    preemptions: root.field('preemptions').count(0),
    fewest: root.field('fewest').flag(),
    threads,
    steps,
    waiting: root.field('waiting').list((thread) => readWaiting(thread, threads, steps.length)),
  };
}

function readThread(value: JsonValue): CounterexampleThread {
  const task = value.field('task').optional((name) => name.text());
  return {
    cpu: value.field('cpu').count(0),
    ...(task === undefined ? {} : { task }),
    program: value.field('program').text(),
  };
}

/** Which of the threads it is of, whose CPU it must name too. */
function readPlace(
  value: JsonValue,
  threads: readonly CounterexampleThread[],
): Pick<ScheduleStep, 'thread' | 'cpu'> {
  const thread = value.field('thread').count(0, threads.length - 1);
  return { thread, cpu: value.field('cpu').choice([threads[thread].cpu]) };
}

function readAct(value: JsonValue): Act {
  const callers = value.field('callers').list((name) => name.text());
  return {
    operation: value.field('operation').choice(OPERATION_NAMES),
    operands: value.field('operands').list((operand) => operand.number()),
    word: value.field('word').text(),
    function: value.field('function').choice([callers.at(-1) ?? '']),
    callers,
  };
}

function readPending(value: JsonValue): Pending {
  return { ...readAct(value), value: value.field('value').number() };
}

function readChange(value: JsonValue): Change {
  return { before: value.field('before').number(), after: value.field('after').number() };
}

function readStep(value: JsonValue, threads: readonly CounterexampleThread[]): ScheduleStep {
  const high = value.field('high').optional(readChange);
  const source = value.field('source').optional((name) => name.text());
  const left = value.field('left').optional((previous) => readLeft(previous, threads));
  return {
    ...readPlace(value, threads),
    ...readAct(value),
    ...readChange(value),
    ...(high === undefined ? {} : { high }),
    ...(source === undefined ? {} : { source }),
    shared: value.field('shared').flag(),
    ...(left === undefined ? {} : { left }),
  };
}

function readLeft(value: JsonValue, threads: readonly CounterexampleThread[]): Left {
  const thread = value.field('thread').count(0, threads.length - 1);
  const state = value.field('state').choice(['preempted', 'waiting', 'ended']);
  if (state === 'ended') return { thread, state };
  return { thread, state, pending: readPending(value.field('pending')) };
}

function readWaiting(
  value: JsonValue,
  threads: readonly CounterexampleThread[],
  steps: number,
): WaitingThread {
  return {
    ...readPlace(value, threads),
    ...readPending(value),
    holds: value.field('holds').list((held) => ({
      word: held.field('word').text(),
      operation: held.field('operation').choice(OPERATION_NAMES),
      since: held.field('since').count(0, steps - 1),
      function: held.field('function').text(),
    })),
  };
}
