import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { straightFunctions } from './straight.mjs';

describe('straight functions', () => {
  it('load and store, and call only such', () => {
    const codes = [
      `export function* loads(cpu, a) { return yield* cpu.load(a); }
       export function* adds(cpu, a) { yield* cpu.add(a, 1); }
       function* callsBoth(cpu, a) { yield* loads(cpu, a); yield* adds(cpu, a); }`,
      `function* callsOne(cpu, a) { yield* cpu.spend(1); return yield* loads(cpu, a); }
       function* callsThat(cpu, a) { yield* callsOne(cpu, a); }
       export function* callsUp(cpu, a) { yield* callsBoth(cpu, a); }`,
    ];
    assert.deepEqual([...straightFunctions(codes)].sort(), ['callsOne', 'callsThat', 'loads']);
  });

  it('touch no record that CPUs fight for', () => {
    const codes = ['function* f(cpu, mm) { return yield* cpu.load(mm + Mm.mmapCache); }'];
    assert.deepEqual([...straightFunctions(codes)], []);
  });

  it('are so in every module that has the name', () => {
    const codes = [
      'function* f(cpu, a) { yield* cpu.load(a); }',
      'function* f(cpu, a) { yield* cpu.spinLock(a); }',
    ];
    assert.deepEqual([...straightFunctions(codes)], []);
  });
});
