import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryBuses } from './memoryBuses.js';

describe('a memory bus', () => {
  const buses = (): MemoryBuses =>
    new MemoryBuses(4, (cpu) => cpu >> 1, { pageBusNs: 700, pageLinkNs: 1000 });

  it('does not slow down one CPU of a node', () => {
    const bus = buses();
    assert.equal(bus.use(0, 0, 100, 900, false), 1000);
    assert.equal(bus.use(0, 0, 1000, 900, false), 1900);
  });

  it('is shared by the CPUs of a node that use it together', () => {
    const bus = buses();
    assert.equal(bus.use(0, 0, 0, 900, false), 900);
    assert.equal(bus.use(1, 0, 400, 900, false), 1800);
    assert.equal(bus.use(0, 0, 900, 900, false), 2300);
  });

  it('has a link that pages of other nodes share too', () => {
    const bus = buses();
    assert.equal(bus.use(0, 0, 0, 1300, true), 1300);
    assert.equal(bus.use(1, 0, 100, 1300, true), 2100);
    assert.equal(buses().use(1, 0, 100, 1300, true), 1400);
  });

  it('is another one for another node', () => {
    const bus = buses();
    bus.use(0, 0, 0, 900, false);
    assert.equal(bus.use(2, 1, 0, 900, false), 900);
  });
});
