/** What `minorfault replay --cpus` predicts: how it is asked for and shown. */
import { availableParallelism } from 'node:os';
import { InputError } from '../base/errors.js';
import type { SimulatedMachine } from '../engines/simulate/machine.js';
import {
  predictReplay,
  replaysOf,
  type PredictedPoint,
  type Prediction,
  type PredictionSetup,
} from '../measure/predictReplay.js';
import { REPLAY_ARCH } from '../traces/replay.js';
import { parseSize } from './arguments.js';
import { count, formatTable, percent, print } from './output.js';
import { progressBar } from './progress.js';

/** The machine that a prediction is for unless another is named. */
export const TRACE_MACHINE = 'x86-4s';

/** Physical memory of the machine that a trace is replayed on unless told otherwise. */
export const DEFAULT_MEMORY = '512M';
export const DEFAULT_MEMORY_BYTES = parseSize(DEFAULT_MEMORY);

/** Of when CPUs begin that take faults back to back. */
const SEEDS = [1, 2, 3];

/** @throws InputError when the machine is no place for the trace, or has not so many CPUs */
export function checkPredictable(
  { name, arch, cpus }: SimulatedMachine,
  asked: readonly number[],
): void {
  if (arch !== REPLAY_ARCH) {
    throw new InputError(
      'OPTION',
      `--machine: ${name} is ${arch}, and traces are recorded on ${REPLAY_ARCH}`,
    );
  }
  const most = Math.max(0, ...asked);
  if (most > cpus) {
    throw new InputError('OPTION', `--cpus: got ${most}, and ${name} has ${cpus}`);
  }
}

export async function predict(
  setup: Omit<PredictionSetup, 'seeds' | 'workers' | 'progress'>,
): Promise<Prediction[]> {
  const whole = { ...setup, seeds: SEEDS, workers: availableParallelism() };
  const bar = progressBar(`${setup.trace} {bar} {value}/{total} timed replays`, replaysOf(whole));
  try {
    return await predictReplay({ ...whole, progress: (done) => bar.update(done) });
  } finally {
    bar.stop();
  }
}

export function printPredictions(predictions: readonly Prediction[]): void {
  for (const trace of new Set(predictions.map((prediction) => prediction.trace))) {
    printTrace(
      trace,
      predictions.filter((prediction) => prediction.trace === trace),
    );
  }
}

function printTrace(trace: string, predictions: readonly Prediction[]): void {
  const [{ machine, points }] = predictions;
  print(`${trace}: time in the fault path, predicted for ${machine}, in ms`);
  const rows = points.map(({ cpus }, place) => [
    count(cpus),
    ...predictions.map((prediction) => cell(prediction.points[place])),
  ]);
  print(formatTable(['CPUs', ...predictions.map(({ design }) => design)], rows));
  print(restsOn(points[points.length - 1], machine));
}

/** "3.21 (3.20 to 4.05)" */
function cell({ wallNs, leastNs, mostNs }: PredictedPoint): string {
  return `${ms(wallNs)} (${ms(leastNs)} to ${ms(mostNs)})`;
}

function ms(ns: number): string {
  return (ns / 1e6).toFixed(2);
}

function restsOn(
  { threads, faults, besideOthers, major }: PredictedPoint,
  machine: string,
): string {
  const met = `${count(besideOthers)} (${percent(besideOthers / Math.max(1, faults))})`;
  return `It is the busiest CPU's time in faults between two calls that change an address space, all of these together:
first with the time between faults as recorded; in brackets over that and ${SEEDS.length} runs with faults back to back.
It rests on the costs in \`minorfault machines ${machine}\`, which were fitted to no measurement; on threads dealt to CPUs
in the order of their first faults (${count(threads)} took faults); and on calls that take no time. Of ${count(faults)} faults
${met} could meet another CPU's, and ${count(major)} read from a file.
`;
}
