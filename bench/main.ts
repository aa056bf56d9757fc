/**
 * npm run bench: times the worker build's fault path in several processes and prints ratios, each of
 * two sides that ran in turn in the same processes. A median of medians; the spread is over processes.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatTable } from '../src/cli/output.js';

const PROCESSES = 5;
/** Touched in each round: 32 MiB, more than the caches near a core hold. */
const PAGES = 8192;
const HOST_ROUNDS = 15;

type Medians = Readonly<Record<string, number>>;

interface Ratio {
  readonly what: string;
  readonly of: (ns: Medians) => number;
  readonly unit: '×' | 'ns';
  readonly target: string;
}

const perSecond = (ns: Medians, name: string): number => 1 / ns[name];

const RATIOS: readonly Ratio[] = [
  {
    what: "write faults a second, 1 thread, against the host kernel's",
    of: (ns) => ns['host 1'] / ns['fault 1'],
    unit: '×',
    target: '≥ 3',
  },
  {
    what: "write faults a second, 2 threads, against the host kernel's",
    of: (ns) => ns['host 2'] / ns['fault 2'],
    unit: '×',
    target: '≥ 3',
  },
  {
    what: 'write faults, 1 thread, against only zeroing the frames',
    of: (ns) => ns['zero 1'] / ns['fault 1'],
    unit: '×',
    target: '≥ 0.6',
  },
  {
    what: 'write faults, 2 threads, against only zeroing the frames',
    of: (ns) => ns['zero 2'] / ns['fault 2'],
    unit: '×',
    target: '≥ 0.6',
  },
  {
    what: 'two workers against one',
    of: (ns) => perSecond(ns, 'fault 2') / perSecond(ns, 'fault 1'),
    unit: '×',
    target: '≥ 1.4',
  },
  {
    what: 'fault logic without zeroing, v18-per-thread, 1 worker',
    of: (ns) => ns['bare v18-per-thread 1'],
    unit: 'ns',
    target: '≤ 250',
  },
  {
    what: 'v18-per-thread against page-table-lock, 2 workers, no zeroing',
    of: (ns) => ns['bare page-table-lock 2'] / ns['bare v18-per-thread 2'],
    unit: '×',
    target: '≥ 1.5',
  },
  {
    what: 'v18-per-thread against page-table-lock, 1 worker, no zeroing',
    of: (ns) => ns['bare page-table-lock 1'] / ns['bare v18-per-thread 1'],
    unit: '×',
    target: '',
  },
  {
    what: 'stripped build against by hand (v18)',
    of: (ns) => ns['by hand 1'] / ns['stripped 1'],
    unit: '×',
    target: '≥ 0.8',
  },
  {
    what: 'stripped build against by hand (v18), no zeroing',
    of: (ns) => ns['bare by hand 1'] / ns['bare stripped 1'],
    unit: '×',
    target: '',
  },
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
  const ratios = RATIOS.map(({ what, of, unit, target }) => {
    const values = runs.map(of).filter((value) => Number.isFinite(value));
    if (values.length === 0) return [what, 'skipped: no C compiler', '', '', target];
    const show = (value: number): string => `${value.toFixed(unit === 'ns' ? 0 : 2)} ${unit}`;
    return [
      what,
      show(median(values)),
      show(Math.min(...values)),
      show(Math.max(...values)),
      target,
    ];
  });
  process.stdout.write(`${formatTable(['ratio', 'median', 'min', 'max', 'target'], ratios)}\n`);
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

/** The host's side and ours, in processes of their own, one after the other. */
function measure(hostProgram: string | undefined): Medians {
  const script = fileURLToPath(new URL('faultPath.js', import.meta.url));
  const ours = execFileSync(process.execPath, [script, String(PAGES)], { encoding: 'utf8' });
  return { ...hostFaults(hostProgram), ...(JSON.parse(ours) as Medians) };
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
