/** Replays a trace file under several designs at once, and compares each with the kernel. */
import { InputError } from '../base/errors.js';
import type { VmDesign } from '../mm/design.js';
import type { PageStateName } from '../mm/layout/percpu.js';
import { FAULT_KINDS, type FaultKind, type PrefaultTally } from './faultKinds.js';
import { readLines } from './lines.js';
import type { PrefaultAtExit } from './mappedAhead.js';
import { PerfScriptParser, type TraceEvent } from './perfScript.js';
import {
  Replay,
  type ReplayMachine,
  type FinishedProcess,
  type Pressure,
  type Stopped,
} from './replay.js';
import type { HostTotals } from './replayedHost.js';
import { compareExit, type ExitComparison } from './exitComparison.js';
import { readTruth, type Truth } from './truth.js';

/** How a trace file is read. */
export interface ReadOptions {
  /** Whether a trace with lost records is replayed all the same. */
  readonly allowLost: boolean;
  /** Whether a trace that ends before its processes do is replayed all the same. */
  readonly partial: boolean;
  /** Called now and then with the share of the file that is done, 0 to 1. */
  readonly progress?: (share: number) => void;
}

/** What a trace is replayed on, and with. */
export interface ReplayOptions extends ReadOptions {
  readonly designs: readonly VmDesign[];
  /** Physical memory, in bytes. */
  readonly memoryBytes: number;
  /** Size of the swap file, in bytes; none if left out. */
  readonly swapBytes?: number | undefined;
  /** What a host wants of the memory, under designs with hinting: 0 to 1; nothing if left out. */
  readonly hostShare?: number | undefined;
  readonly truthPath: string | undefined;
}

interface Pair {
  readonly kernel: number;
  readonly model: number;
}

export interface ProcessReport extends ExitComparison {
  readonly pid: number;
  readonly comm: string;
  readonly faults: {
    /** Faults that the kernel handled after exec. */
    readonly kernel: number;
    /** Of those, the ones on which our MMU trapped with the same error code, or for prefault's sake with another. */
    readonly model: number;
    /** Of those, the ones that prefault spares. kernel = model + avoided + unexplained. */
    readonly avoided: number;
    readonly unexplained: number;
    /** Faults of ours that read from a device. */
    readonly major: number;
    /** Faults that the kernel did not have, for pages that reclaim took or for want of a warm cache. */
    readonly extra: number;
    readonly byKind: Readonly<Record<FaultKind, Pair>>;
  };
  /** Where the design has prefault. */
  readonly prefault?: PrefaultReport | undefined;
  readonly rssPeakKb: Pair;
  /** Page-table pages of all levels but the top, at exit; the kernel's from the truth. */
  readonly pageTableKb: { readonly kernel: number | null; readonly model: number };
}

/** What prefault did for a process, in pages if not said otherwise. docs/prefault.md. */
export interface PrefaultReport {
  /** Recorded faults that are not taken. */
  readonly avoidedByKind: Readonly<Record<FaultKind, number>>;
  /** Faults that are taken as a write to a page that was mapped ahead read-only. */
  readonly otherReason: number;
  readonly mapped: number;
  readonly neverTouched: number;
  /** The same of pages that a parent had mapped ahead when it forked. */
  readonly inherited: number;
  readonly inheritedNeverTouched: number;
  /** Memory that the process has more than without prefault: at exit, and at its peak. */
  readonly extraAtExit: number;
  readonly extraAtPeak: number;
  /** Pages with contents that read as zeros since: prefault as posted may do that. */
  readonly zeroed: number;
}

/** The same for all processes of a trace. */
export interface PrefaultTotals {
  /** recorded = taken + avoided + unexplained. */
  readonly recorded: number;
  readonly taken: number;
  readonly avoided: number;
  readonly mapped: number;
  readonly neverTouched: number;
  /** The most that any process had at its peak. */
  readonly extraAtPeak: number;
  readonly zeroed: number;
  /** Why these figures may be wrong; empty where they are exact for the recorded order of events. */
  readonly inexact: readonly string[];
}

export interface ReplayReport {
  readonly trace: string;
  readonly design: string;
  readonly events: number;
  readonly processes: readonly ProcessReport[];
  /** As V18 prints them in /proc/meminfo, and our system's own counts. */
  readonly meminfo: Readonly<Record<string, number>>;
  /** What memory pressure did, where memory ran short or there is swap. */
  readonly pressure?: Pressure | undefined;
  readonly prefault?: PrefaultTotals | undefined;
  /** What a host took, where one wanted something. */
  readonly host?: HostTotals | undefined;
  /** Where and why the replay of a design that is known to be broken ended. */
  readonly stopped?: Stopped | undefined;
  readonly notes: readonly { readonly note: string; readonly times: number }[];
}

const PAGE_KB = 4;

/** What a reader must know of a replay whose memory ran short. */
const RAN_SHORT = [
  'memory ran short: touches of pages that the kernel had in memory are not in the trace, so major faults and ' +
    'swap traffic are lower bounds',
  'memory ran short: page tables at exit are compared by their anonymous pages, those in swap with them',
];

/** The same where a host took frames. */
const HOST_TOOK =
  'a host took frames: touches of pages that were mapped are not in the trace, so discard faults and what is read again ' +
  'are lower bounds';

/** @returns a report for each design, in order */
export async function replayFile(path: string, options: ReplayOptions): Promise<ReplayReport[]> {
  const truth = options.truthPath === undefined ? undefined : await readTruth(options.truthPath);
  const machine = replayMachine(options);
  const replays = await Promise.all(
    options.designs.map((design) => Replay.create(design, machine, truth)),
  );
  await feedAll(path, replays, options);
  return replays.map((replay) => report(path, replay, truth));
}

/** The machine that is asked for. */
export function replayMachine({
  memoryBytes,
  swapBytes = 0,
  hostShare,
}: Pick<ReplayOptions, 'memoryBytes' | 'swapBytes' | 'hostShare'>): ReplayMachine {
  return { frames: pagesIn(memoryBytes), swapPages: pagesIn(swapBytes), hostShare };
}

function pagesIn(bytes: number): number {
  return Math.floor(bytes / 1024 / PAGE_KB);
}

/** What else is done at an event, once the replays have it. @param timeNs - when it was recorded */
export type AtEvent = (event: TraceEvent, file: string, line: number, timeNs: number) => void;

/** Reads a trace, and feeds it to replays, to the end. */
export async function feedAll(
  path: string,
  replays: readonly Replay[],
  options: ReadOptions,
  atEvent?: AtEvent,
): Promise<void> {
  const parser = new PerfScriptParser(path);
  let line = 0;
  let events = 0;
  for await (const batch of readLines(path)) {
    const { ends, firstLine, bytesRead, bytesTotal } = batch;
    let start = 0;
    for (let i = 0; i < ends.length; i++) {
      line = firstLine + i;
      const event = parser.parse(batch, start, ends[i], line);
      start = ends[i] + 1;
      if (event === undefined) continue;
      events++;
      if (event.kind === 'lost' && !options.allowLost) {
        throw new InputError(
          'TRACE_LOST',
          'the recording lost events here, so faults and calls are missing; record again with a ' +
            'larger buffer (perf record -m), or replay it all the same with --allow-lost',
          { file: path, line },
        );
      }
      for (const replay of replays) replay.feed(event, path, line);
      atEvent?.(event, path, line, parser.timeNs);
    }
    options.progress?.(bytesRead / bytesTotal);
  }
  if (events === 0) {
    throw new InputError('TRACE_EMPTY', 'holds no event that can be replayed; see docs/traces.md', {
      file: path,
    });
  }
  for (const replay of replays) {
    const unfinished = replay.stopped === undefined ? replay.unfinished() : [];
    if (unfinished.length > 0 && !options.partial) {
      throw new InputError(
        'TRACE_CUT',
        `the trace ends before process ${unfinished.join(', ')} does: it is cut off, or the recording ` +
          'was stopped; replay what there is with --partial',
        { file: path, line },
      );
    }
    replay.close();
    if (replay.finished.length === 0 && replay.stopped === undefined) {
      throw new InputError(
        'TRACE_NO_EXEC',
        'no process in the trace execs a program; record with perf record ... -- PROGRAM',
        { file: path },
      );
    }
  }
}

function report(path: string, replay: Replay, truth: Truth | undefined): ReplayReport {
  const processes = replay.finished.map((process) => processReport(process, truth));
  return {
    trace: path,
    design: replay.design.name,
    events: replay.eventCount,
    processes,
    meminfo: meminfo(replay),
    pressure: replay.pressure(),
    prefault:
      replay.design.prefault === undefined ? undefined : prefaultTotals(replay, processes, truth),
    host: replay.hostTotals(),
    stopped: replay.stopped,
    notes: [
      ...[...replay.notes].map(([note, times]) => ({ note, times })),
      ...(replay.hostTotals() === undefined ? [] : [{ note: HOST_TOOK, times: 1 }]),
      ...(replay.ranShort ? RAN_SHORT.map((note) => ({ note, times: 1 })) : []),
    ],
  };
}

function processReport(process: FinishedProcess, truth: Truth | undefined): ProcessReport {
  const { tally, counts } = process;
  const byKind = FAULT_KINDS.map((kind): [FaultKind, Pair] => [
    kind,
    { kernel: tally.kernelByKind[kind], model: tally.oursByKind[kind] },
  ]);
  const comparison = compareExit(process, truth);
  return {
    pid: process.pid,
    comm: process.comm,
    faults: {
      kernel: tally.kernel,
      model: tally.explained,
      avoided: tally.prefault.avoided,
      unexplained: tally.unexplained,
      major: tally.majors,
      extra: tally.extraFaults,
      byKind: Object.fromEntries(byKind) as Record<FaultKind, Pair>,
    },
    prefault: process.prefault && prefaultReport(tally.prefault, process.prefault),
    rssPeakKb: { kernel: process.kernelPeakBytes / 1024, model: counts.hiwaterRss * PAGE_KB },
    pageTableKb: { kernel: comparison.vmPteKb, model: (counts.tables - 1) * PAGE_KB },
    ...comparison,
  };
}

function prefaultReport(tally: PrefaultTally, atExit: PrefaultAtExit): PrefaultReport {
  return {
    avoidedByKind: tally.avoidedByKind,
    otherReason: tally.otherReason,
    mapped: tally.mapped,
    neverTouched: tally.mapped - tally.touched,
    inherited: tally.inherited,
    inheritedNeverTouched: tally.inherited - tally.inheritedTouched,
    extraAtExit: atExit.extraPages,
    extraAtPeak: atExit.extraAtPeakPages,
    zeroed: tally.zeroed,
  };
}

function prefaultTotals(
  replay: Replay,
  finished: readonly ProcessReport[],
  truth: Truth | undefined,
): PrefaultTotals {
  const running = replay.running.map((process) => processReport(process, truth));
  const processes = [...finished, ...running];
  const sum = sumOver(processes);
  return {
    recorded: sum(({ faults }) => faults.kernel),
    taken: sum(({ faults }) => faults.model),
    avoided: sum(({ faults }) => faults.avoided),
    mapped: sum(({ prefault }) => prefault!.mapped),
    neverTouched: sum(({ prefault }) => prefault!.neverTouched),
    extraAtPeak: Math.max(0, ...processes.map(({ prefault }) => prefault!.extraAtPeak)),
    zeroed: sum(({ prefault }) => prefault!.zeroed),
    inexact: whyInexact(replay, finished),
  };
}

/** Why pages may have been touched that no recorded fault tells of. */
function whyInexact(replay: Replay, processes: readonly ProcessReport[]): string[] {
  const sum = sumOver(processes);
  const missing = sum(({ minflt }) => Math.max(0, (minflt.kernel ?? 0) - minflt.trace));
  const unseen = sum(({ exitPages }) => exitPages.touchedUnseen);
  const reasons: readonly (readonly [boolean, string])[] = [
    [replay.stopped !== undefined, 'the replay stopped'],
    [replay.lostRecords, 'the recording lost events'],
    [replay.cutOff, 'the trace ends before its processes do'],
    [replay.ranShort, 'memory ran short'],
    [missing > 0, `the kernel counted ${missing} faults that are in no event`],
    [unseen > 0, `${unseen} pages never touched were mapped by the kernel at exit`],
  ];
  return reasons.flatMap(([holds, text]) => (holds ? [text] : []));
}

function sumOver(
  processes: readonly ProcessReport[],
): (of: (process: ProcessReport) => number) => number {
  return (of) => processes.reduce((total, process) => total + of(process), 0);
}

/** Names as V18 prints them (patch 3 of 4, fs/proc/proc_misc.c). */
const V18_LINES: readonly (readonly [string, PageStateName])[] = [
  ['Spurious page faults', 'spurious_page_faults'],
  ['cmpxchg fail flag update', 'cmpxchg_fail_flag_update'],
  ['cmpxchg fail COW reuse', 'cmpxchg_fail_flag_reuse'],
  ['cmpxchg fail anon read', 'cmpxchg_fail_anon_read'],
  ['cmpxchg fail anon write', 'cmpxchg_fail_anon_write'],
];

function meminfo(replay: Replay): Record<string, number> {
  const states = replay.pageStates();
  const { free, total } = replay.memoryPages();
  const lines: [string, number][] = [
    ['MemTotal kB', total * PAGE_KB],
    ['MemFree kB', free * PAGE_KB],
    ['PageTables kB', states.nr_page_table_pages * PAGE_KB],
    ...V18_LINES.map(([label, name]): [string, number] => [label, states[name]]),
    ['pgfault', states.pgfault],
    ['pgmajfault', states.pgmajfault],
    ['pgalloc', states.pgalloc],
    ['pgfree', states.pgfree],
    ['pages mapped by fault-around', states.fault_around_pages],
  ];
  return Object.fromEntries(lines);
}
