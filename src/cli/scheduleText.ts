/** A failing schedule as text: a column for each CPU, time downwards. */
import { ARCHES } from '../hardware/arch/index.js';
import type { Counterexample, CounterexampleThread } from '../scenarios/counterexample.js';
import { deadlockInWords, explain, type Row } from '../scenarios/explainSchedule.js';
import { stepInWords } from '../scenarios/stepWords.js';
import { count } from './output.js';

export interface TextOptions {
  /** Characters to a line. */
  readonly width: number;
  /** Whether steps that play no part are shown too. */
  readonly all?: boolean;
}

/** Where there is no terminal to fit. */
const COLUMN_WIDTH = 72;
const COLUMN_MIN_WIDTH = 24;
const SEPARATOR = ' │ ';
const INDENT = '  ';

/** Characters to a line: those of the terminal, or what columns need to be read well. */
export function textWidth(terminal: number | undefined, threads: number): number {
  return terminal ?? GUTTER + threads * (COLUMN_WIDTH + SEPARATOR.length);
}

/** In front of the first column: a step's number, a mark and a space. */
const GUTTER = 7;
/** At a step that the reason of a switch tells of. */
const CITED = '*';

/** What fails, the schedule, and the failure again where it comes about. */
export function formatSchedule(counterexample: Counterexample, options: TextOptions): string {
  const { threads } = counterexample;
  const columns = new Columns(threads.length, options.width);
  const { rows } = explain(counterexample, options.all === true);
  return [
    ...columns.row('', threads.map(threadInWords)),
    ...rows.flatMap((row) => formatRow(row, counterexample, columns)),
    ...formatEnd(counterexample, columns),
  ].join('\n');
}

/** What one counterexample is, in a few lines. */
export function formatHead(counterexample: Counterexample): string {
  const { scenario, design, failures } = counterexample;
  return [
    `${scenario} (${counterexample.case}) under ${design} fails: ${verdictInWords(counterexample)}`,
    ...failures.map((failure) => `${INDENT}${failure}`),
  ].join('\n');
}

/** What kind of failure it is, where, and how much it takes. */
export function verdictInWords({ kind, arch, steps, ...of }: Counterexample): string {
  const { preemptions, fewest } = of;
  const many = preemptions === 0 ? 'no' : count(preemptions);
  const least = fewest && preemptions > 0 ? '; none fails with fewer' : '';
  const switches = `${many} preemption${preemptions === 1 ? '' : 's'}${least}`;
  return `${kind} on ${arch}, ${count(steps.length)} steps with ${switches}`;
}

export function threadInWords({ cpu, program, task }: CounterexampleThread): string {
  return `cpu ${cpu}: ${program}${task === undefined ? '' : `, ${task}`}`;
}

function formatRow(row: Row, { steps, arch }: Counterexample, columns: Columns): string[] {
  switch (row.kind) {
    case 'step': {
      const step = steps[row.index];
      const text = `${step.function}: ${stepInWords(step, ARCHES[arch])}`;
      return columns.cell(`${row.index + 1}${row.cited ? CITED : ' '}`, step.thread, text);
    }
    case 'fold': {
      const length = row.end - row.first;
      const what = `· ${length} step${length === 1 ? '' : 's'} of its own: `;
      return columns.cell('', row.thread, columns.listed(what, row.functions));
    }
    case 'switch':
      return columns.rule(row.title, row.reasons);
  }
}

/** The failure, and in a deadlock who waits for whom. */
function formatEnd(counterexample: Counterexample, columns: Columns): string[] {
  const { kind, failures } = counterexample;
  const waits = deadlockInWords(counterexample).flatMap(({ cpu, waits: what, callers, holds }) => [
    `cpu ${cpu} ${what}`,
    `${INDENT}in ${callers.join(' > ')}`,
    ...holds.map((held) => `${INDENT}${held}`),
  ]);
  return columns.rule(`fails: ${kind}`, waits.length > 0 ? waits : failures);
}

/** Lines that are divided into columns. */
class Columns {
  private readonly width: number;

  constructor(
    private readonly columns: number,
    private readonly lineWidth: number,
  ) {
    const room = lineWidth - GUTTER - (columns - 1) * SEPARATOR.length;
    this.width = Math.max(COLUMN_MIN_WIDTH, Math.floor(room / columns));
  }

  /** A text in each column, of as many lines as the longest needs. */
  row(number: string, texts: readonly string[]): string[] {
    const cells = texts.map((text) => wrap(text, this.width));
    const height = Math.max(...cells.map(({ length }) => length));
    return Array.from({ length: height }, (_, line) => {
      const parts = cells.map((cell) => (cell[line] ?? '').padEnd(this.width));
      const gutter = (line === 0 ? number : '').padStart(GUTTER - 1).padEnd(GUTTER);
      return `${gutter}${parts.join(SEPARATOR)}`.trimEnd();
    });
  }

  /** A text in one column. */
  cell(number: string, column: number, text: string): string[] {
    return this.row(
      number,
      Array.from({ length: this.columns }, (_, index) => (index === column ? text : '')),
    );
  }

  /** As many of a list as fit into one line of a column after `what`. */
  listed(what: string, items: readonly string[]): string {
    let text = what;
    for (const [index, item] of items.entries()) {
      const rest = index < items.length - 1 ? ' …' : '';
      const longer = `${text}${index === 0 ? '' : ', '}${item}`;
      if (index > 0 && longer.length + rest.length > this.width) return `${text} …`;
      text = longer;
    }
    return text;
  }

  /** A line across all columns, and what there is to say to it. */
  rule(title: string, notes: readonly string[]): string[] {
    const room = this.lineWidth - GUTTER;
    const indented = (text: string): string[] =>
      wrap(text, room).map((line) => `${' '.repeat(GUTTER)}${line}`);
    const [first, ...more] = wrap(title, room);
    return [
      `${'─'.repeat(GUTTER - 1)} ${first}`,
      ...more.map((line) => `${' '.repeat(GUTTER)}${line}`),
      ...notes.flatMap(indented),
    ];
  }
}

/** Where a line may end: not before the number of a step. */
const BREAK = /(?<!\bstep) /;

/** Lines of at most `width` characters, those after the first indented further than the text itself. */
function wrap(text: string, width: number): string[] {
  const own = /^ */.exec(text)![0];
  const lines: string[] = [];
  let line = own;
  for (const word of text.trimStart().split(BREAK)) {
    const longer = line.trim() === '' ? `${line}${word}` : `${line} ${word}`;
    if (longer.length <= width || line.trim() === '') {
      line = shorten(longer, width);
      continue;
    }
    lines.push(line);
    line = shorten(`${own}${INDENT}${word}`, width);
  }
  return [...lines, line];
}

/** What is too long loses its middle: names differ at their ends. */
function shorten(text: string, width: number): string {
  if (text.length <= width) return text;
  const kept = width - 1;
  return `${text.slice(0, Math.ceil(kept / 2))}…${text.slice(text.length - Math.floor(kept / 2))}`;
}
