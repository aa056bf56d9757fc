/** The check suite: every scenario gives what it expects of every design, with fixed bounds and seeds. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkCase, isExpected } from './check.js';
import { SCENARIOS, designsFor } from './index.js';

/** No limit of time: a test must not depend on it. */
const BUDGET = { executions: 300, quick: 600, seconds: Infinity, random: 10, seed: 1 };
/** What must fail is looked at until it does: with two preemptions that takes some thousand executions. */
const PATIENT = { ...BUDGET, quick: 20_000, executions: 1000 };

for (const scenario of SCENARIOS) {
  describe(scenario.name, () => {
    for (const scenarioCase of scenario.cases) {
      for (const design of designsFor(scenario)) {
        it(`is as expected under ${design.name}: ${scenarioCase.name}`, async () => {
          const fails = (scenarioCase.fails ?? scenario.fails).includes(design.name);
          const budget = fails ? PATIENT : BUDGET;
          const verdict = await checkCase(scenario, scenarioCase, design, budget);
          assert.ok(isExpected(verdict), `${verdict.outcome}: ${verdict.failures.join('; ')}`);
          assert.equal(verdict.outcome === 'failed', verdict.counterexample !== undefined);
        });
      }
    }
  });
}
