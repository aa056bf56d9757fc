import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DESIGNS } from '../designs/index.js';
import { checkCase, isExpected } from './check.js';
import { firstFault } from './firstFault.js';

const BOUND = 100_000;

describe('first-fault', () => {
  for (const scenarioCase of firstFault.cases) {
    for (const design of DESIGNS.filter(({ broken }) => broken !== undefined)) {
      it(`fails under ${design.name}: ${scenarioCase.name}`, async () => {
        const verdict = await checkCase(firstFault, scenarioCase, design, BOUND);
        assert.equal(verdict.outcome, 'failed');
        assert.ok(isExpected(verdict));
        assert.ok(verdict.executions > 1);
        assert.match(verdict.failures.join('\n'), /mm\[0\]\.rss is/);
        const { steps } = verdict.schedule!;
        assert.ok(steps.some(({ word }) => /^pte\[\d+\]\[0\]$/.test(word)));
        assert.ok(steps.some(({ before, after }) => before !== after));
      });
    }
  }
});
