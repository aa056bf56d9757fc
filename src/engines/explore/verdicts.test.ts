/** Each kind of failure is found by a case that is known to have it, told as what it is, and made as simple as can be. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../../designs/index.js';
import { pageTableLock } from '../../designs/pageTableLock.js';
import { prepareCase } from '../../scenarios/check.js';
import { copyUnheld } from '../../scenarios/copyUnheld.js';
import { firstFault } from '../../scenarios/firstFault.js';
import { lostDirtyBit } from '../../scenarios/lostDirtyBit.js';
import type { Scenario } from '../../scenarios/scenario.js';
import type { ProgramName } from '../../workloads/programs.js';
import { vmConfig } from '../configuration.js';
import type { Thread } from '../engine.js';
import { runAlone } from '../engine.js';
import { searchBounded } from './bounded.js';
import type { Execution } from './execution.js';
import { ExploreEngine } from './exploreEngine.js';
import { findLivelock } from './livelock.js';
import { RaceWatch } from './raceWatch.js';
import { reduceSchedule } from './reduce.js';
import type { FailureKind, SearchResult } from './search.js';
import { searchAll } from './sourceSets.js';

const LIMITS = { tasks: 2, mms: 2, vmas: 4, anonVmas: 4, files: 2 };
/** Of one execution; the programs that have an end take fewer. */
const STEPS = 60;
const BOUNDS = { executions: 100_000, steps: STEPS };
/** For making a schedule simpler: enough on a slow machine too. */
const REDUCE_MS = 20_000;

/** Programs on words of their own, one to a CPU. */
async function executionOf(
  programs: readonly (readonly [ProgramName, ...number[]])[],
): Promise<Execution> {
  const machine = { arch: 'i386', frames: 12, cpus: 3, nodes: 1 } as const;
  const engine = await ExploreEngine.create(vmConfig(machine, pageTableLock, LIMITS));
  const threads = programs.map(([program, ...args], cpu): Thread => ({ cpu, program, args }));
  return engine.execution(threads, engine.vm.END_CHECKS.none);
}

/** Programs that are given one frame. */
async function framePrograms(
  references: number,
  ...programs: readonly ProgramName[]
): Promise<Execution> {
  const machine = { arch: 'i386', frames: 12, cpus: 2, nodes: 1 } as const;
  const engine = await ExploreEngine.create(vmConfig(machine, pageTableLock, LIMITS));
  const pfn = await runAlone(engine, 'frameSetup', references);
  return engine.execution(programs.map((program, cpu) => ({ cpu, program, args: [pfn] })));
}

function preemptionsOf(execution: Execution, schedule: readonly number[]): number {
  let preemptions = 0;
  execution.restart();
  schedule.forEach((thread, at) => {
    const last = schedule[at - 1] ?? thread;
    if (last !== thread && execution.isEnabled(last)) preemptions++;
    execution.step(thread);
  });
  return preemptions;
}

/** Runs a schedule. @returns what is wrong at its end, in the sense of a kind */
function failuresOf(
  execution: Execution,
  kind: FailureKind,
  schedule: readonly number[],
): readonly string[] {
  execution.restart();
  for (const thread of schedule) execution.step(thread);
  if (kind === 'livelock') return [findLivelock(execution, schedule.length) ?? ''];
  if (kind === 'data race') return [new RaceWatch(execution).look() ?? ''];
  const failures = execution.endFailures();
  assert.equal(execution.failureKind, kind);
  return failures;
}

interface Expected {
  readonly kind: FailureKind;
  readonly text: RegExp;
  /** The fewest that will do. */
  readonly preemptions: number;
}

/** Searches it in full, makes what is found simpler, and runs that again. */
function assertFails(execution: Execution, { kind, text, preemptions }: Expected): void {
  const found = searchAll(execution, BOUNDS);
  assert.equal(found.outcome, 'failed');
  assertReduces(execution, found, { kind, text, preemptions });
}

function assertReduces(
  execution: Execution,
  { kind, failures, schedule }: SearchResult,
  expected: Expected,
): void {
  assert.equal(kind, expected.kind, failures.join('\n'));
  assert.match(failures.join('\n'), expected.text);
  const before = preemptionsOf(execution, schedule);
  const reduced = reduceSchedule(execution, { kind, failures, schedule }, REDUCE_MS);
  assert.equal(reduced.kind, kind);
  assert.match(reduced.failures.join('\n'), expected.text);
  assert.equal(reduced.preemptions, expected.preemptions);
  // The full search sees two accesses in no order wherever they are; for all others they must both be about to go.
  if (kind !== 'data race') {
    assert.ok(reduced.preemptions <= before, `${reduced.preemptions} preemptions of ${before}`);
  }
  assert.equal(reduced.fewest, true);
  assert.equal(preemptionsOf(execution, reduced.schedule), reduced.preemptions);
  assert.deepEqual(failuresOf(execution, kind, reduced.schedule), reduced.failures);
}

/** Nothing is wrong with it in any order. */
function assertHolds(execution: Execution): void {
  const { outcome, executions, failures } = searchAll(execution, BOUNDS);
  assert.deepEqual(failures, []);
  assert.equal(outcome, 'exhausted');
  assert.ok(executions > 1, `${executions} executions`);
}

/** One case of a scenario under a design. */
async function scenarioExecution(
  scenario: Scenario,
  caseNumber: number,
  design: string,
): Promise<Execution> {
  const scenarioCase = scenario.cases[caseNumber];
  return (await prepareCase(scenario, scenarioCase, designNamed(design), 2)).execution;
}

describe('a deadlock', () => {
  const waits = (cpu: number, word: string, value: number, where: string): string =>
    `deadlock: cpu ${cpu} waits in ${word} \\(${value}\\), ${where}`;

  it('is two CPUs that take two locks in opposite orders', async () => {
    const execution = await executionOf([
      ['takeNested', 0, 1],
      ['takeNested', 1, 0],
    ]);
    const first = waits(0, 'spinLock of frame\\[10\\]\\[1\\]', 2, 'takeNested');
    const second = waits(1, 'spinLock of frame\\[10\\]\\[0\\]', 1, 'takeNested');
    const text = new RegExp(`^${first}\\n${second}$`);
    assertFails(execution, { kind: 'deadlock', text, preemptions: 1 });
  });

  it('is none where they take them in one order', async () => {
    assertHolds(
      await executionOf([
        ['takeNested', 0, 1],
        ['takeNested', 0, 1],
      ]),
    );
  });

  it('is a semaphore and a spinlock in opposite orders', async () => {
    const execution = await executionOf([['semaphoreThenSpin'], ['spinThenSemaphore']]);
    const first = waits(0, 'spinLock of frame\\[10\\]\\[0\\]', 2, 'semaphoreThenSpin');
    const second = waits(1, 'downWrite of frame\\[10\\]\\[4\\]', 1, 'spinThenSemaphore');
    const text = new RegExp(`^${first}\\n${second}$`);
    assertFails(execution, { kind: 'deadlock', text, preemptions: 1 });
  });

  it('is none where all take the semaphore first', async () => {
    assertHolds(await executionOf([['semaphoreThenSpin'], ['semaphoreThenSpin']]));
  });

  it('is a cycle of three CPUs, and needs all of them', async () => {
    const execution = await executionOf([
      ['takeNested', 0, 1],
      ['takeNested', 1, 2],
      ['takeNested', 2, 0],
    ]);
    const all = [0, 1, 2].map((cpu) => {
      const word = (cpu + 1) % 3;
      return waits(cpu, `spinLock of frame\\[10\\]\\[${word}\\]`, word + 1, 'takeNested');
    });
    const text = new RegExp(`^${all.join('\\n')}$`);
    // The second to come to a lock waits for the first, so that only the first is preempted.
    assertFails(execution, { kind: 'deadlock', text, preemptions: 1 });
    assertHolds(
      await executionOf([
        ['takeNested', 0, 1],
        ['takeNested', 1, 2],
      ]),
    );
  });
});

describe('a livelock', () => {
  const locks = [
    ['bits', 0],
    ['semaphores', 1],
  ] as const;
  for (const [what, semaphores] of locks) {
    it(`is two CPUs that back off from each other for ever: ${what}`, async () => {
      const execution = await executionOf([
        ['backOff', 0, 1, semaphores],
        ['backOff', 1, 0, semaphores],
      ]);
      const text = /no end within 60 steps in turns of \d: cpu 0 in backOff.*, cpu 1 in backOff/;
      assertFails(execution, { kind: 'livelock', text, preemptions: 1 });
    });
  }

  it('is none where they try the locks in one order, and where one merely waits for the other', async () => {
    const inOneOrder = await executionOf([
      ['backOff', 0, 1, 0],
      ['backOff', 0, 1, 0],
    ]);
    const waiting = await executionOf([['tryUntilTaken'], ['tryUntilTaken']]);
    for (const execution of [inOneOrder, waiting]) {
      // Who waits may do so for as long as the other has no turn: there is no end to what could be searched.
      for (const search of [searchAll, (it: Execution) => searchBounded(it, 1, BOUNDS)]) {
        const { outcome, executions, failures } = search(execution, BOUNDS);
        assert.deepEqual(failures, []);
        assert.equal(outcome, 'bounded');
        assert.ok(executions > 1 && executions < BOUNDS.executions, `${executions} executions`);
      }
    }
  });
});

describe('a data race', () => {
  it('is a plain load and a plain store that nothing orders', async () => {
    const execution = await executionOf([
      ['countPlain', 0],
      ['countPlain', 0],
    ]);
    const text = /^data race on frame\[10\]\[16\]: (load|store) by cpu \d and (load|store) by/;
    assertFails(execution, { kind: 'data race', text, preemptions: 0 });
  });

  it('is none under a lock', async () => {
    assertHolds(
      await executionOf([
        ['countPlain', 1],
        ['countPlain', 1],
      ]),
    );
  });

  it('is a plain count of rss without a lock', async () => {
    const execution = await scenarioExecution(firstFault, 0, 'broken-plain-rss');
    const found = searchAll(execution, { executions: 100_000 });
    const text = /^data race on mm\[0\]\.\w+: (load|store) by cpu \d and (load|store) by/;
    assertReduces(execution, found, { kind: 'data race', text, preemptions: 1 });
  });
});

describe('a use after free', () => {
  it('is a store to a frame that another CPU frees', async () => {
    const execution = await framePrograms(1, 'storeToFrame', 'freeFrame');
    const text = /^cpu 0 stores frame\[\d+\]\[0\], which is free, in storeToFrame$/;
    assertFails(execution, { kind: 'use after free', text, preemptions: 0 });
  });

  it('is none where each has a reference, and the last one frees it', async () => {
    assertHolds(await framePrograms(2, 'storeAndPut', 'storeAndPut'));
  });

  it('is a copy from a page that has gone', async () => {
    const execution = await scenarioExecution(copyUnheld, 0, 'broken-v18-debug-pagealloc');
    const found = searchBounded(execution, 1, { executions: 50_000 });
    const text = /^unable to handle kernel paging request: cpu 0 reads frame\[\d+\]/;
    assertReduces(execution, found, { kind: 'use after free', text, preemptions: 1 });
  });
});

describe('a failure of what was promised', () => {
  it('is of the audit where a page is lost', async () => {
    const execution = await scenarioExecution(firstFault, 0, 'broken-check-then-install');
    const found = searchBounded(execution, 1, { executions: 50_000 });
    assertReduces(execution, found, {
      kind: 'audit',
      text: /^mm\[0\]\.rss is 5, should be 4$/m,
      preemptions: 1,
    });
  });

  it('is of the contents where a store is lost', async () => {
    const execution = await scenarioExecution(lostDirtyBit, 0, 'broken-read-modify-write');
    const found = searchBounded(execution, 1, { executions: 50_000 });
    const text = /^the page held 9 and came back with 7$/;
    assertReduces(execution, found, { kind: 'contents', text, preemptions: 1 });
  });

  it('is an invariant where a lock is given back that nobody has', async () => {
    const execution = await executionOf([
      ['giveBackUnheld', 0],
      ['takeNested', 0, 1],
    ]);
    const text = /^cpu 0 unlocks frame\[10\]\[0\] held by [02]$/;
    assertFails(execution, { kind: 'invariant', text, preemptions: 0 });
  });
});
