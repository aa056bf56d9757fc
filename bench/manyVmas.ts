/**
 * manyVmas: times write faults in an address space of ten VMAs and in one of a hundred thousand, in one
 * process and in turn, and prints the median of each as JSON: nanoseconds a fault.
 *
 * Both spaces cover the same addresses without a gap and are touched in the same random order, so that all that
 * differs is how many VMAs there are. Each VMA has had a fault before: its anon_vma is there.
 */
import { performance } from 'node:perf_hooks';
import { Prng } from '../src/base/prng.js';
import { designNamed } from '../src/designs/index.js';
import { vmConfig } from '../src/engines/configuration.js';
import { ParallelEngine } from '../src/engines/parallel/parallelEngine.js';

const MANY = 100_000;
const FEW = 10;
/** Pairs of pages: the first is touched before, the second is timed. */
const TOUCHED = 10_000;
const ROUNDS = 15;
const WARM_UP_ROUNDS = 5;
const PROT_READ_WRITE = 3;
const PROT_ALL = 7;

/** A space of so many VMAs, each unlike its neighbours. @returns a round of faults, in ns each */
async function space(vmas: number, pairs: readonly number[]): Promise<() => number> {
  const limits = {
    mapCount: 2 * MANY,
    vmas: MANY + 1000,
    anonVmas: MANY + 1000,
    anonVmaChains: MANY + 1000,
  };
  const machine = { arch: 'x86_64', frames: 2 * TOUCHED + 3000, cpus: 1, nodes: 1 } as const;
  const engine = await ParallelEngine.create(vmConfig(machine, designNamed('v18'), limits));
  engine.commitMemory();
  const { vm } = engine;
  const cpu = engine.cpu(0);
  vm.switchTo(cpu, vm.createTask(cpu, vm.mmAlloc(cpu), 1));
  const page = vm.PAGE_SIZE;
  const bytes = ((2 * MANY) / vmas) * page;
  const flags = vm.MAP_PRIVATE | vm.MAP_ANONYMOUS | vm.MAP_FIXED;
  for (let vma = 0; vma < vmas; vma++) {
    const prot = vma % 2 === 0 ? PROT_READ_WRITE : PROT_ALL;
    vm.sysMmap(cpu, vm.PFT_BASE + vma * bytes, bytes, prot, flags, 0, 0, 0);
  }
  return () => {
    for (const pair of pairs) vm.storeUser(cpu, vm.PFT_BASE + 2 * pair * page, 1);
    const start = performance.now();
    for (const pair of pairs) vm.storeUser(cpu, vm.PFT_BASE + (2 * pair + 1) * page, 1);
    const ns = ((performance.now() - start) * 1e6) / pairs.length;
    vm.sysMadvise(cpu, vm.PFT_BASE, 2 * MANY * page, vm.MADV_DONTNEED);
    return ns;
  };
}

/** Some of the pairs, in random order, each once. */
function randomPairs(): number[] {
  const random = new Prng(1);
  const pairs = Array.from({ length: MANY }, (_, pair) => pair);
  for (let at = MANY - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [pairs[at], pairs[other]] = [pairs[other], pairs[at]];
  }
  return pairs.slice(0, TOUCHED);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

const pairs = randomPairs();
const sides = { few: await space(FEW, pairs), many: await space(MANY, pairs) };
const samples: Record<keyof typeof sides, number[]> = { few: [], many: [] };
for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
  for (const side of ['few', 'many'] as const) {
    const ns = sides[side]();
    if (round >= WARM_UP_ROUNDS) samples[side].push(ns);
  }
}
const medians = { 'vmas 10': median(samples.few), 'vmas 100000': median(samples.many) };
process.stdout.write(`${JSON.stringify(medians)}\n`);
