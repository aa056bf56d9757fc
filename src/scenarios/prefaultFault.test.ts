import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../designs/index.js';
import { checkCase } from './check.js';
import { prefaultFault } from './prefaultFault.js';

const BOUND = 100_000;

const [LONG_RUN, READ_AHEAD, , READ_RACE] = prefaultFault.cases.map(({ name }) => name);

/** What the checker says of each case that fails under a posted design. */
const FAILURES: Readonly<Record<string, Readonly<Record<string, RegExp>>>> = {
  'prefault-v1': {
    [LONG_RUN]:
      /^cpu 0's stack: the return address behind the pagevec is overwritten with page \d+$/,
    [READ_AHEAD]: /^page 2 holds 0, should hold 7$/,
    [READ_RACE]: /^mm\[0\]\.rss is 1, should be 0\n/,
  },
  'prefault-v2': {
    [READ_AHEAD]: /^page 2 holds 0, should hold 7$/,
    [READ_RACE]: /^a TLB maps 0x40002000 to frame 0, the tables do not$/,
  },
};

describe('prefault-fault', () => {
  for (const [name, failures] of Object.entries(FAILURES)) {
    for (const scenarioCase of prefaultFault.cases) {
      const failure = failures[scenarioCase.name];
      const fails = failure === undefined ? 'holds' : 'fails';
      it(`${fails} under ${name}: ${scenarioCase.name}`, async () => {
        const verdict = await checkCase(prefaultFault, scenarioCase, designNamed(name), {
          executions: BOUND,
          seconds: Infinity,
        });
        if (failure === undefined) assert.equal(verdict.outcome, 'exhausted');
        else assert.match(verdict.failures.join('\n'), failure);
      });
    }
  }
});
