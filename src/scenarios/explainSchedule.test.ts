import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deadlock, foundUnder, made, type Made } from '../../test/counterexamples.js';
import type { Counterexample } from './counterexample.js';
import { deadlockInWords, explain, type Row } from './explainSchedule.js';

function switches(counterexample: Counterexample): Extract<Row, { kind: 'switch' }>[] {
  return explain(counterexample).rows.filter((row) => row.kind === 'switch');
}

function stepsShown(counterexample: Counterexample): number[] {
  return explain(counterexample).rows.flatMap((row) => (row.kind === 'step' ? [row.index] : []));
}

const load = (thread: number, word: string, before: number): Made => ({ thread, word, before });
const store = (thread: number, word: string, before: number, after: number): Made => ({
  thread,
  word,
  operation: 'store',
  before,
  after,
});
const lock = (thread: number, word: string): Made => ({
  thread,
  word,
  operation: 'spinLock',
  after: thread + 1,
});
const unlock = (thread: number, word: string): Made => ({
  thread,
  word,
  operation: 'spinUnlock',
  before: thread + 1,
  after: 0,
});

describe('the reason of a switch', () => {
  it('is the count that is lost under plain rss, on both sides', async () => {
    const found = await foundUnder('broken-plain-rss');
    const [away, back] = switches(found);
    assert.equal(away.title, 'cpu 0 is preempted, about to store 3 into mm[0].rss; cpu 1 begins');
    assert.equal(away.reasons.length, 1);
    assert.match(
      away.reasons[0],
      /^mm\[0\]\.rss: cpu 0 has read 2 \(step \d+\), cpu 1 makes it 3 .* stores 3 without having read it again/,
    );
    assert.equal(back.title, 'cpu 1 has ended; cpu 0 goes on');
    assert.match(
      back.reasons[0],
      /^mm\[0\]\.rss: cpu 0 stores 3 .* made of the 2 that it has read/,
    );
  });

  it('is the pte that is overwritten where it is checked before', async () => {
    const [away] = switches(await foundUnder('broken-check-then-install'));
    assert.match(away.reasons[0], /^pte\[\d+\]\[0\]: cpu 0 has read 0 .*, cpu 1 makes it 0x\w+/);
  });

  it('is the entry of two words between whose halves another comes', async () => {
    const [away] = switches(await foundUnder('v18', 'i386-pae'));
    assert.match(away.reasons[0], /changed pte\[\d+\]\[0\]\.high .* between its halves/);
  });

  it('is an exchange that fails', () => {
    const failing = {
      thread: 0,
      word: 'pte[2][0]',
      operation: 'cas',
      operands: [0, 0x5067],
      before: 0x4067,
    };
    const [away] = switches(
      made([load(0, 'pte[2][0]', 0), store(1, 'pte[2][0]', 0, 0x4067), failing]),
    );
    assert.match(away.reasons[0], /cpu 0 fails to exchange it \(step 3\)/);
  });

  it('is a value that is there only for a while', () => {
    const [away] = switches(
      made([
        store(0, 'pte[2][0]', 0x4067, 0),
        load(1, 'pte[2][0]', 0),
        store(0, 'pte[2][0]', 0, 0x1000),
      ]),
    );
    assert.match(
      away.reasons[0],
      /cpu 0 has made it 0 \(step 1\) and will make it 0x1000 \(step 3\)/,
    );
  });

  it('is told of the third thread too', () => {
    const rows = switches(
      made([
        load(0, 'mm[0].rss', 1),
        load(1, 'mm[0].rss', 1),
        store(2, 'mm[0].rss', 1, 2),
        store(0, 'mm[0].rss', 2, 2),
        store(1, 'mm[0].rss', 2, 2),
      ]),
    );
    assert.match(rows[1].reasons[0], /cpu 2 makes it 2 \(step 3\)/);
    assert.match(rows[3].reasons[0], /^mm\[0\]\.rss: cpu 1 stores 2 \(step 5\), made of the 1/);
  });

  it('is nothing where two only add', () => {
    const add = (thread: number, before: number): Made => ({
      thread,
      word: 'mm[0].rss',
      operation: 'addUnused',
      operands: [1],
      before,
      after: before + 1,
    });
    for (const { reasons } of switches(made([add(0, 0), add(1, 1), add(0, 2)]))) {
      assert.deepEqual(reasons, []);
    }
  });

  it('is nothing where a lock keeps a word in order', () => {
    const section = (thread: number, before: number): Made[] => [
      lock(thread, 'zone[0].lock'),
      load(thread, 'zone[0].freePages', before),
      store(thread, 'zone[0].freePages', before, before - 1),
      unlock(thread, 'zone[0].lock'),
    ];
    const steps = [...section(0, 9), ...section(1, 8), ...section(0, 7)];
    for (const { reasons } of switches(made(steps))) assert.deepEqual(reasons, []);
  });

  it('names who holds the lock that a thread waits for, and since when', () => {
    const pending = {
      operation: 'spinLock',
      operands: [],
      word: 'zone[0].lock',
      function: 'rmqueueBulk',
      callers: ['rmqueueBulk'],
      value: 1,
    };
    const [, away] = switches(
      made([
        lock(0, 'zone[0].lock'),
        load(1, 'mm[0].rss', 0),
        { ...unlock(0, 'zone[0].lock'), left: { thread: 1, state: 'waiting', pending } },
      ]),
    );
    assert.equal(
      away.title,
      'cpu 1 waits to lock zone[0].lock: cpu 0 has held it since step 1, in firstFault; cpu 0 goes on',
    );
  });
});

describe('the steps that are shown', () => {
  it('are those on the words that matter, and far fewer than all', async () => {
    const found = await foundUnder('broken-plain-rss');
    const shown = stepsShown(found);
    assert.ok(shown.length * 5 < found.steps.length, `${shown.length} of ${found.steps.length}`);
    const onRss = found.steps.flatMap(({ word }, index) => (word === 'mm[0].rss' ? [index] : []));
    for (const index of onRss) assert.ok(shown.includes(index), `step ${index + 1}`);
    // The lists of free pages are in order under their lock.
    assert.ok(!shown.some((index) => found.steps[index].word.startsWith('zone[0]')));
  });

  it('are the first and the last of each thread, whatever they are', () => {
    const own = (thread: number): Made[] =>
      [1, 2, 3].map((value) => ({ ...load(thread, 'task[0].mm', value), shared: false }));
    assert.deepEqual(stepsShown(made([...own(0), ...own(1)])), [0, 2, 3, 5]);
  });

  it('are the locks around a step that is shown, too', () => {
    const first = { ...load(0, 'task[0].mm', 0), shared: false };
    const steps = [
      first,
      lock(0, 'zone[0].lock'),
      store(0, 'mm[0].rss', 0, 1),
      unlock(0, 'zone[0].lock'),
      first,
    ];
    const other = [load(1, 'mm[0].rss', 1)];
    assert.deepEqual(stepsShown(made([...steps, ...other])), [0, 1, 2, 3, 4, 5]);
  });

  it('are all of them when all are asked for', async () => {
    const found = await foundUnder('broken-plain-rss');
    const { rows } = explain(found, true);
    assert.equal(rows.filter(({ kind }) => kind === 'step').length, found.steps.length);
    assert.ok(!rows.some(({ kind }) => kind === 'fold'));
  });

  it('and the folded ones are together the whole schedule, in order', async () => {
    const found = await foundUnder('v18', 'i386-pae');
    let next = 0;
    for (const row of explain(found).rows) {
      if (row.kind === 'switch') assert.equal(row.index, next);
      if (row.kind === 'step') assert.equal(row.index, next++);
      if (row.kind === 'fold') {
        assert.equal(row.first, next);
        next = row.end;
      }
    }
    assert.equal(next, found.steps.length);
  });

  it('are marked where a reason tells of them', () => {
    const cited = explain(
      made([
        load(0, 'mm[0].rss', 1),
        store(1, 'mm[0].rss', 1, 2),
        load(1, 'mm[0].rss', 2),
        store(0, 'mm[0].rss', 2, 2),
      ]),
    ).rows.flatMap((row) => (row.kind === 'step' && row.cited ? [row.index] : []));
    assert.deepEqual(cited, [0, 1, 3]);
  });
});

describe('a fold', () => {
  it('names the outermost functions that are entered in it', () => {
    const own = (...callers: string[]): Made => ({
      ...load(0, 'task[0].mm', 1),
      shared: false,
      callers: ['fault', ...callers],
    });
    const { rows } = explain(
      made([
        own(),
        own('alloc', 'rmqueue'),
        own('alloc'),
        own('zero'),
        own('alloc', 'prep'),
        own(),
      ]),
    );
    assert.deepEqual(rows[1], {
      kind: 'fold',
      thread: 0,
      first: 1,
      end: 5,
      functions: ['alloc', 'zero'],
    });
  });
});

describe('a deadlock', () => {
  it('tells who waits for what, who holds it since when, and where', () => {
    const [first, second] = deadlockInWords(deadlock());
    assert.equal(
      first.waits,
      'waits to lock zone[0].lock: cpu 1 has held it since step 2, in rmqueueBulk',
    );
    assert.deepEqual(first.callers, ['firstFault', 'doAnonymousPage']);
    assert.deepEqual(first.holds, ['holds mm[0].pageTableLock since step 1, in pteLock']);
    assert.deepEqual(second.holds, ['holds zone[0].lock since step 2, in rmqueueBulk']);
  });

  it('begins where a lock is taken that another will wait for', () => {
    const [away] = switches(deadlock());
    assert.deepEqual(away.reasons, [
      'zone[0].lock: cpu 1 takes it (step 2) and keeps it; cpu 0 waits for it at the end',
    ]);
  });

  it('shows the steps that took the locks', () => {
    assert.deepEqual(stepsShown(deadlock()), [0, 1]);
    assert.ok(explain(deadlock()).words.has('zone[0].lock'));
  });
});
