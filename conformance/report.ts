/** What either side tells of a step, in one form, so that equal reports are equal texts. */

export interface Report {
  /** What the call returned, or the signal of an access; and more where a call has more to say. */
  readonly outcome: string;
  /** Faults that the call took: minor, and major. */
  readonly minorFaults: number;
  readonly majorFaults: number;
  /** The areas that the sequence made, a line each: range, permissions, offset, backing, pages. */
  readonly areas: readonly string[];
}

/** The reports of a sequence; an exit has none. */
export type Reports = readonly (Report | undefined)[];

/** "5*12,0": equal neighbours are one entry, with their number. */
export function formatRuns<T>(values: ArrayLike<T>, format: (value: T) => string): string {
  const runs: string[] = [];
  for (let start = 0; start < values.length;) {
    let end = start + 1;
    while (end < values.length && values[end] === values[start]) end++;
    const text = format(values[start]);
    runs.push(end - start > 1 ? `${text}*${end - start}` : text);
    start = end;
  }
  return runs.join(',');
}
