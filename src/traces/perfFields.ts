/** The fields of each event in the text of `perf script`: what stands behind the event's name. */
import { isDigit, Pattern, RepeatedWords, type LineCursor } from './lineCursor.js';
import type { Common, TraceEvent } from './perfScript.js';

const FILE_PAGE_BYTES = 4096;

const MINUS = 0x2d;
const SPACE = 0x20;
const ONE = 0x31;
/** The B of a size in bytes. */
const BYTES = 0x42;

const ADDRESS = 'address=0x';
const ERROR_CODE = 'error_code=';
const HEX_ERROR_CODE = 'error_code=0x';
const HEX_PREFIX = '0x';
const ARGUMENT = ': 0x';
const MM_ID = 'mm_id=';
const CURR = new Pattern(' curr=');
const TYPE = new Pattern(' type=');
const SIZE = new Pattern(' size=');
const INODE = 'ino ';
const OFFSET = 'ofs=';
const ORDER = new Pattern(' order=');
const GROUP_DEAD = 'group_dead=true';
const EXEC = new Pattern(' exec');
/** Lines of these are so few that what reads best will do. */
const MMAP2 = /\[0x([0-9a-f]+)\(0x([0-9a-f]+)\) @ (0x[0-9a-f]+|0) \S+ (\d+) \d+\]: (\S{4}) (.*)$/;
const NEW_TASK = /pid=(\d+) comm=.* clone_flags=([0-9a-f]+)/;

/** Reads what follows the name of an event. */
export type FieldParser = (
  line: LineCursor,
  common: Common,
) => TraceEvent | undefined | 'malformed';

export function fieldParser(event: string): FieldParser {
  switch (event) {
    case 'minor-faults':
      return (_, common) => faultEvent(common, false);
    case 'major-faults':
      return (_, common) => faultEvent(common, true);
    case 'exceptions:page_fault_user':
    case 'exceptions:page_fault_kernel':
      return parseException;
    case 'kmem:rss_stat':
      return rssStatParser();
    case 'filemap:mm_filemap_map_pages':
      return parseMapPages;
    case 'filemap:mm_filemap_add_to_page_cache':
      return (line, common) => parsePageCache(line, common, true);
    case 'filemap:mm_filemap_delete_from_page_cache':
      return (line, common) => parsePageCache(line, common, false);
    case 'task:task_newtask':
      return parseNewTask;
    case 'sched:sched_process_exit':
      return (line, { comm, pid, tid }) => ({
        comm,
        pid,
        tid,
        kind: 'taskExit',
        groupDead: line.seek(GROUP_DEAD),
      });
    case 'PERF_RECORD_MMAP2':
      return parseMmap2;
    case 'PERF_RECORD_COMM':
      return (line, { comm, pid, tid }) =>
        line.skipText(EXEC) ? { comm, pid, tid, kind: 'exec' } : undefined;
    case 'PERF_RECORD_LOST':
    case 'PERF_RECORD_LOST_SAMPLES':
      return (_, { comm, pid, tid }) => ({ comm, pid, tid, kind: 'lost' });
    default:
      return syscallParser(event);
  }
}

function syscallParser(event: string): FieldParser {
  const [, side, call] = /^syscalls:sys_(enter|exit)_(.*)$/.exec(event) ?? [];
  if (side === 'enter') {
    return (line, { comm, pid, tid }) => {
      const args: number[] = [];
      // At the end there is nothing to seek, but all of the lines that follow to seek it in.
      while (line.at < line.end && line.seek(ARGUMENT)) {
        const value = line.hex();
        if (value >= 0) args.push(value);
      }
      return { comm, pid, tid, kind: 'enter', call, args };
    };
  }
  if (side === 'exit') {
    return (line, { comm, pid, tid }) => {
      const result = line.seek(HEX_PREFIX) ? line.signedHex() : undefined;
      if (result === undefined) return 'malformed';
      return { comm, pid, tid, kind: 'exit', call, result };
    };
  }
  return ofNoInterest;
}

function ofNoInterest(): undefined {
  return undefined;
}

function faultEvent({ comm, pid, tid }: Common, major: boolean): TraceEvent {
  return { comm, pid, tid, kind: 'fault', major };
}

function parseException(line: LineCursor, { comm, pid, tid }: Common): ReturnType<FieldParser> {
  const fields = line.at;
  const address = line.seek(ADDRESS) ? line.hex() : -1;
  if (address >= 0 && line.skip(SPACE) && line.seek(HEX_ERROR_CODE)) {
    const errorCode = line.hex();
    if (errorCode >= 0) return { comm, pid, tid, kind: 'exception', address, errorCode };
  }
  // An address that perf resolved to a kernel symbol is the vsyscall page or a kernel bug.
  line.at = fields;
  return line.seek(ERROR_CODE) ? undefined : 'malformed';
}

function rssStatParser(): FieldParser {
  const mmIds = new RepeatedWords();
  const members = new RepeatedWords();
  return (line, { comm, pid, tid }) => {
    const mmId = line.seek(MM_ID) ? line.digits(mmIds) : '';
    if (mmId === '' || !line.skipText(CURR) || !isDigit(line.peek())) return 'malformed';
    const current = line.peek() === ONE;
    line.at++;
    const member = line.skipText(TYPE) ? line.word(members) : '';
    const bytes = member !== '' && line.skipText(SIZE) ? line.integer() : undefined;
    if (bytes === undefined || !line.skip(BYTES)) return 'malformed';
    return { comm, pid, tid, kind: 'rssStat', mmId, current, member, bytes };
  };
}

function parseMapPages(line: LineCursor, { comm, pid, tid }: Common): ReturnType<FieldParser> {
  const start = line.seek(OFFSET) ? line.decimal() : -1;
  const last = start >= 0 && line.skip(MINUS) ? line.decimal() : -1;
  if (last < 0) return 'malformed';
  return {
    comm,
    pid,
    tid,
    kind: 'mapPages',
    first: start / FILE_PAGE_BYTES,
    last: (last + 1) / FILE_PAGE_BYTES - 1,
  };
}

function parsePageCache(
  line: LineCursor,
  { comm, pid, tid }: Common,
  added: boolean,
): ReturnType<FieldParser> {
  const inode = line.seek(INODE) ? line.hex() : -1;
  const offset = inode >= 0 && line.seek(OFFSET) ? line.decimal() : -1;
  if (offset < 0) return 'malformed';
  const order = line.skipText(ORDER) ? line.decimal() : 0;
  return {
    comm,
    pid,
    tid,
    kind: 'pageCache',
    added,
    inode,
    index: offset / FILE_PAGE_BYTES,
    pages: 2 ** Math.max(0, order),
  };
}

function parseNewTask(line: LineCursor, { comm, pid, tid }: Common): ReturnType<FieldParser> {
  const match = NEW_TASK.exec(line.rest());
  if (match === null) return 'malformed';
  return {
    comm,
    pid,
    tid,
    kind: 'newTask',
    child: Number(match[1]),
    cloneFlags: parseInt(match[2], 16),
  };
}

function parseMmap2(line: LineCursor, { comm, pid, tid }: Common): ReturnType<FieldParser> {
  const match = MMAP2.exec(line.rest());
  if (match === null) return 'malformed';
  const [, start, length, offset, inode, prot, path] = match;
  return {
    comm,
    pid,
    tid,
    kind: 'mmap2',
    start: parseInt(start, 16),
    length: parseInt(length, 16),
    offset: Number(offset),
    inode: Number(inode),
    prot,
    path,
  };
}
