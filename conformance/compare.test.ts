import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planSteps } from './calls.js';
import { describeDifference, firstDifference } from './compare.js';
import type { Report } from './report.js';
import { by, exit, fork, load, map, store } from './writing.js';

const REPORT: Report = {
  outcome: '0',
  minorFaults: 1,
  majorFaults: 0,
  areas: ['1000-2000 rw-p 0 anon d'],
};
const STEPS = planSteps([map(0, 1), store(0)]);

/** What is found where our report of the second step differs in some fields. */
function fieldsOf(change: Partial<Report>): readonly string[] | undefined {
  const linux = STEPS.map(() => REPORT);
  const ours = linux.map((report, i) => (i === 1 ? { ...report, ...change } : report));
  return firstDifference(STEPS, linux, ours)?.fields;
}

describe('the comparison', () => {
  it('finds no difference between equal reports', () => {
    assert.equal(fieldsOf({}), undefined);
  });

  it('tells each part of a report that differs', () => {
    assert.deepEqual(fieldsOf({ outcome: '-12' }), ['outcome']);
    assert.deepEqual(fieldsOf({ minorFaults: 2 }), ['faults']);
    assert.deepEqual(fieldsOf({ majorFaults: 1 }), ['faults']);
    assert.deepEqual(fieldsOf({ areas: [] }), ['areas']);
    assert.deepEqual(fieldsOf({ areas: ['1000-2000 rw-p 0 anon 9'] }), ['areas']);
  });

  it('takes a report that is missing for a difference', () => {
    const linux = STEPS.map(() => REPORT);
    assert.equal(firstDifference(STEPS, linux, linux.slice(0, 1))?.index, 1);
  });

  it('names the call, what each side said, and the lines that differ', () => {
    const linux = STEPS.map(() => REPORT);
    const ours = linux.map((report) => ({ ...report, outcome: '-12', areas: [] }));
    const text = describeDifference(STEPS, firstDifference(STEPS, linux, ours)!);
    assert.match(text, /→ process 0: mmap\(arena, 1 page, PROT_READ\|PROT_WRITE/);
    assert.match(text, /Linux {2}0x0, 1 minor faults/);
    assert.match(text, /ours {3}-ENOMEM/);
    assert.match(text, /\* 1000-2000 rw-p 0 anon d/);
  });
});

describe('the plan of a sequence', () => {
  const plan = (calls: Parameters<typeof planSteps>[0]): string[] =>
    planSteps(calls).map(({ process, action }) => `${process} ${action.call}`);

  it('ends with a look and the contents of every living process', () => {
    assert.deepEqual(plan([load(0)]), ['0 load', '0 look', '0 contents', '0 exit']);
  });

  it('shows a fork from both sides, and gives an ended process’s number to the next', () => {
    assert.deepEqual(plan([fork, ...by(0, exit), fork]).slice(0, 5), [
      '0 fork',
      '1 look',
      '0 exit',
      '1 fork',
      '0 look',
    ]);
  });

  it('leaves out a fork beyond four processes, and the exit of the last', () => {
    assert.equal(plan([fork, fork, fork, fork]).filter((step) => step.endsWith('fork')).length, 3);
    assert.equal(plan([exit]).filter((step) => step.endsWith('exit')).length, 1);
  });
});
