/**
 * The text of `perf script`, as recorded by the command in docs/traces.md: one event a line.
 *
 *   comm pid/tid [cpu] seconds: event: fields
 */
import { InputError } from '../base/errors.js';
import { isDigit, LineCursor, Pattern, type Lines } from './lineCursor.js';
import { fieldParser, type FieldParser } from './perfFields.js';

/** What every event tells of the thread that it happened on. */
export interface Common {
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
    /** `child` is the new task's number. */
    | { readonly kind: 'newTask'; readonly child: number; readonly cloneFlags: number }
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

/** Of bytes as characters, so spaces are those of ASCII: \s would find some within UTF-8. */
const LINE =
  /^([\t-\r ]*(.*?)[\t-\r ]+(-?\d+)\/(-?\d+)[\t-\r ]+(?:\[\d+\][\t-\r ]+)?)\d+\.\d+:[\t-\r ]+(PERF_RECORD_\w+|[\w-]+(?::\w+)?)(.*)$/;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const SPACE = 0x20;
const CARRIAGE_RETURN = 0x0d;
/** Heads remembered: about as many as there are pairs of a thread and a CPU at a time. */
const HEADS_MAX = 8;

/** A line up to its time. */
interface Head {
  readonly text: Pattern;
  readonly common: Common;
}

/** A kind of event that the trace has. */
interface TracedEvent {
  readonly name: Pattern;
  readonly parse: FieldParser;
}

/**
 * Nearly every line starts as one of the last few did and holds an event seen before. Such a line is
 * recognised by comparing text, and its fields are read in place; only the others meet LINE.
 */
export class PerfScriptParser {
  private readonly cursor = new LineCursor();
  /** Where the time of the last line begins. */
  private timeStart = 0;
  /** The last used first. */
  private readonly heads: Head[] = [];
  /** Events seen, by the length of their names, which tells most of them apart. */
  private readonly events: (TracedEvent[] | undefined)[] = [];

  /** @param file - for messages */
  constructor(private readonly file: string) {}

  /**
   * Parses the line from `start` to the newline at `end`.
   *
   * @param line - its number, for messages
   * @returns the event, or undefined for one that says nothing of interest
   * @throws InputError when the line is none of perf script's
   */
  parse(lines: Lines, start: number, end: number, line: number): TraceEvent | undefined {
    const { cursor } = this;
    cursor.lines = lines;
    cursor.end = end;
    const common = this.knownHead(start);
    const event = common === undefined ? undefined : this.knownEvent();
    if (event === undefined || lines.bytes[end - 1] === CARRIAGE_RETURN) {
      return this.parseUnknown(start, line);
    }
    return this.parseFields(event, common!, line);
  }

  /** When the last line that was parsed happened, on the recording's clock. */
  get timeNs(): number {
    const { bytes } = this.cursor.lines;
    let digits = 0;
    let decimals = 0;
    for (let at = this.timeStart; bytes[at] !== COLON; at++) {
      if (bytes[at] === DOT) decimals = 0;
      else {
        digits = digits * 10 + bytes[at] - ZERO;
        decimals++;
      }
    }
    return digits * 10 ** (9 - decimals);
  }

  /** Reads a head that was seen before, and the time. */
  private knownHead(start: number): Common | undefined {
    const { heads, cursor } = this;
    const { lines, end } = cursor;
    for (let i = 0; i < heads.length; i++) {
      const head = heads[i];
      if (!head.text.isAt(lines, start, end)) continue;
      if (i > 0) this.useFirst(i);
      this.timeStart = start + head.text.length;
      cursor.at = skipTime(lines.bytes, this.timeStart);
      return cursor.at < 0 ? undefined : head.common;
    }
    return undefined;
  }

  private useFirst(index: number): void {
    this.heads.unshift(...this.heads.splice(index, 1));
  }

  /** Reads the name of an event that was seen before. */
  private knownEvent(): TracedEvent | undefined {
    const { lines, at, end } = this.cursor;
    const nameEnd = lines.text.indexOf(': ', at);
    if (nameEnd < 0 || nameEnd > end) return undefined;
    const known = this.events[nameEnd - at];
    if (known === undefined) return undefined;
    for (const event of known) {
      if (!event.name.isAt(lines, at, end)) continue;
      this.cursor.at = nameEnd;
      return event;
    }
    return undefined;
  }

  /** A line whose head or event is new, or none of perf script's. */
  private parseUnknown(start: number, line: number): TraceEvent | undefined {
    const { cursor } = this;
    const { lines, end } = cursor;
    const match = LINE.exec(lines.text.slice(start, end));
    if (match === null) {
      cursor.at = start;
      const text = cursor.rest();
      if (text.trim() === '') return undefined;
      throw this.error(
        `this is no line of perf script (expected "comm pid/tid [cpu] seconds: event: ...", got ` +
          `"${text.slice(0, 60)}"); see docs/traces.md for how to record`,
        line,
      );
    }
    const [, head, name, pid, tid, event, rest] = match;
    const comm = Buffer.from(name, 'latin1').toString('utf8');
    const common = { comm, pid: Number(pid), tid: Number(tid) };
    this.timeStart = start + head.length;
    this.rememberHead({ text: new Pattern(head), common });
    cursor.at = end - rest.length;
    return this.parseFields(this.eventNamed(event), common, line);
  }

  private rememberHead(head: Head): void {
    const { heads } = this;
    // Without a command's name, what comes later in the line may be the head.
    if (head.common.comm === '' || heads.some(({ text }) => text.text === head.text.text)) return;
    heads.unshift(head);
    if (heads.length > HEADS_MAX) heads.pop();
  }

  private eventNamed(name: string): TracedEvent {
    const sameLength = (this.events[name.length] ??= []);
    let event = sameLength.find((known) => known.name.text === name);
    if (event === undefined) {
      event = { name: new Pattern(name), parse: fieldParser(name) };
      sameLength.push(event);
    }
    return event;
  }

  private parseFields(event: TracedEvent, common: Common, line: number): TraceEvent | undefined {
    const { cursor } = this;
    const fields = cursor.at;
    const parsed = event.parse(cursor, common);
    if (parsed !== 'malformed') return parsed;
    cursor.at = fields;
    const rest = cursor.rest().trim();
    throw this.error(`${event.name.text} has other fields than expected: "${rest}"`, line);
  }

  private error(message: string, line: number): InputError {
    return new InputError('TRACE_FORMAT', message, { file: this.file, line });
  }
}

/** @returns where the event after `seconds: ` starts, or -1 when there is no such time */
function skipTime(bytes: Buffer, start: number): number {
  let at = start;
  while (isDigit(bytes[at])) at++;
  if (at === start || bytes[at] !== DOT) return -1;
  const fraction = ++at;
  while (isDigit(bytes[at])) at++;
  if (at === fraction || bytes[at] !== COLON) return -1;
  const spaces = ++at;
  while (bytes[at] === SPACE) at++;
  return at === spaces ? -1 : at;
}
