/** A schedule as a person reads it: who did what to which word, and where the CPUs took turns. */
import type { Word } from '../../base/units.js';
import { OPERATIONS, OPERATION_NAMES } from '../../hardware/operations.js';
import type { SteppedMachine } from '../stepping.js';
import type { Execution } from './execution.js';
import { Touches, depends, type Places } from './touches.js';

/** An operation on a word, by a function. */
export interface Act {
  readonly operation: string;
  /** What it is given beside the word: an expected and a new value, bits, a page. */
  readonly operands: readonly number[];
  readonly word: string;
  /** The function that does it, and those that called it with itself as the last, outermost first. */
  readonly function: string;
  readonly callers: readonly string[];
}

/** An operation that has not gone yet. */
export interface Pending extends Act {
  /** Of the word, at that time. */
  readonly value: number;
}

/** How the thread was left that went before a switch. */
export interface Left {
  readonly thread: number;
  readonly state: 'preempted' | 'waiting' | 'ended';
  /** What it would do next, unless it has ended. */
  readonly pending?: Pending;
}

/** The value of a word before and after a step. */
export interface Change {
  readonly before: number;
  readonly after: number;
}

export interface ScheduleStep extends Act, Change {
  /** By place among the threads. */
  readonly thread: number;
  readonly cpu: number;
  /** The second word of a table's entry that the operation handles as a whole. */
  readonly high?: Change;
  /** The first word of what it copies. */
  readonly source?: string;
  /** Whether the order of this step and some step of another thread can matter. */
  readonly shared: boolean;
  /** Of the first step of each turn but the first. */
  readonly left?: Left;
}

export interface ScheduledThread {
  readonly cpu: number;
  /** The task that it ran last, such as `task[1]`. */
  readonly task?: string;
}

/** A thread that waits where no thread can go. */
export interface Stuck extends Pending {
  readonly thread: number;
  readonly cpu: number;
}

export interface Schedule {
  readonly threads: readonly ScheduledThread[];
  readonly steps: readonly ScheduleStep[];
  readonly stuck: readonly Stuck[];
}

type UnnamedAct = Omit<Act, 'word'> & { readonly at: Word };
type UnnamedLeft = Omit<Left, 'pending'> & {
  readonly pending?: UnnamedAct & { readonly value: number };
};

interface UnnamedStep {
  readonly thread: number;
  readonly cpu: number;
  readonly act: UnnamedAct;
  readonly touches: Touches;
  readonly before: Values;
  readonly after: Values;
  readonly left: UnnamedLeft | undefined;
}

/** What a word is, the one after it, and the double that the two may be. */
interface Values {
  readonly first: number;
  readonly second: number;
  readonly wide: number;
}

/** Runs an execution by a schedule and writes down what happens. */
export function scheduleOf(execution: Execution, order: readonly number[]): Schedule {
  const { machine, running } = execution;
  const steps: UnnamedStep[] = [];
  execution.restart();
  const places = execution.places();
  const naming = new Naming(machine);
  const tasks: Word[] = running.map(({ cpu }) => cpu.current);
  let previous = order[0];
  for (const thread of order) {
    const { cpu } = running[thread];
    if (cpu.current !== 0) tasks[thread] = cpu.current;
    const left = previous === thread ? undefined : leftOf(execution, previous, places);
    const { touches, ...act } = actOf(execution, thread, places);
    const before = valuesAt(machine, act.at);
    execution.step(thread);
    const after = valuesAt(machine, act.at);
    steps.push({ thread, cpu: cpu.id, act, touches, before, after, left });
    previous = thread;
  }
  naming.learnTables();
  const shared = sharedSteps(steps);
  return {
    threads: running.map(({ cpu }, index) => ({ cpu: cpu.id, ...naming.task(tasks[index]) })),
    steps: steps.map((step) => namedStep(step, naming, shared.has(step))),
    stuck: stuckThreads(execution, naming, places),
  };
}

function valuesAt({ memory }: SteppedMachine, at: Word): Values {
  const { words, wides } = memory;
  return { first: words[at], second: words[at + 1], wide: wides[at >> 1] };
}

/** What a thread does next, and what that touches. */
function actOf(
  execution: Execution,
  thread: number,
  places: Places,
): UnnamedAct & { touches: Touches } {
  const running = execution.running[thread];
  const { op, y, z } = running.cpu;
  const operation = OPERATION_NAMES[op];
  // The record keeps what earlier operations left in the places that this one does not use.
  const operands = [y, z].slice(0, Math.max(0, OPERATIONS[operation].args - 1));
  const callers = running.callers();
  const touches = new Touches();
  places.of(running.cpu, touches);
  const at = places.wordOf(running.cpu);
  return { operation, operands, function: callers.at(-1) ?? '', callers, at, touches };
}

function leftOf(execution: Execution, thread: number, places: Places): UnnamedLeft {
  if (execution.ended[thread]) return { thread, state: 'ended' };
  const act = actOf(execution, thread, places);
  const { operation, operands, function: name, callers, at } = act;
  const value = execution.machine.memory.words[at];
  const state = execution.isEnabled(thread) ? 'preempted' : 'waiting';
  const pending = { operation, operands, function: name, callers, at, value };
  return { thread, state, pending };
}

/** Those steps whose order with one of another thread can matter. */
function sharedSteps(steps: readonly UnnamedStep[]): Set<UnnamedStep> {
  // Most steps are like others: each kind is compared once.
  const kinds = new Map<string, UnnamedStep[]>();
  for (const step of steps) {
    const { touches } = step;
    const kind = [step.thread, touches.count, ...touches.list()].join();
    const alike = kinds.get(kind);
    if (alike === undefined) kinds.set(kind, [step]);
    else alike.push(step);
  }
  const groups = [...kinds.values()];
  const isShared = ([{ thread, touches }]: readonly UnnamedStep[]): boolean =>
    groups.some(([other]) => other.thread !== thread && depends(touches, other.touches));
  return new Set(groups.filter(isShared).flat());
}

function stuckThreads(execution: Execution, naming: Naming, places: Places): Stuck[] {
  if (execution.failure !== undefined || execution.enabledMask() !== 0) return [];
  return execution.running.flatMap(({ cpu }, thread) => {
    const { pending } = leftOf(execution, thread, places);
    return pending === undefined ? [] : [{ thread, cpu: cpu.id, ...naming.act(pending) }];
  });
}

function namedStep(step: UnnamedStep, naming: Naming, shared: boolean): ScheduleStep {
  const { thread, cpu, act, before, after, left } = step;
  const copies = act.operation.startsWith('copyPage');
  return {
    thread,
    cpu,
    ...naming.act(act),
    ...changes(act, before, after, naming),
    ...(copies ? { source: naming.nameOf(act.operands[0]) } : {}),
    shared,
    ...(left === undefined ? {} : { left: namedLeft(left, naming) }),
  };
}

function namedLeft({ pending, ...left }: UnnamedLeft, naming: Naming): Left {
  return pending === undefined ? left : { ...left, pending: naming.act(pending) };
}

/** Two words are an entry of a table, or else a double. */
function changes(
  { operation, at }: UnnamedAct,
  before: Values,
  after: Values,
  naming: Naming,
): Change & { readonly high?: Change } {
  const first = { before: before.first, after: after.first };
  if (!operation.endsWith('Wide')) return first;
  if (!naming.isEntry(at)) return { before: before.wide, after: after.wide };
  return { ...first, high: { before: before.second, after: after.second } };
}

/** Names words, with those in frames that hold page tables named by their level. */
class Naming {
  private readonly tables: ReturnType<SteppedMachine['vm']['tableNames']>;

  constructor(private readonly machine: SteppedMachine) {
    this.tables = machine.vm.tableNames(machine.memory);
  }

  /** Adds the tables that there are now. */
  learnTables(): void {
    for (const [pfn, table] of this.machine.vm.tableNames(this.machine.memory)) {
      this.tables.set(pfn, table);
    }
  }

  /** Whether a word is in a frame that holds a page table. */
  isEntry(word: Word): boolean {
    return this.tables.has(this.machine.vm.wordPfn(word));
  }

  nameOf(word: Word): string {
    const { vm } = this.machine;
    const table = this.tables.get(vm.wordPfn(word));
    if (table === undefined) return vm.nameOf(word);
    const words = vm.wordsPerEntry(table.level);
    const offset = word - vm.frameOf(table.pfn);
    const half = offset % words === 1 ? '.high' : '';
    return `${table.name}[${table.pfn}][${Math.floor(offset / words)}]${half}`;
  }

  act<T extends { readonly at: Word }>({ at, ...act }: T): Omit<T, 'at'> & { word: string } {
    return { ...act, word: this.nameOf(at) };
  }

  /** @param task - its record; 0 is none */
  task(task: Word): Pick<ScheduledThread, 'task'> {
    return task === 0 ? {} : { task: this.nameOf(task).replace(/\..*$/, '') };
  }
}
