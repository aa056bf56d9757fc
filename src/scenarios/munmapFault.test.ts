import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../designs/index.js';
import { checkCase } from './check.js';
import { munmapFault } from './munmapFault.js';

/** No limit of time: a test must not depend on it. */
const BOUND = { executions: 10_000, seconds: Infinity };

describe('munmap-fault', () => {
  for (const scenarioCase of munmapFault.cases) {
    for (const design of ['page-table-lock', 'v18', 'pte-bit'].map(designNamed)) {
      it(`is searched where the flush meets the TLB under ${design.name}: ${scenarioCase.name}`, async () => {
        const verdict = await checkCase(munmapFault, scenarioCase, design, BOUND);
        assert.equal(verdict.outcome, 'exhausted');
        // Before, after, and between two accesses, where the flush meets the TLB.
        assert.ok(verdict.executions >= 3, `${verdict.executions} executions`);
      });
    }
  }
});
