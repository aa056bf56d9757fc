import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../designs/index.js';
import { checkCase, isExpected } from './check.js';
import { onArch } from './checkTask.js';
import { firstFault } from './firstFault.js';

/** No limit of time: a test must not depend on it. */
const BOUND = { executions: 100_000, seconds: Infinity };

describe('first-fault', () => {
  it('passes under V18 where a pte is busy while it is hashed', async () => {
    const [bothWrite] = firstFault.cases;
    const verdict = await checkCase(
      onArch(firstFault, 'ppc64'),
      bothWrite,
      designNamed('v18'),
      BOUND,
    );
    assert.equal(verdict.outcome, 'exhausted');
  });

  it('fails under V18 where software writes ptes by plain stores', async () => {
    const [bothWrite] = firstFault.cases;
    const verdict = await checkCase(
      onArch(firstFault, 'sparc64'),
      bothWrite,
      designNamed('v18'),
      BOUND,
    );
    assert.equal(verdict.outcome, 'failed');
  });

  for (const scenarioCase of firstFault.cases) {
    for (const design of firstFault.fails.map(designNamed)) {
      it(`fails under ${design.name}: ${scenarioCase.name}`, async () => {
        const verdict = await checkCase(firstFault, scenarioCase, design, BOUND);
        assert.equal(verdict.outcome, 'failed');
        assert.ok(isExpected(verdict));
        assert.ok(verdict.executions > 1);
        assert.match(verdict.failures.join('\n'), /mm\[0\]\.rss is/);
        const { steps } = verdict.counterexample!;
        assert.ok(steps.some(({ word }) => /^pte\[\d+\]\[0\]$/.test(word)));
        assert.ok(steps.some(({ before, after }) => before !== after));
      });
    }
  }
});
