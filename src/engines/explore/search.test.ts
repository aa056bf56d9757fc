import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { problemOf, reference, type Form } from '../../../test/referenceProblem.js';
import { searchBounded } from './bounded.js';
import { searchAll } from './sourceSets.js';
import { searchInWorkers } from './splitSearch.js';

const UNBOUNDED = { executions: 1_000_000 };

describe('the full search', () => {
  /** Executions with additions that commute, and without; found alike by three independent programs. */
  const known: [Form, number, number, number, number][] = [
    ['LOCK', 2, 1, 48, 56],
    ['LOCK', 2, 2, 3594, 5846],
    ['LOCK', 3, 1, 1359, 2703],
    ['LOCK', 4, 1, 60_812, 293_276],
    ['CAS', 2, 1, 48, 120],
    ['CAS', 2, 2, 2640, 26_118],
    ['CAS', 3, 1, 1197, 6099],
  ];
  for (const [form, cpus, pages, ...counts] of known) {
    for (const [place, executions] of counts.entries()) {
      const commute = place === 0;
      const how = commute ? 'additions commute' : 'they do not';
      it(`makes ${executions} executions of ${form} ${cpus}×${pages} where ${how}`, async () => {
        const execution = await reference(form, cpus, pages);
        const result = searchAll(execution, UNBOUNDED, undefined, { commute });
        assert.equal(result.outcome, 'exhausted');
        assert.equal(result.executions, executions);
        assert.ok(result.blocked <= executions * 0.04, `${result.blocked} blocked`);
      });
    }
  }

  it('makes as many by two workers', async () => {
    for (const [form, cpus, pages, executions] of known.filter(([, cpus]) => cpus < 4)) {
      const problem = problemOf(form, cpus, pages);
      const result = await searchInWorkers(problem, UNBOUNDED, { workers: 2 });
      assert.deepEqual([result.outcome, result.executions], ['exhausted', executions]);
    }
  });

  it('stops by two workers where a bound is hit', async () => {
    const problem = problemOf('LOCK', 4, 1);
    const result = await searchInWorkers(problem, { executions: 5000 }, { workers: 2 });
    assert.equal(result.outcome, 'bounded');
    assert.ok(result.executions >= 5000 && result.executions < 60_812, `${result.executions}`);
  });

  it('finds by two workers what fails, and its schedule fails again', async () => {
    const found = await searchInWorkers(problemOf('BUG', 3, 1), UNBOUNDED, { workers: 2 });
    assert.equal(found.outcome, 'failed');
    const execution = await reference('BUG', 3, 1);
    for (const thread of found.schedule) execution.step(thread);
    assert.deepEqual(execution.endFailures(), found.failures);
  });

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
