/** What is wrong with what was posted, or with what it must not be, is found (SPEC S1, c to i). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runDirected, type Leg } from '../../test/directed.js';
import { designNamed } from '../designs/index.js';
import { checkCase, isExpected } from './check.js';
import { copyUnheld } from './copyUnheld.js';
import { lostDirtyBit } from './lostDirtyBit.js';
import { lruBeforeInstall } from './lruBeforeInstall.js';
import { populateTables } from './populateTables.js';
import type { Scenario } from './scenario.js';
import { spuriousFault } from './spuriousFault.js';
import { tornPte } from './tornPte.js';
import { unmapRss } from './unmapRss.js';

const BOUND = { executions: 1000, seconds: Infinity };

/** Of a case by its number: each design fails, with this text, and with so many preemptions. */
function finds(
  scenario: Scenario,
  caseNumber: number,
  designs: readonly string[],
  text: RegExp,
  preemptions: 0 | 1,
): void {
  const scenarioCase = scenario.cases[caseNumber];
  for (const name of designs) {
    it(`fails under ${name}: ${scenario.name}, ${scenarioCase.name}`, async () => {
      const verdict = await checkCase(scenario, scenarioCase, designNamed(name), BOUND);
      assert.equal(verdict.outcome, 'failed');
      assert.ok(isExpected(verdict));
      assert.match(verdict.failures.join('\n'), text);
      assert.equal(verdict.bound, preemptions === 0 ? '0 preemptions' : '1 preemption');
    });
  }
}

describe('one preemption is enough, or none', () => {
  finds(spuriousFault, 0, ['page-table-lock'], /^spurious_page_faults is 1, should be 0$/, 1);
  finds(lostDirtyBit, 0, lostDirtyBit.fails, /^the page held 9 and came back with 7$/, 1);
  finds(unmapRss, 0, unmapRss.fails, /^mm\[0\]\.rss is 3, should be 1$/, 0);
  finds(unmapRss, 1, unmapRss.fails, /^mm\[0\]\.rss is 3, should be 1$/, 0);
  for (const level of [0, 1, 2]) {
    const lost = /^frame \d+ is lost: not free, and nothing points to it$/m;
    finds(populateTables, level, populateTables.fails, lost, 1);
  }
  finds(tornPte, 0, ['v18', 'v18-held'], /is exclusive, and 2 ptes map it/, 1);
  finds(tornPte, 1, ['v18', 'v18-held'], /^mm\[0\]\.rss is 2, should be 1$/m, 1);
  const copies = /unable to handle kernel paging request: cpu 0 reads frame\[\d+\].*, in copyOld </;
  finds(tornPte, 1, ['broken-v18-debug-pagealloc'], copies, 1);
  finds(copyUnheld, 0, ['broken-v18-debug-pagealloc'], copies, 1);
  const storeLost = /^the page holds 1, should be 2$/;
  finds(copyUnheld, 2, ['v18-first', 'v18', 'v18-per-thread'], storeLost, 1);
});

describe('a copy that nobody held', () => {
  /** Copies while the frame has another page's contents, and waits for the lock while that changes. */
  const thereAndBack: readonly Leg[] = [
    { cpu: 0, until: { operation: 'interrupts', within: ['doWpPage', 'copyPage'] } },
    {
      cpu: 1,
      until: {
        operation: 'cas',
        within: ['handlePteFault', 'doWpPage', 'copyPage', 'ptepInstall'],
      },
    },
    { cpu: 0 },
    { cpu: 1 },
  ];
  for (const caseNumber of [1, 3]) {
    const scenarioCase = copyUnheld.cases[caseNumber];
    for (const name of ['v18-first', 'v18', 'v18-per-thread']) {
      it(`is installed under ${name}: ${scenarioCase.name}`, async () => {
        const design = designNamed(name);
        const failures = await runDirected(copyUnheld, scenarioCase, design, thereAndBack);
        assert.deepEqual(failures, ['the page holds 0, should be 1']);
      });
    }

    for (const name of copyUnheld.holds!.filter((held) => held !== 'pte-bit')) {
      it(`is not made under ${name}: ${scenarioCase.name}`, async () => {
        const design = designNamed(name);
        assert.deepEqual(await runDirected(copyUnheld, scenarioCase, design, thereAndBack), []);
      });
    }
  }
});

describe('a page on the LRU list before its record is complete', () => {
  it('loses the lock that reclaim has taken on it', async () => {
    const legs: readonly Leg[] = [
      {
        cpu: 0,
        until: { operation: 'writeOnce', within: ['doAnonymousPage', 'pageAddNewAnonRmap'] },
      },
      { cpu: 1, until: { operation: 'unlockBit', within: ['shrinkPage'] } },
      { cpu: 0 },
    ];
    const [design] = lruBeforeInstall.fails.map(designNamed);
    const failures = await runDirected(lruBeforeInstall, lruBeforeInstall.cases[0], design, legs);
    assert.match(failures.join('\n'), /^cpu 1 unlocks page\[\d+\]\.flags, which is not locked$/);
  });
});
