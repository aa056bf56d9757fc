/** Every scenario gives what it expects of every design that must hold, and is searched to its end or its bound. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { carriedBy } from '../designs/carries.js';
import { checkCase, isExpected } from './check.js';
import { SCENARIOS, designsFor } from './index.js';

const BOUND = 100_000;

for (const scenario of SCENARIOS) {
  describe(scenario.name, () => {
    for (const scenarioCase of scenario.cases) {
      const failing = scenarioCase.fails ?? scenario.fails;
      const candidates = designsFor({ ...scenario, fails: [], cases: [] });
      const holding = candidates.filter(({ name }) => !failing.includes(name));
      const alone = scenarioCase.threads(0, 2).length === 1;
      for (const design of carriedBy(scenario.machine.arch, holding)) {
        it(`holds under ${design.name}: ${scenarioCase.name}`, async () => {
          const verdict = await checkCase(scenario, scenarioCase, design, BOUND);
          assert.deepEqual(verdict.failures, []);
          if (scenarioCase.executions === undefined) assert.equal(verdict.outcome, 'exhausted');
          assert.ok(isExpected(verdict));
          // The search takes a lock that is a bit of the pte to come after all that has looked at the pte.
          assert.ok(verdict.executions > 1 || alone || design.locking.pteLock === 'bit');
        });
      }
    }
  });
}
