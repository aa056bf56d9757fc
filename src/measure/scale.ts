/**
 * Faults a second over the number of CPUs, for several designs: the curves of `minorfault scale`, where each saturates,
 * and which cache lines hold it back. Points are simulated in worker threads; what comes out does not depend on how many.
 */
import { InputError } from '../base/errors.js';
import type { SimulatedMachine } from '../engines/simulate/machine.js';
import { runTasks } from '../engines/workerPool.js';
import type { ScaleLoadName } from './scaleLoads.js';
import { overSeeds } from './seeds.js';
import type { HotLine } from './hotLines.js';
import {
  POINT_TASKS,
  type PointTask,
  type PoolEvents,
  type ScalePoint,
  type TracedLoad,
} from './scalePoint.js';

export interface ScaleSetup {
  readonly machine: SimulatedMachine;
  /** By name, as `designNamed` takes them. */
  readonly designs: readonly string[];
  readonly load: ScaleLoadName | TracedLoad;
  /** Increasing. */
  readonly cpus: readonly number[];
  readonly seeds: readonly number[];
  /** That each CPU touches, at least. */
  readonly pages: number;
  /** Hottest lines to be told of each point. */
  readonly lines: number;
  /** Of the pool by which page tables in high memory are reached, in slots. */
  readonly kmaps?: number;
  readonly workers: number;
  /** @param points - done so far, of all */
  readonly progress?: (points: number) => void;
}

/** A design on so many CPUs, over all seeds. */
export interface CurvePoint {
  readonly cpus: number;
  /** Over all seeds. */
  readonly faultsPerSecond: number;
  readonly least: number;
  readonly most: number;
  /** With the first seed. */
  readonly lines: readonly HotLine[];
  /** The same; none where the design has no pool. */
  readonly pool?: PoolEvents;
}

export interface ScaleCurve {
  readonly design: string;
  readonly points: readonly CurvePoint[];
  readonly saturation: Saturation;
}

/** Where a curve ends to grow. */
export interface Saturation {
  readonly peakCpus: number;
  readonly peakFaultsPerSecond: number;
  /** From here on twice the CPUs give less than GROWTH times the faults; none if that was not seen. */
  readonly saturatedCpus?: number;
}

/** What twice the CPUs must give for a design to be said to grow. */
export const GROWTH = 1.1;

export interface ScaleResult {
  readonly machine: string;
  /** A load's name, or a recording's file. */
  readonly load: string;
  readonly seeds: readonly number[];
  readonly curves: readonly ScaleCurve[];
}

/** @throws InputError when the machine has fewer CPUs than asked for */
export async function runScale(setup: ScaleSetup): Promise<ScaleResult> {
  const { machine, designs, load, cpus, seeds, pages, lines, kmaps } = setup;
  const tooMany = cpus.find((count) => count > machine.cpus);
  if (tooMany !== undefined) {
    throw new InputError('OPTION', `got ${tooMany} CPUs, and ${machine.name} has ${machine.cpus}`);
  }
  const tasks = designs.flatMap((design) =>
    cpus.flatMap((count) =>
      seeds.map((seed, place): PointTask => {
        const told = place === 0 ? lines : 0;
        const task = { machine, design, load, cpus: count, seed, pages, lines: told };
        return kmaps === undefined ? task : { ...task, kmaps };
      }),
    ),
  );
  const simulated = await simulate(tasks, setup);
  const curves = designs.map((design, place) => {
    const perDesign = cpus.length * seeds.length;
    const own = simulated.slice(place * perDesign, (place + 1) * perDesign);
    const points = cpus.map((count, at) =>
      curvePoint(count, own.slice(at * seeds.length, (at + 1) * seeds.length)),
    );
    return { design, points, saturation: saturationOf(points) };
  });
  const name = typeof load === 'string' ? load : load.trace;
  return { machine: machine.name, load: name, seeds, curves };
}

/** @returns the points in the order of the tasks; the long ones are done first, so that no worker is left with one */
async function simulate(
  tasks: readonly PointTask[],
  { workers, progress }: ScaleSetup,
): Promise<ScalePoint[]> {
  const order = [...tasks.keys()].sort((a, b) => tasks[b].cpus - tasks[a].cpus);
  let done = 0;
  const results = await runTasks<PointTask, ScalePoint>(
    POINT_TASKS,
    order.map((place) => tasks[place]),
    workers,
    { done: () => progress?.(++done) },
  );
  const points = new Array<ScalePoint>(tasks.length);
  order.forEach((place, number) => (points[place] = results[number]));
  return points;
}

function curvePoint(cpus: number, points: readonly ScalePoint[]): CurvePoint {
  const { mean, least, most } = overSeeds(points.map(({ faultsPerSecond }) => faultsPerSecond));
  const [{ lines, pool }] = points;
  const point = { cpus, faultsPerSecond: mean, least, most, lines };
  return pool === undefined ? point : { ...point, pool };
}

/** @param points - in order of CPUs */
export function saturationOf(
  points: readonly Pick<CurvePoint, 'cpus' | 'faultsPerSecond'>[],
): Saturation {
  const peak = points.reduce((best, point) =>
    point.faultsPerSecond > best.faultsPerSecond ? point : best,
  );
  const saturated = points.find((point, place) => {
    if (place + 1 === points.length) return false;
    const next = points[place + 1];
    const doublings = Math.log2(next.cpus / point.cpus);
    return next.faultsPerSecond / point.faultsPerSecond < GROWTH ** doublings;
  });
  return {
    peakCpus: peak.cpus,
    peakFaultsPerSecond: peak.faultsPerSecond,
    ...(saturated === undefined ? {} : { saturatedCpus: saturated.cpus }),
  };
}
