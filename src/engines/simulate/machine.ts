/**
 * A machine that can be simulated: how many CPUs and nodes it has, where they stand, and what things cost on it.
 * Each is a file of `machines/`, with a source for every number.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError } from '../../base/errors.js';
import { parseJsonFile, type JsonValue } from '../../base/jsonFile.js';
import { ARCH_NAMES, type ArchName } from '../../hardware/arch/index.js';
import { COST_FIELDS, COST_NAMES, type CostName, type MachineCosts } from './costs.js';

/** Where CPUs stand and what they have. */
export interface Topology {
  readonly cpus: number;
  readonly cpusPerNode: number;
  /** Nodes on one router; so many routers make a group that has a router above it, and so on. */
  readonly nodesPerRouter: number;
  /** Of memory, in bytes. */
  readonly nodeBytes: number;
  /** Of a cache line, in bytes. */
  readonly lineBytes: number;
}

export interface SimulatedMachine extends Topology {
  readonly name: string;
  readonly title: string;
  readonly arch: ArchName;
  readonly costs: MachineCosts;
  /** Where each number is from. */
  readonly sources: Readonly<Record<CostName, string>>;
  readonly topologySource: string;
}

const FOLDER = new URL('../../../../machines/', import.meta.url);
const SUFFIX = '.json';
const CODE = 'MACHINE_FILE';

/** Names of the machines that come with the library. */
export const MACHINE_NAMES: readonly string[] = readdirSync(FOLDER)
  .filter((file) => file.endsWith(SUFFIX))
  .map((file) => basename(file, SUFFIX))
  .sort();

/** The machine that stands for an architecture until one is named. */
const OF_ARCH: Partial<Record<ArchName, string>> = { i386: 'pentium3-2', ia64: 'ia64-8' };
const OF_OTHERS = 'x86-2s';

const known = new Map<string, SimulatedMachine>();

/**
 * @param given - a name, or a file that ends in .json
 * @throws InputError when there is none, or it is not as it must be
 */
export function machineFrom(given: string): SimulatedMachine {
  if (!given.endsWith(SUFFIX)) return machineNamed(given);
  return parseMachine(readText(given), given);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw new InputError(CODE, `cannot be read (${code})`, { file });
  }
}

/** @throws InputError when there is none of that name */
export function machineNamed(name: string): SimulatedMachine {
  let machine = known.get(name);
  if (machine === undefined) {
    if (!MACHINE_NAMES.includes(name)) {
      const names = MACHINE_NAMES.join(', ');
      throw new InputError(
        'MACHINE_UNKNOWN',
        `no machine is called "${name}"; there are: ${names}`,
      );
    }
    const file = fileURLToPath(new URL(`${name}${SUFFIX}`, FOLDER));
    machine = parseMachine(readFileSync(file, 'utf8'), file);
    known.set(name, machine);
  }
  return machine;
}

/** What an architecture is simulated with, unless a machine is named. */
export function machineForArch(arch: ArchName): SimulatedMachine {
  return { ...machineNamed(OF_ARCH[arch] ?? OF_OTHERS), arch };
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

/**
 * @param text - of a machine's file
 * @throws InputError with the place of what is wrong
 */
export function parseMachine(text: string, file: string): SimulatedMachine {
  const value = parseJsonFile(text, file, CODE);
  const topology = value.field('topology');
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
    lineBytes: topology.field('lineBytes').choice([32, 64, 128]),
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
  const { name, title, arch, topologySource, costs, sources, ...rest } = machine;
  const topology = { source: topologySource, ...rest };
  const values = byName((cost) => ({ value: costs[cost], source: sources[cost] }));
  return `${JSON.stringify({ name, title, arch, topology, costs: values }, undefined, 2)}\n`;
}
