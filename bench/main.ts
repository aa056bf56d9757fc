/**
 * npm run bench: times the worker build's fault path in several processes and prints ratios, each of
 * two sides that ran in turn in the same processes. A median of medians; the spread is over processes.
 * Then the rates of a replay.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { count, formatTable } from '../src/cli/output.js';
import type { Run } from './checker.js';
import type { SimulatorRun } from './simulator.js';
import { LOCKINGS } from './lockingNames.js';

const PROCESSES = 5;
/** Touched in each round: 4 MiB, more than the caches next to a core hold, less than the shared one. */
const PAGES = 1024;
const HOST_ROUNDS = 15;

type Medians = Readonly<Record<string, number>>;

interface Ratio {
  readonly what: string;
  readonly of: (ns: Medians) => number;
  /** What it should reach, or stay below. */
  readonly target?: string;
}

/** Wall time per page of one side over that of another. */
function faster(side: string, than: string): (ns: Medians) => number {
  return (ns) => ns[than] / ns[side];
}

const RATIOS: readonly Ratio[] = [
  {
    what: "write faults a second, 1 thread, against the host kernel's",
    of: faster('fault 1', 'host 1'),
    target: '≥ 3',
  },
  {
    what: "write faults a second, 2 threads, against the host kernel's",
    of: faster('fault 2', 'host 2'),
    target: '≥ 3',
  },
  {
    what: 'write faults, 1 thread, against zeroing the frames in JavaScript',
    of: faster('fault 1', 'zero in JavaScript 1'),
    target: '≥ 0.6',
  },
  {
    what: 'write faults, 2 threads, against zeroing the frames in JavaScript',
    of: faster('fault 2', 'zero in JavaScript 2'),
    target: '≥ 0.6',
  },
  {
    what: 'write faults, 1 thread, against zeroing the frames as the VM does',
    of: faster('fault 1', 'zero 1'),
  },
  { what: 'two workers against one', of: faster('fault 2', 'fault 1'), target: '≥ 1.4' },
  {
    what: 'v18-per-thread against page-table-lock, 2 workers, no zeroing',
    of: faster('bare v18-per-thread 2', 'bare page-table-lock 2'),
    target: '≥ 1.5',
  },
  {
    what: 'v18-per-thread against page-table-lock, 1 worker, no zeroing',
    of: faster('bare v18-per-thread 1', 'bare page-table-lock 1'),
  },
  {
    what: 'stripped build against by hand, v18',
    of: faster('stripped 1', 'by hand 1'),
    target: '≥ 0.8',
  },
  {
    what: 'stripped build against by hand, v18, no zeroing',
    of: faster('bare stripped 1', 'bare by hand 1'),
  },
  {
    what: 'time of a fault among 100,000 VMAs, in random order, against one among 10',
    of: faster('vmas 10', 'vmas 100000'),
    target: '< 1.5',
  },
];

const REPLAY_ROWS: readonly (readonly [key: string, what: string, goal: string])[] = [
  ['replay', 'perl, 200 times over: reading, parsing, VM, audit', '≥ 300'],
  ['parse', 'the same, reading and parsing only', ''],
  ['cold', 'perl once, in a new process', ''],
];

const temporary = mkdtempSync(join(tmpdir(), 'minorfault-bench-'));
try {
  const hostProgram = compileHostProgram();
  const runs = Array.from({ length: PROCESSES }, () => measure(hostProgram));
  const names = Object.keys(runs[0]);
  const rows = names.map((name) => {
    const values = runs.map((run) => run[name]);
    return [
      name,
      median(values).toFixed(0),
      Math.min(...values).toFixed(0),
      Math.max(...values).toFixed(0),
    ];
  });
  process.stdout.write(`${formatTable(['wall ns per page', 'median', 'min', 'max'], rows)}\n\n`);
  const ratios = RATIOS.map(({ what, of, target }) => {
    const goal = target ?? '';
    const values = runs.map(of).filter((value) => Number.isFinite(value));
    if (values.length === 0) return [what, 'skipped: no C compiler', '', '', goal];
    const show = (value: number): string => `${value.toFixed(2)} ×`;
    return [what, show(median(values)), show(Math.min(...values)), show(Math.max(...values)), goal];
  });
  const logic = median(runs.map((run) => run['bare v18-per-thread 1']));
  process.stdout.write(`${formatTable(['ratio', 'median', 'min', 'max', 'target'], ratios)}\n`);
  process.stdout.write(
    `\nfault logic, v18-per-thread, without zeroing: ${logic.toFixed(0)} ns (target ≤ 250)\n`,
  );
  process.stdout.write(`\n${lockingsTable()}\n`);
  process.stdout.write(`\n${replayTable()}\n`);
  process.stdout.write(`\n${checkerTable()}\n`);
  process.stdout.write(`\n${simulatorTable()}\n`);
  process.stdout.write(
    `\nMedians of ${PROCESSES} processes. The host is likely a virtual machine, whose faults are slow, and our ` +
      'VM has no trap:\nthe ratio to it says what the library costs its users, not that it is faster than Linux.\n',
  );
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

/** @returns the program, or undefined where there is no C compiler */
function compileHostProgram(): string | undefined {
  const source = fileURLToPath(new URL('../../bench/hostFault.c', import.meta.url));
  const program = join(temporary, 'hostFault');
  const { status } = spawnSync('cc', ['-O2', '-pthread', '-o', program, source]);
  return status === 0 ? program : undefined;
}

/** What the locks cost: each locking beside page-table-lock, one thread and two. */
function lockingsTable(): string {
  const script = fileURLToPath(new URL('lockings.js', import.meta.url));
  const runs = Array.from({ length: PROCESSES }, () => {
    const output = execFileSync(process.execPath, [script, String(PAGES)], { encoding: 'utf8' });
    return JSON.parse(output) as Medians;
  });
  const cell = (name: string, threads: number): string => {
    const ratios = runs.map((run) => run[`page-table-lock ${threads}`] / run[`${name} ${threads}`]);
    const [low, high] = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2));
    return `${median(ratios).toFixed(2)} × (${low} to ${high})`;
  };
  return formatTable(
    ['write faults a second against page-table-lock, no zeroing', '1 worker', '2 workers'],
    LOCKINGS.map((name) => [name, cell(name, 1), cell(name, 2)]),
  );
}

/** The checker's searches, one process each: they take seconds. */
function checkerTable(): string {
  const script = fileURLToPath(new URL('checker.js', import.meta.url));
  const rows = JSON.parse(execFileSync(process.execPath, [script], { encoding: 'utf8' })) as Run[];
  const head = ['search', 'executions', 'executions/s', 'steps/s', 'seconds', 'MB', 'target'];
  return formatTable(
    head,
    rows.map(({ what, executions, steps, seconds, megabytes, target }) => {
      const rates = [executions / seconds, steps / seconds].map((rate) => count(Math.round(rate)));
      return [what, count(executions), ...rates, seconds.toFixed(2), megabytes, target];
    }),
  );
}

/** What the simulator makes of a second: one process. */
function simulatorTable(): string {
  const script = fileURLToPath(new URL('simulator.js', import.meta.url));
  const output = execFileSync(process.execPath, [script], { encoding: 'utf8' });
  return formatTable(
    ['the page-fault test simulated, ia64', 'faults/s', 'target'],
    (JSON.parse(output) as SimulatorRun[]).map(({ what, rate, target }) => {
      const figure = rate < 1000 ? `${rate.toFixed(2)} ×` : count(Math.round(rate));
      return [what, figure, target];
    }),
  );
}

/** The host's side and ours, in processes of their own, one after the other. */
function measure(hostProgram: string | undefined): Medians {
  const script = fileURLToPath(new URL('faultPath.js', import.meta.url));
  const ours = execFileSync(process.execPath, [script, String(PAGES)], { encoding: 'utf8' });
  const many = fileURLToPath(new URL('manyVmas.js', import.meta.url));
  const vmas = execFileSync(process.execPath, [many], { encoding: 'utf8' });
  return {
    ...hostFaults(hostProgram),
    ...(JSON.parse(ours) as Medians),
    ...(JSON.parse(vmas) as Medians),
  };
}

/** Rates of a replay with one design, v18. */
function replayTable(): string {
  const script = fileURLToPath(new URL('replaySpeed.js', import.meta.url));
  const recording = (suffix: string): string =>
    fileURLToPath(new URL(`../../recordings/perl.${suffix}.gz`, import.meta.url));
  const args = [script, recording('trace'), recording('truth.json')];
  const runs = Array.from({ length: PROCESSES }, () => {
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Medians;
  });
  const rows = REPLAY_ROWS.map(([key, what, goal]) => {
    const values = runs.map((run) => run[key] / 1000);
    const figures = [median(values), Math.min(...values), Math.max(...values)];
    return [what, ...figures.map((value) => value.toFixed(0)), goal];
  });
  return formatTable(['replay, thousand events a second', 'median', 'min', 'max', 'target'], rows);
}

function hostFaults(program: string | undefined): Medians {
  if (program === undefined) return {};
  const run = (threads: number): number => {
    const args = [String(PAGES), String(threads), String(HOST_ROUNDS)];
    const output = execFileSync(program, args, { encoding: 'utf8' });
    return median(output.trim().split('\n').map(Number));
  };
  return { 'host 1': run(1), 'host 2': run(2) };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
