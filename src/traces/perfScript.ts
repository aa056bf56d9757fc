/**
 * The text of `perf script`, as recorded by the command in docs/traces.md: one event a line.
 *
 *   comm pid/tid [cpu] seconds: event: fields
 */
import { InputError } from '../base/errors.js';

interface Common {
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
}

export type TraceEvent = Common &
  (
    | { readonly kind: 'exception'; readonly address: number; readonly errorCode: number }
    | { readonly kind: 'fault'; readonly major: boolean }
    | { readonly kind: 'enter'; readonly call: string; readonly args: readonly number[] }
    /** `result` below 0 is an errno. */
    | { readonly kind: 'exit'; readonly call: string; readonly result: number }
    | {
        readonly kind: 'mmap2';
        readonly start: number;
        readonly length: number;
        /** In bytes. */
        readonly offset: number;
        readonly inode: number;
        /** As `rwxp`. */
        readonly prot: string;
        readonly path: string;
      }
    | { readonly kind: 'exec' }
    | { readonly kind: 'newTask'; readonly cloneFlags: number }
    | { readonly kind: 'taskExit'; readonly groupDead: boolean }
    | {
        readonly kind: 'rssStat';
        readonly mmId: string;
        /** Whether the address space is the running task's. */
        readonly current: boolean;
        readonly member: string;
        readonly bytes: number;
      }
    /** Fault-around's window, first and last page of the file. */
    | { readonly kind: 'mapPages'; readonly first: number; readonly last: number }
    | {
        readonly kind: 'pageCache';
        readonly added: boolean;
        readonly inode: number;
        /** In pages. */
        readonly index: number;
        readonly pages: number;
      }
    | { readonly kind: 'lost' }
  );

const LINE =
  /^\s*(.*?)\s+(-?\d+)\/(-?\d+)\s+(?:\[\d+\]\s+)?\d+\.\d+:\s+(PERF_RECORD_\w+|[\w-]+(?::\w+)?)(.*)$/;
const MMAP2 = /\[0x([0-9a-f]+)\(0x([0-9a-f]+)\) @ (0x[0-9a-f]+|0) \S+ (\d+) \d+\]: (\S{4}) (.*)$/;
const FAULT = /address=(0x[0-9a-f]+) .*error_code=0x([0-9a-f]+)/;
const RSS_STAT = /mm_id=(\d+) curr=(\d) type=(\S+) size=(-?\d+)B/;
const PAGE_CACHE = /ino ([0-9a-f]+).*ofs=(\d+)(?: order=(\d+))?/;
const MAP_PAGES = /ofs=(\d+)-(\d+)/;
const NEW_TASK = /comm=.* clone_flags=([0-9a-f]+)/;
const FILE_PAGE_BYTES = 4096;

/**
 * @returns the event, or undefined for one that says nothing of interest
 * @throws InputError when the line is none of perf script's
 */
export function parseLine(text: string, file: string, line: number): TraceEvent | undefined {
  const match = LINE.exec(text);
  if (match === null) {
    if (text.trim() === '') return undefined;
    throw new InputError(
      'TRACE_FORMAT',
      `this is no line of perf script (expected "comm pid/tid [cpu] seconds: event: ...", got ` +
        `"${text.slice(0, 60)}"); see docs/traces.md for how to record`,
      { file, line },
    );
  }
  const [, comm, pid, tid, event, rest] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const fields = parseFields(event, rest);
  if (fields === undefined) return undefined;
  if (fields === 'malformed') {
    throw new InputError(
      'TRACE_FORMAT',
      `${event} has other fields than expected: "${rest.trim()}"`,
      {
        file,
        line,
      },
    );
  }
  return { comm, pid: Number(pid), tid: Number(tid), ...fields } as TraceEvent;
}

type Fields = object | undefined | 'malformed';

function parseFields(event: string, rest: string): Fields {
  switch (event) {
    case 'minor-faults':
      return { kind: 'fault', major: false };
    case 'major-faults':
      return { kind: 'fault', major: true };
    case 'exceptions:page_fault_user':
    case 'exceptions:page_fault_kernel':
      return parseException(rest);
    case 'kmem:rss_stat':
      return parseRssStat(rest);
    case 'filemap:mm_filemap_map_pages':
      return parseMapPages(rest);
    case 'filemap:mm_filemap_add_to_page_cache':
      return parsePageCache(rest, true);
    case 'filemap:mm_filemap_delete_from_page_cache':
      return parsePageCache(rest, false);
    case 'task:task_newtask':
      return parseNewTask(rest);
    case 'sched:sched_process_exit':
      return { kind: 'taskExit', groupDead: rest.includes('group_dead=true') };
    case 'PERF_RECORD_MMAP2':
      return parseMmap2(rest);
    case 'PERF_RECORD_COMM':
      return /^ exec/.test(rest) ? { kind: 'exec' } : undefined;
    case 'PERF_RECORD_LOST':
    case 'PERF_RECORD_LOST_SAMPLES':
      return { kind: 'lost' };
    default:
      return parseSyscall(event, rest);
  }
}

function parseSyscall(event: string, rest: string): Fields {
  if (event.startsWith('syscalls:sys_enter_')) {
    const args = [...rest.matchAll(/: 0x([0-9a-f]+)/g)].map((match) => parseInt(match[1], 16));
    return { kind: 'enter', call: event.slice('syscalls:sys_enter_'.length), args };
  }
  if (event.startsWith('syscalls:sys_exit_')) {
    const match = /0x([0-9a-f]+)/.exec(rest);
    if (match === null) return 'malformed';
    const result = Number(BigInt.asIntN(64, BigInt(`0x${match[1]}`)));
    return { kind: 'exit', call: event.slice('syscalls:sys_exit_'.length), result };
  }
  return undefined;
}

function parseException(rest: string): Fields {
  const match = FAULT.exec(rest);
  // An address that perf resolved to a kernel symbol is the vsyscall page or a kernel bug.
  if (match === null) return rest.includes('error_code=') ? undefined : 'malformed';
  return {
    kind: 'exception',
    address: parseInt(match[1], 16),
    errorCode: parseInt(match[2], 16),
  };
}

function parseRssStat(rest: string): Fields {
  const match = RSS_STAT.exec(rest);
  if (match === null) return 'malformed';
  const [, mmId, current, member, bytes] = match;
  return { kind: 'rssStat', mmId, current: current === '1', member, bytes: Number(bytes) };
}

function parseMapPages(rest: string): Fields {
  const match = MAP_PAGES.exec(rest);
  if (match === null) return 'malformed';
  const first = Number(match[1]) / FILE_PAGE_BYTES;
  const last = (Number(match[2]) + 1) / FILE_PAGE_BYTES - 1;
  return { kind: 'mapPages', first, last };
}

function parsePageCache(rest: string, added: boolean): Fields {
  const match = PAGE_CACHE.exec(rest);
  if (match === null) return 'malformed';
  const [, inode, offset, order] = match;
  return {
    kind: 'pageCache',
    added,
    inode: parseInt(inode, 16),
    index: Number(offset) / FILE_PAGE_BYTES,
    pages: 2 ** Number(order ?? 0),
  };
}

function parseNewTask(rest: string): Fields {
  const match = NEW_TASK.exec(rest);
  if (match === null) return 'malformed';
  return { kind: 'newTask', cloneFlags: parseInt(match[1], 16) };
}

function parseMmap2(rest: string): Fields {
  const match = MMAP2.exec(rest);
  if (match === null) return 'malformed';
  const [, start, length, offset, inode, prot, path] = match;
  return {
    kind: 'mmap2',
    start: parseInt(start, 16),
    length: parseInt(length, 16),
    offset: Number(offset),
    inode: Number(inode),
    prot,
    path,
  };
}
