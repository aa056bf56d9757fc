/** A schedule as a person reads it: who did what to which word, and where the CPUs took turns. */
import type { Word } from '../../base/units.js';
import { OPERATION_CODE as CODE } from '../../hardware/operations.js';
import { operationName } from '../stepping.js';
import type { Execution } from './execution.js';
import { Places, READ, Touches } from './touches.js';

export interface ScheduleStep {
  /** By place among the threads. */
  readonly thread: number;
  readonly cpu: number;
  /** The function that does it, and those that called it, outermost first. */
  readonly function: string;
  readonly callers: readonly string[];
  readonly operation: string;
  readonly word: string;
  readonly before: number;
  readonly after: number;
  /** Whether another thread touches the word too, and one of them changes it. */
  readonly shared: boolean;
}

export interface Schedule {
  readonly threads: number;
  readonly steps: readonly ScheduleStep[];
}

/** Runs an execution by a schedule and writes down what happens. */
export function scheduleOf(execution: Execution, order: readonly number[]): Schedule {
  const { machine } = execution;
  const { words } = machine.memory;
  const touchedBy = new Map<Word, { threads: number; changed: boolean }>();
  const steps: (Omit<ScheduleStep, 'word' | 'shared'> & { at: Word })[] = [];
  const places = new Places(machine, { commute: true, manyThreads: false });
  const touches = new Touches();
  execution.restart();
  for (const thread of order) {
    const { cpu } = execution.running[thread];
    const callers = execution.running[thread].callers();
    places.of(cpu, touches);
    const at = touches.places[0];
    const seen = touchedBy.get(at) ?? { threads: 0, changed: false };
    touchedBy.set(at, {
      threads: seen.threads | (1 << thread),
      changed: seen.changed || (touches.how[0] & 3) !== READ,
    });
    const operation = operationName(cpu);
    const wide =
      cpu.op === CODE.loadWide || cpu.op === CODE.storeWide || cpu.op === CODE.readOnceWide;
    const value = (): number => (wide ? machine.memory.wides[at / 2] : words[at]);
    const before = value();
    execution.step(thread);
    steps.push({
      thread,
      cpu: cpu.id,
      function: callers.at(-1) ?? '',
      callers,
      operation,
      at,
      before,
      after: value(),
    });
  }
  const name = namer(execution);
  return {
    threads: execution.running.length,
    steps: steps.map(({ at, ...step }) => {
      const { threads, changed } = touchedBy.get(at)!;
      return { ...step, word: name(at), shared: changed && (threads & (threads - 1)) !== 0 };
    }),
  };
}

/** Names words, with those in frames that hold page tables named by their level. */
function namer({ machine }: Execution): (word: Word) => string {
  const { vm, memory } = machine;
  const tables = vm.tableNames(memory);
  return (word) => {
    const table = tables.get(vm.wordPfn(word));
    if (table === undefined) return vm.nameOf(word);
    const words = vm.wordsPerEntry(table.level);
    const offset = word - vm.frameOf(table.pfn);
    const half = offset % words === 1 ? '.high' : '';
    return `${table.name}[${table.pfn}][${Math.floor(offset / words)}]${half}`;
  };
}
