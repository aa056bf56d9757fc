/** A progress bar on standard error, where a person looks at it and the work is long. */
import { Presets, SingleBar } from 'cli-progress';

export interface ProgressBar {
  /** @param words - for names in the format beside those of cli-progress */
  update(value: number, words?: Readonly<Record<string, string>>): void;
  stop(): void;
}

const NO_BAR: ProgressBar = { update: () => undefined, stop: () => undefined };

/** @param format - of cli-progress, such as "{bar} {percentage}%" */
export function progressBar(format: string, total: number): ProgressBar {
  if (!process.stderr.isTTY) return NO_BAR;
  const bar = new SingleBar(
    { format, stream: process.stderr, clearOnComplete: true, hideCursor: true },
    Presets.rect,
  );
  bar.start(total, 0);
  return {
    update: (value, words = {}) => bar.update(value, words),
    stop: () => bar.stop(),
  };
}
