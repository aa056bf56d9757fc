/** All kinds of difference at once, each with its shortest sequence: to work from. */
import type { ProcessCall } from './calls.js';
import { describeDifference, describeKind } from './compare.js';
import type { Conformance } from './conformance.js';

export interface Kind {
  /** The call, what differed, and how where that is short. */
  readonly name: string;
  times: number;
  /** The shortest sequence of this kind, and how it differs. */
  calls: readonly ProcessCall[];
  text: string;
}

/** @param progress - is told how many sequences are done */
export async function survey(
  conformance: Conformance,
  samples: readonly (readonly ProcessCall[])[],
  progress: (done: number) => void,
): Promise<Kind[]> {
  const kinds = new Map<string, Kind>();
  for (const [i, calls] of samples.entries()) {
    const found = await kindOf(conformance, calls);
    progress(i + 1);
    if (found === undefined) continue;
    const known = kinds.get(found.name);
    if (known === undefined) kinds.set(found.name, await shorten(conformance, found));
    else known.times++;
  }
  return [...kinds.values()].sort((a, b) => b.times - a.times);
}

async function kindOf(
  conformance: Conformance,
  calls: readonly ProcessCall[],
): Promise<Kind | undefined> {
  try {
    const found = await conformance.disagreement(calls);
    if (found === undefined) return undefined;
    const { step, fields, linux, ours } = found.difference;
    const outcomes = fields.includes('outcome')
      ? ` ${abridged(linux.outcome)} against ${abridged(ours?.outcome ?? 'nothing')}`
      : '';
    const name = `${describeKind(step.action)}: ${fields.join(', ')}${outcomes}`;
    return { name, times: 1, calls, text: describeDifference(found.steps, found.difference) };
  } catch (error) {
    const message = (error as Error).message;
    return { name: message.replace(/\d+/g, 'N'), times: 1, calls, text: message };
  }
}

/** Errors and signals as they are, any success as one. */
function abridged(outcome: string): string {
  return /^(-|SIG)/.test(outcome) ? outcome : 'success';
}

/** Leaves out calls, from the last to the first, as long as the kind of difference stays. */
async function shorten(conformance: Conformance, kind: Kind): Promise<Kind> {
  let shortest = kind;
  for (let i = kind.calls.length - 1; i >= 0; i--) {
    const without = shortest.calls.filter((_, index) => index !== i);
    const found = await kindOf(conformance, without);
    if (found?.name === kind.name) shortest = found;
  }
  return shortest;
}
