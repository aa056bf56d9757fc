import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OPERATIONS, OPERATION_CODE } from '../dist/src/hardware/operations.js';
import { strip } from './strip.mjs';

const options = { operations: OPERATIONS, codes: OPERATION_CODE, file: 'x.js' };
const plain = (code) => strip(code, 'plain', options).code;
const stepped = (code) => strip(code, 'stepped', options).code;
const timedPlain = (code) => strip(code, 'timedPlain', options).code;
const timedStepped = (code) => strip(code, 'timedStepped', options).code;

describe('the strip', () => {
  it('makes plain functions with word operations written out', () => {
    const source = 'function* f(cpu, a) { const v = yield* cpu.load(a); yield* g(cpu, v); }';
    assert.equal(plain(source), 'function f(cpu, a) { const v = words[a]; g(cpu, v); }');
  });

  it('makes stepped functions that hand operations and calls to the engine', () => {
    const source = 'function* f(cpu, a) { const v = yield* cpu.load(a); yield* g(cpu, v); }';
    const load = OPERATION_CODE.load;
    assert.ok(
      stepped(source).startsWith(
        `function* f(cpu, a) { const v = (cpu.op = ${load}, cpu.x = a, yield); yield g(cpu, v); }`,
      ),
    );
    assert.match(stepped(source), /f\.prototype\.functionName = 'f';/);
  });

  it('makes timed functions that perform an operation where the CPU holds the line, and else ask the engine', () => {
    const source = 'function* f(cpu, a) { return yield* cpu.load(a); }';
    const asks = `(reads(a) ? words[a] : (cpu.op = ${OPERATION_CODE.load}, cpu.x = a,`;
    assert.ok(timedPlain(source).includes(`return ${asks} cpu.stepAlone()));`));
    assert.ok(
      timedStepped(source).includes(`return ${asks} cpu.mayStep() ? cpu.step() : yield));`),
    );
  });

  it('works out the word of a timed operation once', () => {
    const source = 'function* f(cpu) { yield* cpu.store(g(1), 2); }';
    assert.match(timedPlain(source), /\(writes\(\(\$at = g\(1\)\)\) \? \(words\[\$at\] = 2\)/);
  });

  it('runs what a timed generator calls, and leaves it to the engine where it yields', () => {
    assert.match(
      timedStepped('function* f(cpu) { return yield* g(cpu, 1); }'),
      /\$callee = g\(cpu, 1\)\)\.next\(\)\)\.done \? \$result\.value : \(cpu\.calls\.push\(\$callee\), yield\)/,
    );
  });

  it('runs straight functions as plain ones, whoever’s turn it is', () => {
    const source =
      'function* f(cpu) { return yield* g(cpu); } function* g(cpu) { yield* cpu.load(1); }';
    const { code } = strip(source, 'timedStepped', { ...options, straight: new Set(['g']) });
    assert.match(code, /function\* f\(cpu\) \{.*return g\(cpu\); \} function g\(cpu\)/);
    assert.match(code, /cpu\.x = 1, cpu\.step\(\)\)/);
    assert.doesNotMatch(code, /g\.prototype/);
  });

  it('writes out what time work takes', () => {
    for (const form of [timedPlain, timedStepped]) {
      assert.match(form('function* f(cpu) { yield* cpu.spend(3); }'), /; spends\(3\); \}/);
    }
  });

  it('lets additions commute whose result is unused', () => {
    const { add, addUnused } = OPERATION_CODE;
    assert.match(
      stepped('function* f(cpu) { yield* cpu.add(1, 2); }'),
      new RegExp(`op = ${addUnused},`),
    );
    assert.match(
      stepped('function* f(cpu) { return yield* cpu.add(1, 2); }'),
      new RegExp(`op = ${add},`),
    );
  });

  it('compares what a compare-exchange found', () => {
    assert.match(
      plain('function* f(cpu, a, e) { return yield* cpu.cas(a, e, 1); }'),
      /return \(Atomics\.compareExchange\(words, a, e, 1\) === \(e\)\);/,
    );
  });

  for (const [what, code, message] of [
    [
      'an operation within an operation',
      'yield* cpu.store(1, yield* cpu.load(2));',
      /is an operation itself/,
    ],
    ['an unknown operation', 'yield* cpu.lode(1);', /cpu\.lode is no operation/],
    ['a wrong number of arguments', 'yield* cpu.load(1, 2);', /takes 1 arguments/],
    ['an expected value that is a call', 'yield* cpu.cas(1, g(), 2);', /name it first/],
    ['a yield of its own', 'yield 1;', /yield without \*/],
  ]) {
    it(`refuses ${what}, with file and line`, () => {
      for (const form of [plain, stepped]) {
        if (form === stepped && what.startsWith('an expected')) continue;
        assert.throws(() => form(`function* f(cpu) {\n  ${code}\n}`), message);
        assert.throws(() => form(`function* f(cpu) {\n  ${code}\n}`), /^Error: x\.js:2: /);
      }
    });
  }

  it('refuses a method that is a generator, with file and line', () => {
    for (const code of ['const o = {\n  *f(cpu) {} };', 'class C {\n  *f(cpu) {} }']) {
      for (const form of [plain, stepped, timedPlain, timedStepped]) {
        assert.throws(() => form(code), /^Error: x\.js:2: a generator that is a method/);
      }
    }
  });
});
