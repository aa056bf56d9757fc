import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../designs/index.js';
import { checkCase } from './check.js';
import { highpteMove } from './highpteMove.js';

const [NO_MEMORY, AFTER_A_WAIT, TWO_SLOTS] = highpteMove.cases.map(({ name }) => name);
const BUDGET = { executions: 20_000, seconds: Infinity };

/** What the checker says of each case that fails under a posted design, and how many preemptions that takes. */
const FAILURES: Readonly<Record<string, Readonly<Record<string, [RegExp, string]>>>> = {
  'highpte-backport': {
    [NO_MEMORY]: [/^unable to handle kernel NULL pointer dereference: cpu 0 /, '0 preemptions'],
    [AFTER_A_WAIT]: [/^the page holds 0, should be 7$/, '1 preemption'],
  },
  'highpte-2.5.7': { [AFTER_A_WAIT]: [/^the page holds 0, should be 7$/, '1 preemption'] },
  'highpte-two-kmaps': {
    [TWO_SLOTS]: [/^deadlock: cpu 0 waits in sleepOn of kmap\[0\]\.waitQueue/, '1 preemption'],
  },
};

const NAMES = ['highpte-persistent', 'highpte-hybrid', 'highpte-atomic', 'highpte-window'];

describe('highpte-move', () => {
  for (const name of [...NAMES, ...Object.keys(FAILURES)]) {
    for (const scenarioCase of highpteMove.cases) {
      const failure = FAILURES[name]?.[scenarioCase.name];
      it(`${failure === undefined ? 'holds' : 'fails'} under ${name}: ${scenarioCase.name}`, async () => {
        const verdict = await checkCase(highpteMove, scenarioCase, designNamed(name), BUDGET);
        if (failure === undefined) {
          assert.equal(verdict.outcome, 'exhausted');
        } else {
          const [message, bound] = failure;
          assert.match(verdict.failures.join('\n'), message);
          assert.equal(verdict.bound, bound);
        }
      });
    }
  }

  it('tells of the sleep itself where it is looked for', async () => {
    const checked = { ...designNamed('highpte-2.5.7'), kmapUnchecked: false };
    const scenarioCase = highpteMove.cases[1];
    const { failures } = await checkCase(highpteMove, scenarioCase, checked, BUDGET);
    assert.match(failures.join('\n'), /^cpu 0 may sleep with an atomic kmap held$/);
  });
});
