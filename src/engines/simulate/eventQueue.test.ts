import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EventQueue } from './eventQueue.js';

describe('the event queue', () => {
  it('hands out events in order of time', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1000 })), (times) => {
        const queue = new EventQueue(times.length);
        times.forEach((time, item) => queue.push(time, item));
        const order = [];
        while (queue.size > 0) {
          const next = queue.nextTime;
          assert.equal(times[queue.pop()], next);
          order.push(next);
        }
        assert.deepEqual(
          order,
          [...times].sort((a, b) => a - b),
        );
        assert.equal(queue.nextTime, Infinity);
      }),
    );
  });
});
