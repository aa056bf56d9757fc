import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pageTableLock } from '../../designs/pageTableLock.js';
import { vmConfig } from '../configuration.js';
import type { Thread } from '../engine.js';
import { loadStepped } from '../instance.js';
import type { Execution } from './execution.js';
import { ExploreEngine } from './exploreEngine.js';
import { searchBounded } from './bounded.js';
import { searchAll } from './sourceSets.js';

const UNBOUNDED = { executions: 100_000 };

type Form = 'LOCK' | 'CAS' | 'BUG' | 'BUGRSS';

/** The reference problem: faulting CPUs and a reclaimer on a few pages. */
async function reference(form: Form, cpus: number, pages: number): Promise<Execution> {
  const config = vmConfig({ arch: 'i386', frames: 12, cpus: cpus + 1, nodes: 1 }, pageTableLock, {
    tasks: 2,
    mms: 2,
    vmas: 4,
    anonVmas: 4,
    files: 2,
  });
  const engine = await ExploreEngine.create(config);
  const { ReferenceForm, END_CHECKS } = await loadStepped(config);
  const args = [ReferenceForm[form], pages];
  const threads: Thread[] = [];
  for (let cpu = 0; cpu < cpus; cpu++) threads.push({ cpu, program: 'referenceFault', args });
  threads.push({ cpu: cpus, program: 'referenceReclaim', args });
  return engine.execution(threads, END_CHECKS.reference);
}

describe('the full search', () => {
  /** With commuting additions; found alike by three independent programs: docs/checker.md. */
  const known: [Form, number, number, number][] = [
    ['LOCK', 2, 1, 48],
    ['LOCK', 2, 2, 3594],
    ['LOCK', 3, 1, 1359],
    ['CAS', 2, 1, 48],
    ['CAS', 2, 2, 2640],
    ['CAS', 3, 1, 1197],
  ];
  for (const [form, cpus, pages, executions] of known) {
    it(`makes ${executions} executions of ${form} ${cpus}×${pages}`, async () => {
      const result = searchAll(await reference(form, cpus, pages), UNBOUNDED);
      assert.equal(result.outcome, 'exhausted');
      assert.equal(result.executions, executions);
      assert.ok(result.blocked <= executions * 0.04, `${result.blocked} blocked`);
    });
  }

  for (const form of ['BUG', 'BUGRSS'] as const) {
    it(`finds what is wrong with ${form}, and its schedule fails again`, async () => {
      const execution = await reference(form, 2, 1);
      const found = searchAll(execution, UNBOUNDED);
      assert.equal(found.outcome, 'failed');
      assert.equal(found.kind, form === 'BUG' ? 'audit' : 'data race');
      const quick = searchBounded(execution, 1, UNBOUNDED);
      assert.equal(quick.outcome, 'failed');
      execution.restart();
      for (const thread of quick.schedule) execution.step(thread);
      assert.deepEqual(execution.endFailures(), quick.failures);
    });
  }

  it('says so when the bound was hit', async () => {
    const result = searchAll(await reference('LOCK', 2, 2), { executions: 100 });
    assert.equal(result.outcome, 'bounded');
    assert.equal(result.executions, 100);
  });
});

describe('the bounded search', () => {
  it('finds with one preemption what none does not show', async () => {
    const execution = await reference('BUGRSS', 2, 1);
    assert.equal(searchBounded(execution, 0, UNBOUNDED).outcome, 'exhausted');
    assert.equal(searchBounded(execution, 1, UNBOUNDED).outcome, 'failed');
  });

  it('agrees with the full search on what is right', async () => {
    assert.equal(searchBounded(await reference('CAS', 2, 1), 2, UNBOUNDED).outcome, 'exhausted');
  });
});
