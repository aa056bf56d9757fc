import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { deadlock, foundUnder, made } from '../../test/counterexamples.js';
import type { Counterexample } from '../scenarios/counterexample.js';
import { formatHead, formatSchedule, textWidth } from './scheduleText.js';

describe('the text of a schedule', () => {
  let found: Counterexample;
  before(async () => {
    found = await foundUnder('broken-plain-rss');
  });

  it('begins with what fails, where, and how few switches it takes', () => {
    assert.match(
      formatHead(found),
      /^first-fault \(write, write\) under broken-plain-rss fails: audit on i386, \d+ steps with 1 preemption; none fails with fewer\n {2}mm\[0\]\.rss is 3, should be 4$/,
    );
  });

  it('has a column for each CPU, with what runs there', () => {
    const [head] = formatSchedule(found, { width: 120 }).split('\n');
    assert.match(head, /^ {7}cpu 0: firstFault, task\[0\] +│ cpu 1: firstFault, task\[1\]$/);
  });

  it('says at the switch what it costs, and shows the steps of that', () => {
    const text = formatSchedule(found, { width: 200 });
    assert.match(text, /─ cpu 0 is preempted, about to store 3 into mm\[0\]\.rss; cpu 1 begins\n/);
    assert.match(text, /\n +mm\[0\]\.rss: cpu 0 has read 2 \(step (\d+)\), cpu 1 makes it 3/);
    assert.match(text, /\n +\d+\* +│ updateMmCounter: mm\[0\]\.rss 2 → 3\n/);
    assert.match(text, /\n +\d+\* updateMmCounter: mm\[0\]\.rss 3 → 3 +│\n/);
    assert.match(text, /pte\[2\]\[0\] cas 0 → 0x4067 \{frame 4, write, dirty, accessed\}/);
  });

  it('folds what plays no part, and tells the functions', () => {
    const text = formatSchedule(found, { width: 200 });
    assert.match(text, /· \d+ steps of its own: doNoPage, doAnonymousPage/);
    assert.doesNotMatch(text, /zone\[0\]|vma\[0\]/);
    assert.ok(text.split('\n').length < 50);
  });

  it('unfolds everything when asked to', () => {
    const text = formatSchedule(found, { width: 200, all: true });
    assert.match(text, /lock zone\[0\]\.lock/);
    assert.doesNotMatch(text, /of its own/);
    for (const number of [1, 2, found.steps.length]) {
      assert.match(text, new RegExp(`\\n *${number}[ *] `));
    }
  });

  it('ends with the failure', () => {
    const lines = formatSchedule(found, { width: 120 }).split('\n');
    assert.deepEqual(lines.slice(-2), [
      '────── fails: audit',
      '       mm[0].rss is 3, should be 4',
    ]);
  });

  it('keeps within the width, for two CPUs and for four', () => {
    const four = made(
      [0, 1, 2, 3, 0].map((thread) => ({
        thread,
        word: 'page[12345].aFieldWithAVeryLongNameThatFitsNoColumn',
        operation: 'store',
        after: thread,
        callers: ['aFunctionWithAVeryLongNameToo'],
      })),
    );
    for (const width of [80, 120, 200]) {
      for (const counterexample of [found, four]) {
        const lines = formatSchedule(counterexample, { width }).split('\n');
        const widest = Math.max(...lines.map(({ length }) => length));
        // Four columns of the least width need 112 characters.
        const columns = counterexample === four ? 112 : 0;
        assert.ok(widest <= Math.max(width, columns), `${widest} of ${width}`);
      }
    }
    assert.match(formatSchedule(four, { width: 120 }), /page\[.*….*Column/);
  });

  it('tells of a deadlock who holds what since when, and who waits', () => {
    const text = formatSchedule(deadlock(), { width: 120 });
    const end = text.slice(text.indexOf('fails: deadlock'));
    assert.equal(
      end,
      [
        'fails: deadlock',
        '       cpu 0 waits to lock zone[0].lock: cpu 1 has held it since step 2, in rmqueueBulk',
        '         in firstFault > doAnonymousPage',
        '         holds mm[0].pageTableLock since step 1, in pteLock',
        '       cpu 1 waits to lock mm[0].pageTableLock: cpu 0 has held it since step 1, in pteLock',
        '         in firstFault > doAnonymousPage',
        '         holds zone[0].lock since step 2, in rmqueueBulk',
      ].join('\n'),
    );
  });
});

describe('the width of the text', () => {
  it('is the terminal’s, or else grows with the CPUs', () => {
    assert.equal(textWidth(100, 2), 100);
    assert.ok(textWidth(undefined, 4) > textWidth(undefined, 2));
  });
});
