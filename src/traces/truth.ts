/** What the kernel itself counted while a trace was recorded: see docs/traces.md. */
import { InputError } from '../base/errors.js';
import { readText } from './lines.js';

/** A task as /proc showed it, at its last exec or at its exit. Sizes in kB. */
export interface TruthRecord {
  readonly event: 'exec' | 'exit';
  readonly tid: number;
  readonly tgid: number;
  readonly comm: string;
  readonly minflt: number;
  readonly majflt: number;
  readonly VmHWM?: number;
  readonly VmPTE?: number;
  /** [start, end, prot, offset, inode, path, [[first page, pages, kind]...]]; addresses are hex. */
  readonly vmas?: readonly TruthVma[];
}

export type TruthVma = readonly [
  start: string,
  end: string,
  prot: string,
  offset: number,
  inode: number,
  path: string,
  runs: readonly (readonly [firstPage: number, pages: number, kind: PageKind])[],
];

/** 1 = anonymous, 2 = file or shared memory, 3 = swapped out. */
export type PageKind = 1 | 2 | 3;

/** The page cache of one file just before the run. Runs are [first page, pages]. */
export interface TruthFile {
  readonly ino: number;
  /** In bytes. */
  readonly size: number;
  readonly cached: readonly (readonly [number, number])[];
  readonly folios: readonly (readonly [number, number])[];
  /** Pages that mark read-ahead. */
  readonly ra: readonly number[];
  /** Pages not up to date. */
  readonly notup: readonly number[];
}

export interface Truth {
  readonly records: readonly TruthRecord[];
  readonly page_cache?: Readonly<Record<string, TruthFile>>;
}

/** @throws InputError when the file is none */
export async function readTruth(path: string): Promise<Truth> {
  const text = await readText(path);
  let truth: Partial<Truth>;
  try {
    truth = JSON.parse(text) as Partial<Truth>;
  } catch (error) {
    throw new InputError('TRUTH_FORMAT', `is not JSON: ${(error as Error).message}`, {
      file: path,
    });
  }
  if (truth === null || typeof truth !== 'object' || !Array.isArray(truth.records)) {
    throw new InputError('TRUTH_FORMAT', 'has no "records": expected a truth file', { file: path });
  }
  return truth as Truth;
}
