import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OPERATIONS, OPERATION_CODE } from '../dist/src/hardware/operations.js';
import { declareTemporaries, expandShims } from './shims.mjs';
import { strip } from './strip.mjs';

const options = { operations: OPERATIONS, codes: OPERATION_CODE, file: 'x.js' };

/** Functions in the timed stepped form, one pass of shims written out. */
function expanded(source) {
  const { code } = strip(source, 'timedStepped', options);
  return declareTemporaries(expandShims(code)?.code ?? code).code;
}

/** Runs `f` of it with these lines held, and `words`. @returns what it returned, and how often it yielded */
function run(source, words, held) {
  const cpu = { calls: [], mayStep: () => false };
  const reads = (word) => held.includes(word);
  const f = new Function('words', 'reads', 'writes', `${expanded(source)} return f;`);
  const running = f(words, reads, reads)(cpu);
  let yields = 0;
  let step = running.next();
  for (; !step.done; yields++) step = running.next(100);
  return { value: step.value, yields, calls: cpu.calls.length };
}

const CHOICE = `
  function* f(cpu) { const low = 1; return yield* g(cpu, low); }
  function* g(cpu, word) {
    const first = yield* cpu.load(word);
    if (first > 10) { yield* cpu.store(word, 2); return first; }
    return first + (yield* cpu.load(word + 1));
  }`;

describe('shims', () => {
  it('are written out, with their constants among the temporaries', () => {
    const code = expanded(CHOICE);
    assert.doesNotMatch(code, /\$callee = g\(/);
    assert.match(code, /let [^;]*\$g_first/);
  });

  it('do what they did: either branch, with lines held or not', () => {
    for (const [words, held, value, yields] of [
      [[0, 3, 4], [1, 2], 7, 0],
      [[0, 30, 4], [1, 2], 30, 0],
      [[0, 3, 4], [1], 103, 1],
      [[0, 3, 4], [2], 100, 2],
    ]) {
      assert.deepEqual(run(CHOICE, words, held), { value, yields, calls: 0 });
    }
  });

  for (const [what, source, argument = 'low'] of [
    ['that loop', 'function* g(cpu, a) { while (yield* cpu.load(a)); }'],
    ['that change a parameter', 'function* g(cpu, a) { a = 1; yield* cpu.load(a); }'],
    ['that call themselves', 'function* g(cpu, a) { yield* g(cpu, a); }'],
    [
      'that mean something else by a name of the caller',
      'function* g(cpu, a) { yield* cpu.load(low + a); }',
    ],
    ['that are given more than a value', 'function* g(cpu, a) { yield* cpu.load(a); }', 'h(low)'],
  ]) {
    it(`are left alone ${what}`, () => {
      const caller = `function* f(cpu) { const low = 1; yield* g(cpu, ${argument}); }`;
      assert.ok(expanded(`${source} ${caller}`).includes(`$callee = g(cpu, ${argument})`));
    });
  }
});
