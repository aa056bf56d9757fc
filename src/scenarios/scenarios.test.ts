/** Every scenario gives what it expects of every right design, and is searched to its end or its bound. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkCase, isExpected } from './check.js';
import { SCENARIOS, designsFor } from './index.js';

/** No limit of time: a test must not depend on it. */
const BOUND = { executions: 100_000, seconds: Infinity };

for (const scenario of SCENARIOS) {
  describe(scenario.name, () => {
    for (const scenarioCase of scenario.cases) {
      for (const design of designsFor({ ...scenario, fails: [], cases: [] })) {
        it(`holds under ${design.name}: ${scenarioCase.name}`, async () => {
          const verdict = await checkCase(scenario, scenarioCase, design, BOUND);
          assert.deepEqual(verdict.failures, []);
          if (scenarioCase.executions === undefined) assert.equal(verdict.outcome, 'exhausted');
          assert.ok(isExpected(verdict));
          assert.ok(verdict.executions > 1);
        });
      }
    }
  });
}
