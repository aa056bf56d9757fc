/**
 * What a load that misses the TLB and a page fault take of a process that has come to another node, with its page
 * tables there or left behind, and its data there or left behind, on a simulated machine.
 */
import { InputError, InvariantError } from '../base/errors.js';
import { vmConfig } from '../engines/configuration.js';
import { runAlone, type Thread } from '../engines/engine.js';
import { hops, type SimulatedMachine } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import type { VmDesign } from '../mm/design.js';

/** Pages of data; four times what the TLB holds. */
const PAGES = 4096;
const LOADS = 8192;
/** Faults, of which each meets another cache line of entries. */
const FAULTS = 512;
/** Of a node: all the process has, and what it takes to move it. */
const FRAMES_PER_NODE = 6144;

/** On the old node or on the new one, where the process runs. */
export type Place = 'old' | 'new';

/** Nanoseconds, over the seeds. */
export interface Spread {
  readonly mean: number;
  readonly least: number;
  readonly most: number;
}

export interface PlacementCase {
  readonly tables: Place;
  /** The process's memory; new memory, too. */
  readonly data: Place;
  readonly loadNs: Spread;
  readonly faultNs: Spread;
}

export interface TablePlacement {
  readonly machine: string;
  readonly design: string;
  /** Of routers between the two nodes. */
  readonly levels: number;
  readonly seeds: readonly number[];
  /** Of the loads, those that missed the TLB. */
  readonly missShare: number;
  /** Nothing moved, tables alone, data alone, both. */
  readonly cases: readonly PlacementCase[];
}

/**
 * @param levels - of routers between the two nodes
 * @throws InputError when the machine has one node, or not so many levels, or the design's tables stay where they are
 */
export async function tablePlacement(
  machine: SimulatedMachine,
  design: VmDesign,
  seeds: readonly number[],
  levels = 1,
): Promise<TablePlacement> {
  const twoNodes = pairOfNodes(machine, levels);
  if (design.relocation === undefined) {
    throw new InputError('OPTION', `got ${design.name}, whose page tables stay where they are`);
  }
  const cases: PlacementCase[] = [];
  let misses = 0;
  for (const data of ['old', 'new'] as const) {
    for (const tables of ['old', 'new'] as const) {
      const runs: Run[] = [];
      for (const seed of seeds) runs.push(await runCase(twoNodes, design, tables, data, seed));
      misses += runs.reduce((sum, run) => sum + run.misses, 0);
      cases.push({
        tables,
        data,
        loadNs: spread(runs.map(({ loadNs }) => loadNs)),
        faultNs: spread(runs.map(({ faultNs }) => faultNs)),
      });
    }
  }
  const missShare = misses / (cases.length * seeds.length * LOADS);
  return { machine: machine.name, design: design.name, levels, seeds, missShare, cases };
}

/** Two nodes of a machine that are so far apart, with a CPU each, as a machine of their own. */
function pairOfNodes(machine: SimulatedMachine, levels: number): SimulatedMachine {
  const { name, cpus, cpusPerNode, costs } = machine;
  const most = hops(machine, 0, Math.ceil(cpus / cpusPerNode) - 1);
  if (most === 0) {
    throw new InputError('OPTION', `got ${name}, which has one node, expected two or more`);
  }
  if (levels > most) {
    throw new InputError('OPTION', `${name}: got ${levels} levels, expected 1 to ${most}`);
  }
  const moreNs = (levels - 1) * costs.hopNs;
  const firstHopNs = costs.firstHopNs + moreNs;
  const memoryRemoteNs = costs.memoryRemoteNs + moreNs;
  return { ...machine, cpus: 2, cpusPerNode: 1, costs: { ...costs, firstHopNs, memoryRemoteNs } };
}

interface Run {
  readonly loadNs: number;
  readonly faultNs: number;
  readonly misses: number;
}

async function runCase(
  machine: SimulatedMachine,
  design: VmDesign,
  tables: Place,
  data: Place,
  seed: number,
): Promise<Run> {
  const { arch, lineBytes } = machine;
  const frames = 2 * FRAMES_PER_NODE;
  const config = vmConfig({ arch, frames, cpus: 2, nodes: 2, uncachedTables: true }, design);
  const engine = await SimulateEngine.create(config, machine);
  const room = [PAGES, FAULTS, lineBytes];
  const there = [tables, data].map((place) => (place === 'new' ? 1 : 0));
  const task = await runAlone(engine, 'placementStart', ...room);
  await onNewNode(engine, 'placementMove', task, ...there);
  const misses = await onNewNode(engine, 'placementTouch', task, seed, LOADS, ...room);
  const [loads, loaded, faults, faulted] = engine.notes.map(({ ns }) => ns);
  const elsewhere = await onNewNode(engine, 'placementCheck', task, ...there, ...room);
  if (elsewhere > 0) throw new InvariantError(`${elsewhere} pages and tables are elsewhere`);
  return { loadNs: (loaded - loads) / LOADS, faultNs: (faulted - faults) / FAULTS, misses };
}

async function onNewNode(
  engine: SimulateEngine,
  program: Thread['program'],
  ...args: number[]
): Promise<number> {
  const [result] = await engine.run([{ cpu: 1, program, args }]);
  return result;
}

function spread(values: readonly number[]): Spread {
  return {
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    least: Math.min(...values),
    most: Math.max(...values),
  };
}
