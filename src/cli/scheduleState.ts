/**
 * What the page of a schedule shows beside it at each step: the words so far and what each CPU runs. Runs in the
 * page too (web/schedulePage.ts), so it needs nothing but the page's data.
 */

/** What the page's script is given, as JSON. */
export interface PageData {
  /** The words that the failure turns on. */
  readonly matter: readonly string[];
  /** By thread: what its CPU is called. */
  readonly cpus: readonly string[];
  readonly steps: readonly PageStep[];
}

export interface PageStep {
  readonly thread: number;
  /** The functions that run, outermost first. */
  readonly callers: readonly string[];
  /** The words to be shown that it touches. */
  readonly touches: readonly Touched[];
}

export interface Touched {
  readonly word: string;
  /** After the step, as people read it. */
  readonly value: string;
  /** Whether it writes the word, be it with what was there. */
  readonly writes: boolean;
}

/** A word after some step. */
export interface WordState {
  readonly word: string;
  readonly value: string;
  /** The step that wrote it last; none where it is as it was at first. */
  readonly writer: number | undefined;
  /** Whether the step itself touches it. */
  readonly touched: boolean;
}

/** The words that have been touched up to a step, those that matter first, as they first were. */
export function wordsAt({ matter, steps }: PageData, index: number): WordState[] {
  const words = new Map<string, WordState>();
  for (let at = 0; at <= index && at < steps.length; at++) {
    for (const { word, value, writes } of steps[at].touches) {
      const writer = writes ? at : words.get(word)?.writer;
      words.set(word, { word, value, writer, touched: at === index });
    }
  }
  const all = [...words.values()];
  return [
    ...all.filter(({ word }) => matter.includes(word)),
    ...all.filter(({ word }) => !matter.includes(word)),
  ];
}

/** What a CPU does at some step. */
export interface StackState {
  readonly cpu: string;
  readonly state: 'has not begun' | 'goes' | 'has stopped here' | 'has ended';
  /** The functions that ran at its last step, outermost first. */
  readonly callers: readonly string[];
}

export function stacksAt({ cpus, steps }: PageData, index: number): StackState[] {
  return cpus.map((cpu, thread) => {
    const last = steps.findLastIndex((step, at) => at <= index && step.thread === thread);
    if (last < 0) return { cpu, state: 'has not begun', callers: [] };
    const { callers } = steps[last];
    if (last === index) return { cpu, state: 'goes', callers };
    const more = steps.some((step, at) => at > index && step.thread === thread);
    return { cpu, state: more ? 'has stopped here' : 'has ended', callers };
  });
}

export type Move = 'first' | 'previous' | 'next' | 'last';

/** @param shown - steps that can be seen, in order: those in closed folds are passed over */
export function moved(shown: readonly number[], index: number, move: Move): number {
  switch (move) {
    case 'first':
      return shown[0] ?? index;
    case 'previous':
      return shown.findLast((at) => at < index) ?? index;
    case 'next':
      return shown.find((at) => at > index) ?? index;
    case 'last':
      return shown.at(-1) ?? index;
  }
}
