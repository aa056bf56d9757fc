import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RIGHT_DESIGNS } from '../../test/machine.js';
import { checkCase } from './check.js';
import { munmapFault } from './munmapFault.js';

describe('munmap-fault', () => {
  for (const scenarioCase of munmapFault.cases) {
    for (const design of RIGHT_DESIGNS) {
      it(`is exhausted under ${design.name}: ${scenarioCase.name}`, async () => {
        const verdict = await checkCase(munmapFault, scenarioCase, design, 10_000);
        assert.equal(verdict.outcome, 'exhausted');
        // Before, after, and between two accesses, where the flush meets the TLB.
        assert.ok(verdict.executions >= 3, `${verdict.executions} executions`);
      });
    }
  }
});
