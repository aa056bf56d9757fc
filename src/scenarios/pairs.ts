/**
 * Every pair of operations on one page, each on a CPU of its own, for each kind of memory: the cases of a matrix.
 */
import { InvariantError } from '../base/errors.js';
import type { ProgramName } from '../workloads/programs.js';
import { PairEffect } from '../workloads/pairOperations.js';
import { PairKind, isForked } from '../workloads/pairSetup.js';
import { SMALL, setup, taskAfter, thread, type Scenario, type ScenarioCase } from './scenario.js';

/** One of a pair. */
export interface PairOperation {
  /** As a matrix heads its rows and columns. */
  readonly name: string;
  readonly program: ProgramName;
  /** What it may do to a thread of the same process, as PairEffect bits. */
  readonly effects: number;
  /** Kinds of memory on which it does something; all if left out. */
  readonly kinds?: readonly PairKind[];
}

/** A case of the matrix, with its row and its column. */
export interface PairCase extends ScenarioCase {
  readonly operations: readonly [PairOperation, PairOperation];
}

/** The matrix of one kind of memory: each unordered pair of `operations`, an operation with itself too. */
export interface PairScenario extends Scenario {
  readonly kind: PairKind;
  readonly operations: readonly PairOperation[];
  readonly cases: readonly PairCase[];
}

const FILES: readonly PairKind[] = [PairKind.FILE, PairKind.DIRTY_FILE, PairKind.TAKEN_FILE];
const PRIVATE: readonly PairKind[] = [
  PairKind.FRESH,
  PairKind.ZERO,
  PairKind.ANON,
  PairKind.SWAPPED,
  PairKind.FORKED,
  PairKind.FORKED_SWAPPED,
  PairKind.SWAP_CACHED,
  PairKind.TAKEN_SWAP_CACHED,
];

export const OPERATIONS: readonly PairOperation[] = [
  { name: 'read', program: 'pairRead', effects: 0 },
  { name: 'write', program: 'pairWrite', effects: 0 },
  { name: 'munmap', program: 'pairMunmap', effects: PairEffect.UNMAPS },
  { name: 'munmap and mmap', program: 'pairMunmapMmap', effects: PairEffect.UNMAPS },
  { name: 'mmap', program: 'pairMmap', effects: PairEffect.MAPS | PairEffect.EMPTIES },
  { name: 'mremap', program: 'pairMremap', effects: PairEffect.UNMAPS },
  { name: 'mprotect', program: 'pairMprotect', effects: PairEffect.DENIES },
  {
    name: 'mprotect twice',
    program: 'pairMprotectTwice',
    effects: PairEffect.DENIES | PairEffect.ALLOWS,
  },
  { name: 'fork', program: 'pairFork', effects: 0 },
  { name: 'exit', program: 'pairExit', effects: 0 },
  { name: 'pageout', program: 'pairPageout', effects: 0 },
  { name: 'dontneed', program: 'pairDontneed', effects: PairEffect.EMPTIES },
  { name: 'free', program: 'pairFree', effects: PairEffect.EMPTIES, kinds: PRIVATE },
  { name: 'mlock', program: 'pairMlock', effects: PairEffect.LOCKS },
  { name: 'mincore', program: 'pairMincore', effects: 0 },
  { name: 'msync', program: 'pairMsync', effects: 0, kinds: FILES },
  {
    name: 'truncate',
    program: 'pairTruncate',
    effects: PairEffect.CUTS,
    kinds: [...FILES, PairKind.PRIVATE_FILE],
  },
  { name: 'remove', program: 'pairRemove', effects: PairEffect.EMPTIES, kinds: FILES },
  {
    name: 'remap_file_pages',
    program: 'pairRemapFilePages',
    effects: PairEffect.EMPTIES,
    kinds: FILES,
  },
];

/** What the host of a guest does. Whoever acts beside it must not notice. */
const HOST_OPERATIONS: readonly PairOperation[] = [
  { name: 'host', program: 'pairHost', effects: 0 },
  { name: 'host and read', program: 'pairHostTouch', effects: 0 },
];

interface Kind {
  readonly kind: PairKind;
  readonly name: string;
  readonly memory: string;
}

/** The kinds of memory. */
export const KINDS: readonly Kind[] = [
  { kind: PairKind.FRESH, name: 'fresh', memory: 'an anonymous page that is not there yet' },
  { kind: PairKind.ZERO, name: 'zero', memory: 'an anonymous page that was only read' },
  { kind: PairKind.ANON, name: 'anon', memory: 'an anonymous page' },
  { kind: PairKind.SWAPPED, name: 'swapped', memory: 'a page in the swap file' },
  { kind: PairKind.FORKED, name: 'forked', memory: 'a page that a parent and its child share' },
  {
    kind: PairKind.FORKED_SWAPPED,
    name: 'forked-swapped',
    memory: 'a page in the swap file that a parent and its child share',
  },
  { kind: PairKind.FILE, name: 'file', memory: 'a page in the cache of a shared file' },
  { kind: PairKind.DIRTY_FILE, name: 'dirty-file', memory: 'a written page of a shared file' },
  {
    kind: PairKind.PRIVATE_FILE,
    name: 'private-file',
    memory: 'a page in the cache of a file that is mapped private',
  },
];

/** Kinds of which the host can have the page, at once or once it has been written. */
const HINTED_KINDS: readonly Kind[] = [
  ...KINDS.filter(({ kind }) => kind === PairKind.ANON || kind >= PairKind.SWAPPED),
  { kind: PairKind.SWAP_CACHED, name: 'swap-cached', memory: 'a page in the swap cache' },
  {
    kind: PairKind.TAKEN_SWAP_CACHED,
    name: 'taken-swap-cached',
    memory: 'a page in the swap cache that the host has taken',
  },
  {
    kind: PairKind.TAKEN_FILE,
    name: 'taken-file',
    memory: 'a mapped page of a shared file that the host has taken',
  },
];

/** Two operations on a page of a kind, each on a CPU of its own. */
export function pairCase(kind: PairKind, first: PairOperation, second: PairOperation): PairCase {
  // Processes have page tables of their own.
  const apart = isForked(kind);
  return {
    name: `${first.name}, ${second.name}`,
    operations: [first, second],
    setup: setup('pairSetup', kind),
    threads: (task) => [
      thread(0, first.program, task, 0, kind, apart ? 0 : second.effects),
      thread(1, second.program, taskAfter(task, 1), 1, kind, apart ? 0 : first.effects),
    ],
  };
}

function on({ kind }: Kind, operations: readonly PairOperation[]): readonly PairOperation[] {
  return operations.filter(({ kinds }) => kinds === undefined || kinds.includes(kind));
}

/** Each operation that comes first with itself and each behind it. */
function pairsOf(
  kind: PairKind,
  firsts: readonly PairOperation[],
  operations: readonly PairOperation[],
): readonly PairCase[] {
  return firsts.flatMap((first, place) =>
    operations.slice(place).map((second) => pairCase(kind, first, second)),
  );
}

/** The pair of two operations by their names, the first of which the first task does. */
export function pairOf(kind: PairKind, first: string, second: string): PairCase {
  return pairCase(kind, operationNamed(first), operationNamed(second));
}

/** @throws InvariantError where there is none */
export function operationNamed(name: string): PairOperation {
  const operation = OPERATIONS.find((candidate) => candidate.name === name);
  if (operation === undefined) throw new InvariantError(`no operation of a pair is called ${name}`);
  return operation;
}

const MACHINE: Pick<Scenario, 'machine' | 'limits'> = {
  machine: { ...SMALL.machine, swapPages: 4 },
  // A parent and a child that both fork.
  limits: { ...SMALL.limits, mms: 4 },
};

export const PAIR_SCENARIOS: readonly PairScenario[] = KINDS.map((kind) => {
  const operations = on(kind, OPERATIONS);
  return {
    name: `pairs-${kind.name}`,
    summary: `every pair of operations on ${kind.memory}`,
    source: 'SPEC S1 (1.11)',
    ...MACHINE,
    kind: kind.kind,
    operations,
    cases: pairsOf(kind.kind, operations, operations),
    fails: [],
  };
});

/** What the host does beside each operation, and beside itself. */
export const HINTED_PAIR_SCENARIOS: readonly PairScenario[] = HINTED_KINDS.map((kind) => {
  const operations = [...HOST_OPERATIONS, ...on(kind, OPERATIONS)];
  return {
    name: `pairs-hinted-${kind.name}`,
    summary: `the host of a guest, beside each operation on ${kind.memory}`,
    source: 'SPEC S4',
    ...MACHINE,
    kind: kind.kind,
    operations,
    cases: pairsOf(kind.kind, HOST_OPERATIONS, operations),
    fails: [],
    holds: ['hinting', 'linux-6-hinting'],
  };
});

/** All that a matrix can be printed of. */
export const MATRIX_SCENARIOS: readonly PairScenario[] = [
  ...PAIR_SCENARIOS,
  ...HINTED_PAIR_SCENARIOS,
];
