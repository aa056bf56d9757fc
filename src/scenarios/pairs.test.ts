import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../designs/index.js';
import { checkCase } from './check.js';
import {
  HINTED_PAIR_SCENARIOS,
  PAIR_SCENARIOS,
  type PairCase,
  type PairScenario,
} from './pairs.js';

const BOUND = { executions: 200, seconds: Infinity, random: 0 };
/** Small enough to be searched to the end for each kind of memory. */
const CHEAP = ['write, munmap', 'munmap, exit'];
/** What once failed, under this design at least: docs/findings.md. */
const MENDED: readonly { kind: string; name: string; design: string }[] = [
  { kind: 'pairs-fresh', name: 'read, munmap and mmap', design: 'table-lock' },
  { kind: 'pairs-dirty-file', name: 'truncate, truncate', design: 'table-lock' },
  { kind: 'pairs-dirty-file', name: 'pageout, truncate', design: 'table-lock' },
  { kind: 'pairs-file', name: 'remove, remove', design: 'linux-6' },
];

function caseNamed({ cases }: PairScenario, name: string): PairCase {
  const found = cases.find((candidate) => candidate.name === name);
  assert.ok(found, name);
  return found;
}

describe('pairs of operations', () => {
  for (const scenario of PAIR_SCENARIOS) {
    it(`are every unordered pair of what can be done, once: ${scenario.name}`, () => {
      const { operations, cases } = scenario;
      assert.equal(cases.length, (operations.length * (operations.length + 1)) / 2);
      assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length);
    });

    for (const design of ['v18', 'table-lock'].map(designNamed)) {
      for (const name of CHEAP) {
        it(`hold under ${design.name}: ${scenario.name}: ${name}`, async () => {
          const verdict = await checkCase(scenario, caseNamed(scenario, name), design, BOUND);
          assert.deepEqual(verdict.failures, []);
          assert.equal(verdict.outcome, 'exhausted');
        });
      }
    }
  }

  for (const { kind, name, design } of MENDED) {
    it(`hold since they were mended, under ${design}: ${kind}: ${name}`, async () => {
      const scenario = PAIR_SCENARIOS.find((candidate) => candidate.name === kind)!;
      const pair = caseNamed(scenario, name);
      const verdict = await checkCase(scenario, pair, designNamed(design), BOUND);
      assert.deepEqual(verdict.failures, []);
    });
  }

  for (const scenario of HINTED_PAIR_SCENARIOS) {
    it(`have what a host does beside each operation, once: ${scenario.name}`, () => {
      const { operations, cases } = scenario;
      assert.equal(cases.length, 2 * operations.length - 1);
      assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length);
    });
  }

  it('show a page that is mapped while it is discarded, and that ours waits for who maps it', async () => {
    const { file, name } = { file: 'pairs-hinted-file', name: 'host and read, write' };
    const scenario = HINTED_PAIR_SCENARIOS.find((candidate) => candidate.name === file)!;
    const pair = caseNamed(scenario, name);
    const posted = await checkCase(scenario, pair, designNamed('hinting-posted'), BOUND);
    assert.match(posted.failures.join('\n'), /was discarded, and 1 ptes map it/);
    const ours = await checkCase(scenario, pair, designNamed('hinting'), BOUND);
    assert.deepEqual(ours.failures, []);
  });

  it('show what is wrong with a design', async () => {
    const scenario = PAIR_SCENARIOS.find((candidate) => candidate.name === 'pairs-fresh')!;
    const bothWrite = caseNamed(scenario, 'write, write');
    const broken = designNamed('broken-check-then-install');
    const verdict = await checkCase(scenario, bothWrite, broken, BOUND);
    assert.equal(verdict.outcome, 'failed');
  });
});
