/** What commands print: tables for people, JSON for programs. */
import Table from 'cli-table3';

/** Prints a value as JSON, indented. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A table without lines between its rows; numbers stand to the right. */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const table = new Table({
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
    chars: NO_LINES,
  });
  const numeric = head.map((_, column) => rows.some((row) => isNumeric(row[column])));
  table.push(head.map((text, column) => cell(text, numeric[column])));
  for (const row of rows) table.push(row.map((text, column) => cell(text, numeric[column])));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'mid', 'right', 'middle']
    .flatMap((name) => [name, `${name}-mid`, `${name}-left`, `${name}-right`])
    .filter(
      (name) =>
        !['mid-left', 'mid-right', 'middle-mid', 'middle-left', 'middle-right'].includes(name),
    )
    .map((name) => [name, '']),
);

function cell(content: string | number, right: boolean): Table.Cell {
  return { content, hAlign: right ? 'right' : 'left' };
}

function isNumeric(text: string | number): boolean {
  return typeof text === 'number' || /^[-−+±]?\d[\d.,]*( ?(%|×|s|ms))?( \([^()]*\))?$/.test(text);
}

/** 1234567 as "1,234,567". */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** 0.0712 as "7.1 %". */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
