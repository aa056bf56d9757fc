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
  const numeric = head.map((_, column) => rows.every((row) => isNumeric(row[column]!)));
  const table = new Table({
    head: [...head],
    colAligns: numeric.map((right) => (right ? 'right' : 'left')),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
    chars: {
      top: '', 'top-mid': '', 'top-left': '', 'top-right': '',
      bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
      left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '',
    },
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function isNumeric(cell: string | number): boolean {
  return typeof cell === 'number' || /^[-\d.,]+( ?[%×a-zA-Z]{0,3})$/.test(cell) || cell === '';
}

/** 1234567 as "1,234,567". */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}
