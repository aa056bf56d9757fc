/**
 * A machine that can be simulated: how many CPUs and nodes it has, where they stand, and what things cost on it.
 * Each is a file of `machines/`, with a source for every number.
 */
import type { JsonValue } from '../../base/jsonFile.js';
import { ARCH_NAMES, type ArchName } from '../../hardware/arch/index.js';
import { Shelf } from '../shelf.js';
import { COST_FIELDS, COST_NAMES, type CostName, type MachineCosts } from './costs.js';

/** Where CPUs stand and what they have. */
export interface Topology {
  readonly cpus: number;
  readonly cpusPerNode: number;
  /** Nodes on one router; so many routers make a group that has a router above it, and so on. */
  readonly nodesPerRouter: number;
  /** Of memory, in bytes. */
  readonly nodeBytes: number;
  /** Of memory that the kernel maps, from the start of the first node's, in bytes; all if left out. */
  readonly lowBytes?: number;
  /** Of a cache line, in bytes. */
  readonly lineBytes: number;
}

export interface SimulatedMachine extends Topology {
  readonly name: string;
  readonly title: string;
  readonly arch: ArchName;
  readonly costs: MachineCosts;
  /** Names of words, such as `mm.mmapSem`: those of a group lie together on a line of their own, whatever the layout. */
  readonly lines?: readonly (readonly string[])[] | undefined;
  /** Where each number is from. */
  readonly sources: Readonly<Record<CostName, string>>;
  readonly topologySource: string;
}

/** That a cache line can have. */
export const LINE_BYTES = [32, 64, 128] as const;

/** The machines that come with the library, and files. */
export const MACHINES = new Shelf('machine', 'machines', readMachine);

/** The machine that stands for an architecture until one is named. */
const OF_ARCH: Partial<Record<ArchName, string>> = { i386: 'pentium3-2', ia64: 'ia64-8' };
const OF_OTHERS = 'x86-2s';

/** What an architecture is simulated with, unless a machine is named. */
export function machineForArch(arch: ArchName): SimulatedMachine {
  return { ...MACHINES.named(OF_ARCH[arch] ?? OF_OTHERS), arch };
}

/** Router levels between two nodes: 0 within one, 1 on the same router. */
export function hops({ nodesPerRouter }: Topology, a: number, b: number): number {
  let levels = 0;
  for (let [one, other] = [a, b]; one !== other; levels++) {
    one = Math.floor(one / nodesPerRouter);
    other = Math.floor(other / nodesPerRouter);
  }
  return levels;
}

/**
 * CPUs in the order in which a process's threads come to them: those of the first node, where it is started, then
 * one of each other node, then the next of each.
 */
export function placement(cpus: number, cpusPerNode: number): number[] {
  const order: number[] = [];
  for (let cpu = 0; cpu < Math.min(cpusPerNode, cpus); cpu++) order.push(cpu);
  for (let place = 0; place < cpusPerNode; place++) {
    for (let first = cpusPerNode; first < cpus; first += cpusPerNode) {
      if (first + place < cpus) order.push(first + place);
    }
  }
  return order;
}

function readMachine(value: JsonValue): SimulatedMachine {
  const topology = value.field('topology');
  const lowBytes = topology.field('lowBytes').optional((bytes) => bytes.count(1));
  const costs = value.field('costs');
  return {
    name: value.field('name').text(),
    title: value.field('title').text(),
    arch: value.field('arch').choice(ARCH_NAMES),
    topologySource: topology.field('source').text(),
    cpus: topology.field('cpus').count(1),
    cpusPerNode: topology.field('cpusPerNode').count(1),
    nodesPerRouter: topology.field('nodesPerRouter').count(2),
    nodeBytes: topology.field('nodeBytes').count(1),
    ...(lowBytes === undefined ? {} : { lowBytes }),
    lineBytes: topology.field('lineBytes').choice(LINE_BYTES),
    lines: value
      .field('lines')
      .optional((groups) => groups.list((group) => group.list((name) => name.text()))),
    costs: byName((name) => costOf(costs.field(name), name)),
    sources: byName((name) => costs.field(name).field('source').text()),
  };
}

function costOf(cost: JsonValue, name: CostName): number {
  const { least, unit } = COST_FIELDS[name];
  const value = cost.field('value');
  if (unit === 'count') return value.count(least);
  const number = value.number();
  return number >= least ? number : value.fail(`${least} or more, in ${unit}`);
}

function byName<T>(read: (name: CostName) => T): Record<CostName, T> {
  return Object.fromEntries(COST_NAMES.map((name) => [name, read(name)])) as Record<CostName, T>;
}

/** The file that a machine is kept in. */
export function formatMachine(machine: SimulatedMachine): string {
  const { name, title, arch, topologySource, lines, costs, sources, ...rest } = machine;
  const topology = { source: topologySource, ...rest };
  const values = byName((cost) => ({ value: costs[cost], source: sources[cost] }));
  return `${JSON.stringify({ name, title, arch, topology, lines, costs: values }, undefined, 2)}\n`;
}
