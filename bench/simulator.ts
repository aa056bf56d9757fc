/**
 * Times the page-fault test on the simulate engine, and prints as JSON what a second of wall time simulates. Each row
 * is the best of some rounds: others on the machine only make it slower.
 */
import { performance } from 'node:perf_hooks';
import { count } from '../src/cli/output.js';
import { designNamed } from '../src/designs/index.js';
import { vmConfig } from '../src/engines/configuration.js';
import { runAlone, type Thread } from '../src/engines/engine.js';
import { machineForArch } from '../src/engines/simulate/machine.js';
import { SimulateEngine } from '../src/engines/simulate/simulateEngine.js';

export interface SimulatorRun {
  readonly what: string;
  /** Faults a second, or a ratio of two such rates. */
  readonly rate: number;
  readonly target: string;
}

/** Seconds of wall time of one repetition of the test. */
interface Round {
  readonly touch: number;
  readonly exit: number;
}

const ARCH = 'ia64';
const DESIGNS = ['page-table-lock', 'v18'];
const ROUNDS = 12;
/** Touched in a round, by all CPUs together. */
const PAGES = 8192;

const TARGETS: readonly (readonly [cpus: number, rate: number])[] = [
  [1, 300_000],
  [8, 80_000],
  [512, 15_000],
];

const rows: SimulatorRun[] = [];

async function timeDesign(name: string): Promise<void> {
  let before: { cpus: number; seconds: number } | undefined;
  for (const [cpus, target] of TARGETS) {
    const rounds = await timeRounds(name, cpus);
    const touch = Math.min(...rounds.map((round) => round.touch));
    const whole = Math.min(...rounds.map((round) => round.touch + round.exit));
    const goal = `≥ ${count(target)}`;
    rows.push({ what: `${name}, ${cpus} CPUs, touches`, rate: PAGES / touch, target: goal });
    rows.push({ what: `${name}, ${cpus} CPUs, with exit`, rate: PAGES / whole, target: goal });
    if (before !== undefined) {
      const what = `${name}, a touch on ${cpus} CPUs, time against one on ${before.cpus}`;
      rows.push({ what, rate: touch / before.seconds, target: `< ${cpus / before.cpus} ×` });
    }
    before = { cpus, seconds: touch };
  }
}

async function timeRounds(name: string, cpus: number): Promise<Round[]> {
  const frames = PAGES + 64 * (cpus + 1) + 64;
  const machine = { arch: ARCH, frames, cpus, nodes: Math.ceil(cpus / 2) } as const;
  const config = vmConfig(machine, designNamed(name), { tasks: cpus + 2 });
  const engine = await SimulateEngine.create(config, machineForArch(ARCH));
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const tasks = [await runAlone(engine, 'pftStart', PAGES)];
    while (tasks.length < cpus) {
      tasks.push(await runAlone(engine, 'pftThread', tasks[0], tasks.length + 1));
    }
    const share = PAGES / cpus;
    const threads = tasks.map((task, cpu): Thread => {
      return { cpu, program: 'pftTouch', args: [task, cpu * share, share] };
    });
    const start = performance.now();
    await engine.run(threads);
    const touched = performance.now();
    for (const task of tasks) await runAlone(engine, 'pftExit', task);
    const end = performance.now();
    rounds.push({ touch: (touched - start) / 1e3, exit: (end - touched) / 1e3 });
  }
  return rounds;
}

for (const design of DESIGNS) await timeDesign(design);
process.stdout.write(JSON.stringify(rows));
