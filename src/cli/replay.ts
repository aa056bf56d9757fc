import { Option, type Command } from 'commander';
import { InputError } from '../base/errors.js';
import { MIB } from '../base/units.js';
import { DEFAULT_DESIGNS } from '../designs/index.js';
import type { VmDesign } from '../mm/design.js';
import { MAX_SWAP_BYTES } from '../engines/configuration.js';
import { MACHINES, type SimulatedMachine } from '../engines/simulate/machine.js';
import type { Prediction } from '../measure/predictReplay.js';
import { FAULT_KINDS, type FaultKind } from '../traces/faultKinds.js';
import type { Pressure } from '../traces/replay.js';
import {
  replayFile,
  type ReplayOptions,
  type PrefaultReport,
  type PrefaultTotals,
  type ProcessReport,
  type ReplayReport,
} from '../traces/replayFile.js';
import { parseCounts, parseDesigns, parseSize, parseSizeOrNone, valueOption } from './arguments.js';
import { count, formatTable, print, printJson } from './output.js';
import { progressBar } from './progress.js';
import {
  DEFAULT_MEMORY,
  DEFAULT_MEMORY_BYTES,
  TRACE_MACHINE,
  checkPredictable,
  predict,
  printPredictions,
} from './replayPrediction.js';

interface ReplayCommandOptions {
  readonly design: VmDesign[];
  readonly truth: string[];
  readonly memory?: number;
  readonly swap?: number;
  readonly host?: number;
  readonly allowLost?: true;
  readonly partial?: true;
  readonly cpus?: number[];
  readonly machine: SimulatedMachine;
  readonly json?: true;
}

/** Of the machines that traces are replayed on, in bytes. */
const PAGE_SIZE = 4096;
/** The swap file that goes with a limit on memory. */
const SWAP_PER_MEMORY = 4;

const HELP = `
A fault is explained when our MMU traps on the same access with the same error code, and our VM then
handles it. Under a design with prefault a recorded fault whose page was mapped ahead is avoided.
Exit code: 0 all faults explained or avoided, and all else equal, 1 something differs, 2 bad input.
With --cpus, the faults of all threads are taken again on a simulated machine: time in the fault path only.
docs/traces.md tells how to record a trace and what a replay can and cannot know.`;

export function addReplayCommand(program: Command): void {
  program
    .command('replay')
    .description('replay recorded page faults of a real program, beside what the kernel counted')
    .argument('<trace...>', 'output of perf script, plain or gzipped')
    .addOption(
      valueOption(
        '--design <names>',
        'designs side by side, with commas',
        parseDesigns,
        DEFAULT_DESIGNS,
      ),
    )
    .addOption(
      new Option('--truth <file>', "the kernel's own counts; once for each trace, in order")
        .argParser(collect)
        .default([], 'none'),
    )
    .addOption(
      valueOption(
        '--memory <size>',
        `physical memory of the machine (default: ${DEFAULT_MEMORY})`,
        parseSize,
      ),
    )
    .addOption(
      valueOption(
        '--swap <size>',
        `swap file; 0 is none (default: ${SWAP_PER_MEMORY} times --memory if that is given, or none)`,
        parseSizeOrNone,
      ),
    )
    .addOption(
      valueOption(
        '--host <percent>',
        'a host takes so much of the memory where the design lets it (default: nothing)',
        parseShare,
      ),
    )
    .option('--allow-lost', 'replay a trace that lost records')
    .option('--partial', 'replay a trace that ends too early')
    .addOption(
      new Option(
        '--cpus <list>',
        'predict the time in the fault path on so many CPUs, with commas',
      ).argParser(parseCounts),
    )
    .addOption(
      valueOption(
        '--machine <name>',
        'of that prediction: one of `minorfault machines`, or a file',
        (given) => MACHINES.from(given),
        TRACE_MACHINE,
      ),
    )
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(async (traces: string[], options: ReplayCommandOptions) => {
      const { cpus, machine, json } = options;
      if (cpus !== undefined) checkPredictable(machine, cpus);
      const reports = await replayAll(traces, options);
      const predictions = cpus === undefined ? [] : await predictAll(traces, { ...options, cpus });
      if (!json) {
        printReports(reports);
        printPredictions(predictions);
      } else if (cpus === undefined) {
        printJson(reports);
      } else {
        printJson({ reports, predictions });
      }
      if (!reports.every(agrees)) process.exitCode = 1;
    });
}

/** "25" or "25%" as a share. */
function parseShare(text: string): number {
  const percent = Number(text.replace(/ *%$/, ''));
  if (percent > 0 && percent <= 100) return percent / 100;
  throw new InputError('OPTION', `got "${text}", expected a percentage of more than 0, up to 100`);
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

async function replayAll(
  traces: readonly string[],
  options: ReplayCommandOptions,
): Promise<ReplayReport[]> {
  if (options.truth.length > 0 && options.truth.length !== traces.length) {
    throw new InputError(
      'OPTION',
      `got ${options.truth.length} --truth for ${traces.length} traces, expected one for each or none`,
    );
  }
  if (options.host !== undefined && options.design.every(({ hinting }) => hinting === undefined)) {
    throw new InputError('OPTION', '--host: no design lets a host take anything; hinting does');
  }
  const reports: ReplayReport[] = [];
  for (const [index, trace] of traces.entries()) {
    const bar = progressBar(`${trace} {bar} {percentage}% {eta_formatted} left`, 100);
    try {
      reports.push(
        ...(await replayFile(trace, {
          ...replayOptions(options, index),
          designs: options.design,
          progress: (share) => bar.update(Math.floor(share * 100)),
        })),
      );
    } finally {
      bar.stop();
    }
  }
  return reports;
}

/** How the trace of an index is replayed. */
function replayOptions(
  options: ReplayCommandOptions,
  index: number,
): Omit<ReplayOptions, 'designs' | 'progress'> {
  return {
    memoryBytes: options.memory ?? DEFAULT_MEMORY_BYTES,
    swapBytes: options.swap ?? swapFor(options.memory),
    hostShare: options.host,
    truthPath: options.truth[index],
    allowLost: options.allowLost === true,
    partial: options.partial === true,
  };
}

async function predictAll(
  traces: readonly string[],
  options: ReplayCommandOptions & { readonly cpus: readonly number[] },
): Promise<Prediction[]> {
  const { design, machine, cpus } = options;
  const designs = design.map(({ name }) => name);
  const predictions: Prediction[] = [];
  for (const [index, trace] of traces.entries()) {
    const setup = { ...replayOptions(options, index), trace, designs, machine, cpus };
    predictions.push(...(await predict(setup)));
  }
  return predictions;
}

/** The swap file where none is asked for. @param memory - as asked for, in bytes */
function swapFor(memory: number | undefined): number {
  return memory === undefined ? 0 : Math.min(SWAP_PER_MEMORY * memory, MAX_SWAP_BYTES);
}

/** Whether nothing that was compared differs: all faults are taken or avoided, and the tables are the kernel's. */
function agrees({ processes, stopped }: ReplayReport): boolean {
  return (
    stopped === undefined &&
    processes.every(
      ({ faults, exitPagemap }) => faults.unexplained === 0 && exitPagemap !== 'different',
    )
  );
}

function printReports(reports: readonly ReplayReport[]): void {
  for (const trace of new Set(reports.map((report) => report.trace))) {
    printTrace(
      trace,
      reports.filter((report) => report.trace === trace),
    );
  }
}

/** One that did not stop before the others, if there is one. */
function longest(reports: readonly ReplayReport[]): ReplayReport {
  return reports.find(({ stopped }) => stopped === undefined) ?? reports[0];
}

/** One trace: the kernel's column, then one for each design. */
function printTrace(trace: string, reports: readonly ReplayReport[]): void {
  const first = longest(reports);
  const limited = reports.some(({ pressure }) => pressure !== undefined);
  print(`${trace}: ${count(first.events)} events\n`);
  first.processes.forEach((process, index) => {
    print(`${process.comm} (pid ${process.pid})`);
    const ours = reports.map(({ processes }) => processes[index]);
    print(
      formatTable(
        ['', 'kernel', ...reports.map(({ design }) => design)],
        processRows(process, ours, limited),
      ),
    );
    print('');
  });
  print('the system, at the end');
  const rows = Object.keys(first.meminfo).map((label) => [
    label,
    ...reports.map(({ meminfo }) => count(meminfo[label])),
  ]);
  print(formatTable(['', ...reports.map(({ design }) => design)], rows));
  if (limited) printPressure(reports);
  printPrefault(reports);
  printHost(reports);
  for (const { note, times } of first.notes)
    print(`note: ${note}${times > 1 ? ` (${times} times)` : ''}`);
  for (const { design, stopped } of reports) {
    if (stopped !== undefined)
      print(`${design} stopped at ${trace}:${stopped.line}: ${stopped.what}`);
  }
  print('');
}

/** What prefault did in all processes, a design a line. */
function printPrefault(reports: readonly ReplayReport[]): void {
  const rows = reports.flatMap(({ design, prefault, stopped }) => {
    if (prefault === undefined) return [];
    const { recorded, taken, avoided, mapped, neverTouched, extraAtPeak } = prefault;
    return [
      [
        stopped === undefined ? design : `${design} (stopped)`,
        count(recorded),
        count(taken),
        countAndShare(avoided, recorded),
        count(mapped),
        countAndShare(neverTouched, mapped),
        `${count((extraAtPeak * PAGE_SIZE) / 1024)}`,
      ],
    ];
  });
  if (rows.length === 0) return;
  print('\nprefault, all processes');
  print(formatTable(PREFAULT_HEAD, rows));
  const designsOf = new Map<string, string[]>();
  for (const { design, prefault } of reports) {
    if (prefault === undefined) continue;
    const text = exactness(prefault);
    designsOf.set(text, [...(designsOf.get(text) ?? []), design]);
  }
  for (const [text, designs] of designsOf) print(`${designs.join(', ')}: ${text}`);
}

/** What a host got of each design, and what the guest paid for it. */
function printHost(reports: readonly ReplayReport[]): void {
  const rows = reports.flatMap(({ design, host, processes }) => {
    if (host === undefined) return [];
    const faults = processes.reduce((sum, { faults: { model } }) => sum + model, 0);
    return [
      [
        design,
        pagesAndSize(host.wanted),
        pagesAndSize(host.most),
        pagesAndSize(Math.round(host.average)),
        count(host.volatile),
        `${count(host.mapped)} by ${count(host.ptes)}`,
        count(host.discardFaults),
        count(host.discarded),
        count(host.allocations),
        count(host.changes),
        (faults === 0 ? 0 : host.changes / faults).toFixed(3),
      ],
    ];
  });
  if (rows.length === 0) return;
  print('\nthe host, in pages');
  print(formatTable(HOST_HEAD, rows));
}

const HOST_HEAD = [
  '',
  'wanted',
  'had, most',
  'on average',
  'volatile taken',
  'mapped, by ptes',
  'discard faults',
  'discarded',
  'told by the allocator',
  'told otherwise',
  'a fault',
];

const PREFAULT_HEAD = [
  '',
  'recorded faults',
  'taken',
  'avoided',
  'pages mapped ahead',
  'never touched',
  'most extra RSS at peak, kB',
];

function exactness({ inexact }: PrefaultTotals): string {
  return inexact.length === 0
    ? 'exact, for the recorded order of events'
    : `not exact: ${inexact.join('; ')} (docs/prefault.md)`;
}

/** "25 (12.5 %)" */
function countAndShare(part: number, whole: number): string {
  const percent = whole === 0 ? 0 : (100 * part) / whole;
  return `${count(part)} (${percent.toFixed(1)} %)`;
}

const PRESSURE_ROWS: readonly (readonly [label: string, of: keyof Pressure, pages: boolean])[] = [
  ['swap file', 'swap', true],
  ['major faults', 'majorFaults', false],
  ['swapped out (pswpout)', 'swappedOut', true],
  ['swapped in (pswpin)', 'swappedIn', true],
  ['read from files', 'fileRead', true],
  ['written to files (pgpgout)', 'fileWritten', true],
  ['looked at by reclaim (pgscan_direct)', 'scanned', true],
  ['reclaimed (pgsteal)', 'reclaimed', true],
  ['allocations that had to wait (allocstall)', 'allocationStalls', false],
  ['huge pages not to be had', 'hugeFallbacks', false],
];

function printPressure(reports: readonly ReplayReport[]): void {
  const rows = PRESSURE_ROWS.map(([label, of, pages]) => [
    label,
    ...reports.map(({ pressure }) => {
      const value = pressure?.[of] ?? 0;
      return pages ? pagesAndSize(value) : count(value);
    }),
  ]);
  print('\nmemory pressure, in pages');
  print(formatTable(['', ...reports.map(({ design }) => design)], rows));
}

function pagesAndSize(pages: number): string {
  return `${count(pages)} (${((pages * PAGE_SIZE) / MIB).toFixed(1)} MiB)`;
}

const KIND_LABELS: Readonly<Record<FaultKind, string>> = {
  anonRead: '  anonymous, read',
  anonWrite: '  anonymous, write',
  fileRead: '  file, read',
  fileWrite: '  file, write',
  writeProtect: '  write to a read-only page',
};

function processRows(
  process: ProcessReport,
  ours: readonly (ProcessReport | undefined)[],
  limited: boolean,
): string[][] {
  const known = ours.filter((report) => report !== undefined);
  const row = (
    label: string,
    kernel: number | string | null,
    cell: (of: ProcessReport) => number | string,
  ): string[] => [
    label,
    cellText(kernel),
    ...ours.map((report) => (report === undefined ? 'stopped' : cellText(cell(report)))),
  ];
  return [
    row('faults after exec', process.faults.kernel, ({ faults }) => faults.model),
    ...FAULT_KINDS.map((kind) =>
      row(
        KIND_LABELS[kind],
        process.faults.byKind[kind].kernel,
        ({ faults }) => faults.byKind[kind].model,
      ),
    ),
    row('  unexplained', '', ({ faults }) => faults.unexplained),
    ...(limited || known.some(({ faults }) => faults.extra > 0)
      ? [row('faults that the kernel did not have', '', ({ faults }) => faults.extra)]
      : []),
    ...(limited ? [row('major faults of ours', '', ({ faults }) => faults.major)] : []),
    ...prefaultRows(known, (label, cell) =>
      row(label, '', ({ prefault, faults }) =>
        prefault === undefined ? '' : cell(prefault, faults),
      ),
    ),
    row('peak RSS, kB', process.rssPeakKb.kernel, ({ rssPeakKb }) => rssPeakKb.model),
    row(
      'page tables at exit, kB',
      process.pageTableKb.kernel,
      ({ pageTableKb }) => pageTableKb.model,
    ),
    row('pages mapped at exit', process.exitPages.kernel, ({ exitPages }) => exitPages.model),
    row('  page table at exit', '', pagemapCell),
    row('faults in all, by /proc', process.minflt.kernel, ({ minflt }) => minflt.trace),
  ];
}

/** Whether the tables are alike, but for what is mapped ahead. */
function pagemapCell({ exitPagemap, exitPages }: ProcessReport): string {
  const { mappedAhead } = exitPages;
  return mappedAhead === 0 ? exitPagemap : `${exitPagemap} + ${count(mappedAhead)} ahead`;
}

type PrefaultCell = (of: PrefaultReport, faults: ProcessReport['faults']) => number | string;

/** What prefault did, where a design has it; what is rare only where it happened. */
function prefaultRows(
  ours: readonly ProcessReport[],
  row: (label: string, cell: PrefaultCell) => string[],
): string[][] {
  const reports = ours.flatMap(({ prefault }) => prefault ?? []);
  if (reports.length === 0) return [];
  const whereAny = (
    label: string,
    of: keyof Omit<PrefaultReport, 'avoidedByKind'>,
    cell: PrefaultCell = (report) => report[of],
  ): string[][] => (reports.some((report) => report[of] > 0) ? [row(label, cell)] : []);
  const kilobytes = (pages: number): number => (pages * PAGE_SIZE) / 1024;
  return [
    row('faults avoided by prefault', (_, { avoided, kernel }) => countAndShare(avoided, kernel)),
    ...whereAny('  taken as a write to a read-only page', 'otherReason'),
    row('pages mapped ahead', ({ mapped }) => mapped),
    row('  never touched', ({ neverTouched, mapped }) => countAndShare(neverTouched, mapped)),
    ...whereAny('  inherited untouched by fork', 'inherited'),
    ...whereAny('    never touched', 'inherited', ({ inheritedNeverTouched, inherited }) =>
      countAndShare(inheritedNeverTouched, inherited),
    ),
    ...whereAny('written pages that read as zeros since', 'zeroed'),
    row('  extra RSS at peak, kB', ({ extraAtPeak }) => kilobytes(extraAtPeak)),
    row('  extra RSS at exit, kB', ({ extraAtExit }) => kilobytes(extraAtExit)),
  ];
}

function cellText(value: number | string | null): string {
  if (value === null) return 'unknown';
  return typeof value === 'number' ? count(value) : value;
}
