import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { deadlock, foundUnder } from '../../test/counterexamples.js';
import { InputError } from '../base/errors.js';
import {
  formatCounterexample,
  parseCounterexample,
  type Counterexample,
} from './counterexample.js';

const FILE = 'found.json';

/** What reading a text says is wrong with it. */
function mistakeIn(text: string): { code: string; message: string } {
  try {
    parseCounterexample(text, FILE);
  } catch (error) {
    assert.ok(error instanceof InputError);
    return error;
  }
  return assert.fail('was read');
}

describe('a counterexample', () => {
  let found: Counterexample;
  before(async () => {
    found = await foundUnder('broken-plain-rss');
  });

  it('tells where it was found and what it takes', () => {
    assert.equal(found.scenario, 'first-fault');
    assert.equal(found.kind, 'audit');
    assert.equal(found.preemptions, 1);
    assert.equal(found.fewest, true);
    assert.deepEqual(found.threads, [
      { cpu: 0, task: 'task[0]', program: 'firstFault' },
      { cpu: 1, task: 'task[1]', program: 'firstFault' },
    ]);
  });

  it('tells at a switch what the thread before it was about to do', () => {
    const [preempted, ended] = found.steps.flatMap(({ left }) => left ?? []);
    assert.equal(preempted.state, 'preempted');
    assert.equal(preempted.pending?.word, 'mm[0].rss');
    assert.equal(preempted.pending?.operation, 'store');
    assert.deepEqual(ended, { thread: 1, state: 'ended' });
  });

  it('calls a step shared only if its order with one of another thread can matter', () => {
    const rss = found.steps.filter(({ word }) => word === 'mm[0].rss');
    assert.ok(rss.every(({ shared }) => shared));
    // Both only read for the semaphore, so neither could tell which came first.
    const semaphore = found.steps.filter(({ word }) => word === 'mm[0].mmapSem');
    assert.ok(semaphore.length > 0 && semaphore.every(({ shared }) => !shared));
  });

  it('is read back as it was written', () => {
    for (const counterexample of [found, deadlock()]) {
      assert.deepEqual(
        parseCounterexample(formatCounterexample(counterexample), FILE),
        counterexample,
      );
    }
  });

  it('has halves of entries where these are two words', async () => {
    const { steps } = await foundUnder('v18', 'i386-pae');
    const whole = steps.find(
      ({ operation, high }) => operation.endsWith('Wide') && high !== undefined,
    );
    assert.match(whole!.word, /^(pgd|pmd|pte)\[\d+\]\[\d+\]$/);
    assert.ok(steps.some(({ word }) => /^pte\[\d+\]\[0\]\.high$/.test(word)));
  });

  it('is written with a step to a line', () => {
    const lines = formatCounterexample(found).split('\n');
    const steps = lines.filter((line) => line.startsWith('    {"thread":'));
    assert.equal(steps.length, found.steps.length);
  });

  describe('is refused', () => {
    const change = (from: string | RegExp, to: string): string => {
      const text = formatCounterexample(deadlock());
      const changed = text.replace(from, to);
      assert.notEqual(changed, text);
      return changed;
    };
    const cases: [string, () => string, string, RegExp][] = [
      [
        'with a comma too few',
        () => change('"scenario": "made",', '"scenario": "made"'),
        'COUNTEREXAMPLE_FORMAT',
        /^found\.json:5: is not JSON: got "case": "by hand"/,
      ],
      [
        'when it is cut off',
        () => change(/"waiting"[^]*/, ''),
        'COUNTEREXAMPLE_FORMAT',
        /^found\.json:\d\d: is not JSON: the text ends/,
      ],
      [
        'when it is empty',
        () => '',
        'COUNTEREXAMPLE_FORMAT',
        /^found\.json:1: is not JSON: the text ends/,
      ],
      [
        'when it is something else',
        () => '{"records": []}',
        'COUNTEREXAMPLE_FORMAT',
        /minorfault: got nothing, expected "counterexample"/,
      ],
      [
        'when it is a list',
        () => '[]',
        'COUNTEREXAMPLE_FORMAT',
        /found\.json: got \[\], expected an object/,
      ],
      [
        'in another version',
        () => change('"version": 1', '"version": 2'),
        'COUNTEREXAMPLE_VERSION',
        /version: got 2, expected 1/,
      ],
      [
        'of an unknown architecture',
        () => change('"i386"', '"vax"'),
        'COUNTEREXAMPLE_FORMAT',
        /arch: got "vax", expected "i386" or/,
      ],
      [
        'of an unknown kind',
        () => change('"deadlock",', '"jam",'),
        'COUNTEREXAMPLE_FORMAT',
        /kind: got "jam", expected "invariant" or/,
      ],
      [
        'with an unknown operation',
        () => change('"spinLock"', '"spin"'),
        'COUNTEREXAMPLE_FORMAT',
        /steps\[0\]\.operation: got "spin", expected "load" or/,
      ],
      [
        'with a step of no thread',
        () => change('{"thread":1', '{"thread":2'),
        'COUNTEREXAMPLE_FORMAT',
        /waiting\[1\]\.thread: got 2, expected a whole number, 0 to 1/,
      ],
      [
        'with a step on the CPU of another',
        () => change('"cpu":0,"function', '"cpu":1,"function'),
        'COUNTEREXAMPLE_FORMAT',
        /cpu: got 1, expected 0/,
      ],
      [
        'with a value that is none',
        () => change('"after":1', '"after":"1"'),
        'COUNTEREXAMPLE_FORMAT',
        /steps\[0\]\.after: got "1", expected a number/,
      ],
      [
        'with a lock taken at no step',
        () => change('"since":0', '"since":7'),
        'COUNTEREXAMPLE_FORMAT',
        /waiting\[0\]\.holds\[0\]\.since: got 7, expected a whole number, 0 to 1/,
      ],
      [
        'without a field',
        () => change('  "fewest": false,\n', ''),
        'COUNTEREXAMPLE_FORMAT',
        /fewest: got nothing, expected true or false/,
      ],
    ];
    for (const [name, text, code, message] of cases) {
      it(name, () => {
        const mistake = mistakeIn(text());
        assert.equal(mistake.code, code);
        assert.match(mistake.message, message);
      });
    }
  });
});
