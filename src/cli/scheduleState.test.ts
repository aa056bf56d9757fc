import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { moved, stacksAt, wordsAt, type PageData, type PageStep } from './scheduleState.js';

const step = (
  thread: number,
  callers: string[],
  word: string,
  before: string,
  after = before,
): PageStep => ({
  thread,
  callers,
  touches: [{ word, value: after, writes: before !== after }],
});

const data: PageData = {
  matter: ['rss'],
  cpus: ['cpu 0', 'cpu 1'],
  steps: [
    step(0, ['fault', 'lock'], 'lock', '0', '1'),
    step(0, ['fault', 'count'], 'rss', '2'),
    step(1, ['fault', 'count'], 'rss', '2', '3'),
    step(0, ['fault'], 'lock', '1', '0'),
  ],
};

describe('the words at a step', () => {
  it('are those touched so far, with their values and who changed them', () => {
    assert.deepEqual(wordsAt(data, 0), [{ word: 'lock', value: '1', writer: 0, touched: true }]);
    assert.deepEqual(wordsAt(data, 1)[0], {
      word: 'rss',
      value: '2',
      writer: undefined,
      touched: true,
    });
    assert.deepEqual(wordsAt(data, 3), [
      { word: 'rss', value: '3', writer: 2, touched: false },
      { word: 'lock', value: '0', writer: 3, touched: true },
    ]);
  });

  it('begin with those that matter', () => {
    assert.deepEqual(
      wordsAt(data, 1).map(({ word }) => word),
      ['rss', 'lock'],
    );
  });
});

describe('the stacks at a step', () => {
  it('are of the last step of each CPU, and say whether it will go on', () => {
    assert.deepEqual(stacksAt(data, 1), [
      { cpu: 'cpu 0', state: 'goes', callers: ['fault', 'count'] },
      { cpu: 'cpu 1', state: 'has not begun', callers: [] },
    ]);
    assert.deepEqual(
      stacksAt(data, 2).map(({ state }) => state),
      ['has stopped here', 'goes'],
    );
    assert.deepEqual(
      stacksAt(data, 3).map(({ state }) => state),
      ['goes', 'has ended'],
    );
  });
});

describe('going from step to step', () => {
  it('passes over those that cannot be seen, and stays at the ends', () => {
    const shown = [0, 2, 5];
    assert.equal(moved(shown, 0, 'next'), 2);
    assert.equal(moved(shown, 3, 'next'), 5);
    assert.equal(moved(shown, 3, 'previous'), 2);
    assert.equal(moved(shown, 5, 'next'), 5);
    assert.equal(moved(shown, 0, 'previous'), 0);
    assert.equal(moved(shown, 2, 'first'), 0);
    assert.equal(moved(shown, 2, 'last'), 5);
    assert.equal(moved([], 4, 'last'), 4);
  });
});
