/** Compares a process at its exit with what the kernel's /proc showed of it. */
import type { FinishedProcess } from './replay.js';
import type { PageKind, Truth, TruthRecord } from './truth.js';

export type Agreement = 'equal' | 'different' | 'unknown';

export interface ExitComparison {
  /**
   * Whether both map the same pages, and agree which are anonymous. Where memory ran short anonymous pages alone
   * are compared, those in swap with them: reclaim drops pages of files, which are read again if need be.
   */
  readonly exitPagemap: Agreement;
  /** Pages that only one side maps, or that are of another kind. */
  readonly exitPages: {
    readonly kernel: number | null;
    readonly model: number;
    readonly onlyKernel: number;
    readonly onlyModel: number;
    readonly otherKind: number;
    /** Pages that only we map, because prefault did: no difference. */
    readonly mappedAhead: number;
    /** Pages mapped ahead that the kernel maps too, though no recorded fault touched them. */
    readonly touchedUnseen: number;
  };
  /** The kernel's own count of the process's faults, and what the trace accounts for. */
  readonly minflt: { readonly kernel: number | null; readonly trace: number };
  readonly vmPteKb: number | null;
  readonly vmHwmKb: number | null;
}

const PAGE_SIZE = 4096;
const FILE_PAGE: PageKind = 2;

/** @returns 'unknown' throughout where there is no truth for the process */
export function compareExit(process: FinishedProcess, truth: Truth | undefined): ExitComparison {
  const exits = truth?.records.filter(
    ({ event, tgid }) => event === 'exit' && tgid === process.pid,
  );
  const record = exits?.find(({ tid }) => tid === process.pid);
  const base = {
    minflt: {
      kernel: exits === undefined ? null : kernelFaults(exits),
      trace: process.tally.accounted,
    },
    vmPteKb: record?.VmPTE ?? null,
    vmHwmKb: record?.VmHWM ?? null,
  };
  const unknown = {
    kernel: null,
    model: process.pages.size,
    onlyKernel: 0,
    onlyModel: 0,
    otherKind: 0,
    mappedAhead: 0,
    touchedUnseen: 0,
  };
  if (record?.vmas === undefined) return { ...base, exitPagemap: 'unknown', exitPages: unknown };

  const kernel = kernelPages(record);
  const compares = (kind: PageKind): boolean => !process.ranShort || kind !== FILE_PAGE;
  let onlyKernel = 0;
  let otherKind = 0;
  let touchedUnseen = 0;
  const untouched = process.prefault?.untouched;
  for (const [address, kind] of kernel) {
    if (untouched?.has(address) === true) touchedUnseen++;
    const ours = process.pages.get(address);
    if (ours === undefined) onlyKernel += compares(kind) ? 1 : 0;
    else if (ours !== kind) otherKind++;
  }
  let onlyModel = 0;
  let mappedAhead = 0;
  for (const [address, kind] of process.pages) {
    if (kernel.has(address) || !compares(kind)) continue;
    if (untouched?.has(address) === true) mappedAhead++;
    else onlyModel++;
  }
  return {
    ...base,
    exitPagemap: onlyKernel + onlyModel + otherKind === 0 ? 'equal' : 'different',
    exitPages: {
      kernel: kernel.size,
      model: process.pages.size,
      onlyKernel,
      onlyModel,
      otherKind,
      mappedAhead,
      touchedUnseen,
    },
  };
}

/** Faults of all threads of a process over its life, the time before exec included. */
function kernelFaults(exits: readonly TruthRecord[]): number {
  return exits.reduce((sum, { minflt, majflt }) => sum + minflt + majflt, 0);
}

/** Present pages by address; the kernel's own data pages ([vvar]) have no page to be mapped. */
function kernelPages(record: TruthRecord): Map<number, PageKind> {
  const pages = new Map<number, PageKind>();
  for (const [start, , , , , path, runs] of record.vmas!) {
    if (path.startsWith('[vvar')) continue;
    const base = parseInt(start, 16);
    for (const [first, length, kind] of runs) {
      for (let page = first; page < first + length; page++)
        pages.set(base + page * PAGE_SIZE, kind);
    }
  }
  return pages;
}
