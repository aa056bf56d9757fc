/**
 * Makes four forms of the VM from its one source. Works on the JavaScript that TypeScript emits.
 *
 *   source                          plain form                      stepped form
 *   function* f(cpu) {              function f(cpu) {               function* f(cpu) {
 *     yield* g(cpu, 1);               g(cpu, 1);                      yield g(cpu, 1);
 *     v = yield* cpu.load(a);         v = words[a];                   v = (cpu.op = 0, cpu.x = a, yield);
 *   }                               }                               }
 *
 * Plain: functions that call each other, word operations inlined. (Small functions would use up
 * V8's inlining budget: measured 1.44 times slower than hand-written code, 1.0 to 1.2 with the
 * operations inlined here.)
 *
 * Stepped: an operation is written into the CPU's record and yielded to the engine; a call yields
 * the callee's generator, and the engine keeps the stack (engines/stepping.ts). (V8 resumes through
 * every level of a `yield*` chain: 269 ns an operation at depth 8; so: 70.)
 *
 * Timed, plain or stepped: for the simulator. Before a load, store or atomic operation it is asked whether the CPU
 * holds the line, which moves the CPU's clock; then the operation is performed where it stands. All others go into the
 * CPU's record, and the engine performs them:
 *
 *   v = (reads(a) ? words[a] : (cpu.op = 0, cpu.x = a, cpu.stepAlone()));
 *   v = (reads(a) ? words[a] : (cpu.op = 0, cpu.x = a, cpu.mayStep() ? cpu.step() : yield));
 *
 * A generator of the timed stepped form runs those that it calls. Only where one yields before its end does the caller
 * leave it to the engine, and yield too. Straight functions (straight.mjs) are no generators there; the engine performs
 * their operations whoever's turn it is:
 *
 *   v = (reads(a) ? words[a] : (cpu.op = 0, cpu.x = a, cpu.step()));
 */
import MagicString from 'magic-string';
import { parseAst } from '@rollup/wasm-node/parseAst';

/** What an inlined operation becomes in the plain form, by its arguments' text. */
const INLINED = {
  load: (a) => `words[${a}]`,
  store: (a, v) => `(words[${a}] = ${v})`,
  readOnce: (a) => `words[${a}]`,
  writeOnce: (a, v) => `(words[${a}] = ${v})`,
  loadWide: (a) => `wides[(${a}) / 2]`,
  readOnceWide: (a) => `wides[(${a}) / 2]`,
  writeOnceWide: (a, v) => `(wides[(${a}) / 2] = ${v})`,
  storeWide: (a, v) => `(wides[(${a}) / 2] = ${v})`,
  cas: (a, e, v) => `(Atomics.compareExchange(words, ${a}, ${e}, ${v}) === (${e}))`,
  xchg: (a, v) => `Atomics.exchange(words, ${a}, ${v})`,
  add: (a, v) => `Atomics.add(words, ${a}, ${v})`,
  or: (a, v) => `Atomics.or(words, ${a}, ${v})`,
  and: (a, v) => `Atomics.and(words, ${a}, ${v})`,
  spend: () => `undefined`,
  spendOn: () => `undefined`,
  spendNs: () => `undefined`,
};

/** The two choices that make a form: whether functions stay generators, and what is done at an operation. */
const FORMS = {
  plain: { generators: false, timed: false },
  stepped: { generators: true, timed: false },
  timedPlain: { generators: false, timed: true },
  timedStepped: { generators: true, timed: true },
};

/**
 * What an operation does to a line that the CPU holds, in the timed forms: the kind of access that is asked for,
 * and its effect. All others are the engine's.
 */
const HITS = {
  load: ['reads', INLINED.load],
  readOnce: ['reads', INLINED.load],
  loadWide: ['reads', INLINED.loadWide],
  readOnceWide: ['reads', INLINED.loadWide],
  store: ['writes', INLINED.store],
  writeOnce: ['writes', INLINED.store],
  storeWide: ['writes', INLINED.storeWide],
  writeOnceWide: ['writes', INLINED.storeWide],
  cas: ['updates', (a, e, v) => `(words[${a}] === (${e}) && ((words[${a}] = ${v}), true))`],
  xchg: ['updates', (a, v) => `(($old = words[${a}]), (words[${a}] = ${v}), $old)`],
  add: ['updates', (a, v) => `(($old = words[${a}]), (words[${a}] = $old + (${v})), $old)`],
  or: ['updates', (a, v) => `(($old = words[${a}]), (words[${a}] = $old | (${v})), $old)`],
  and: ['updates', (a, v) => `(($old = words[${a}]), (words[${a}] = $old & (${v})), $old)`],
};

/** How a form has the operation performed that it has written into the CPU's record. */
const ASK = {
  stepped: 'yield',
  timedPlain: 'cpu.stepAlone()',
  timedStepped: 'cpu.mayStep() ? cpu.step() : yield',
  straight: 'cpu.step()',
};

/** Variables of each function in the timed forms. */
const TEMPORARIES = 'let $at, $old, $callee, $result;';

/** Fields of a stepped CPU that carry the arguments of its pending operation. */
const ARGUMENTS = ['x', 'y', 'z'];

/**
 * @param code - an emitted module
 * @param form - 'plain', 'stepped', 'timedPlain' or 'timedStepped'
 * @param operations - OPERATIONS of hardware/operations.ts
 * @param codes - OPERATION_CODE of the same
 * @param file - for messages
 * @param straight - names of the functions that are straight, for 'timedStepped'
 * @returns the module's code in that form, and its source map
 */
export function strip(code, form, { operations, codes, file, straight = new Set() }) {
  const text = new MagicString(code);
  const fail = (node, what) => {
    const line = code.slice(0, node.start).split('\n').length;
    throw new Error(`${file}:${line}: ${what}`);
  };
  const source = (node) => code.slice(node.start, node.end);
  const { generators, timed } = FORMS[form];
  const isStraight = (name) => form === 'timedStepped' && straight.has(name);
  /** How operations are asked for in the function at hand. */
  let ask = ASK[form];

  const rewriteYield = (node, statement) => {
    const call = node.argument;
    if (!node.delegate) fail(node, 'yield without *: only the build writes that');
    if (call?.type !== 'CallExpression') fail(node, 'yield* of something that is no call');
    const operation = operationOf(call);
    if (operation === undefined) {
      if (!generators || isStraight(call.callee.name)) text.remove(node.start, call.start);
      else if (!timed) text.overwrite(node.start, call.start, 'yield ');
      else {
        text.overwrite(node.start, call.start, '(($result = ($callee = ');
        text.appendLeft(
          call.end,
          ').next()).done ? $result.value : (cpu.calls.push($callee), yield))',
        );
      }
      return;
    }
    if (operations[operation] === undefined) fail(node, `cpu.${operation} is no operation`);
    if (call.arguments.length !== operations[operation].args) {
      fail(node, `cpu.${operation} takes ${operations[operation].args} arguments`);
    }
    for (const argument of call.arguments) {
      if (contains(argument, 'YieldExpression')) {
        fail(argument, `an argument of cpu.${operation} is an operation itself: name its result`);
      }
    }
    const args = call.arguments.map(source);
    if (timed) {
      text.overwrite(node.start, node.end, timedOperation(operation, args, call, statement));
    } else if (generators) {
      text.overwrite(node.start, node.end, askedFor(operation, args, statement));
    } else if (INLINED[operation] !== undefined) {
      if (operation === 'cas' && contains(call.arguments[1], 'CallExpression')) {
        fail(call, 'the expected value of cpu.cas is written twice: name it first');
      }
      text.overwrite(node.start, node.end, INLINED[operation](...args));
    } else {
      text.remove(node.start, call.start);
    }
  };

  /** An operation that the engine performs. */
  const askedFor = (operation, args, statement) => {
    const name = operation === 'add' && statement ? 'addUnused' : operation;
    const sets = args.map((arg, index) => `cpu.${ARGUMENTS[index]} = ${arg}, `).join('');
    return `(cpu.op = ${codes[name]}, ${sets}${ask})`;
  };

  const timedOperation = (operation, args, call, statement) => {
    // It takes time and does nothing else: nobody need be asked.
    if (operation === 'spend') return `spends(${args[0]})`;
    if (HITS[operation] === undefined) return askedFor(operation, args, statement);
    const [access, effect] = HITS[operation];
    const twice = !contains(call.arguments[0], 'CallExpression');
    const [word, ...values] = args;
    const at = twice ? word : '$at';
    const asked = twice ? word : `($at = ${word})`;
    return `(${access}(${asked}) ? ${effect(at, ...values)} : ${askedFor(operation, [at, ...values], statement)})`;
  };

  const module = parseAst(code);
  walk(module, (node, parent) => {
    if (node.type === 'YieldExpression') {
      rewriteYield(node, parent?.type === 'ExpressionStatement');
    } else if (node.generator) {
      if (code.slice(node.start, node.start + 8) !== 'function') {
        fail(node, 'a generator that is a method: make it a function of its module');
      }
      if (timed) text.appendLeft(node.body.start + 1, TEMPORARIES);
      const straightHere = isStraight(node.id.name);
      ask = straightHere ? ASK.straight : ASK[form];
      if (generators && !straightHere) return;
      const star = code.indexOf('*', node.start);
      text.remove(star, star + 1);
    }
  });
  if (generators) text.append(functionNames(module, isStraight));
  return { code: text.toString(), map: text.generateMap({ hires: true }) };
}

/** Name of the word operation that a call makes, if it is one: `cpu.load(...)`. */
export function operationOf(call) {
  const { callee } = call;
  const isOperation =
    callee.type === 'MemberExpression' &&
    callee.object.type === 'Identifier' &&
    callee.object.name === 'cpu';
  return isOperation ? callee.property.name : undefined;
}

/** Lets a generator tell which function it runs: schedules print that. */
function functionNames(module, isStraight) {
  let tags = '';
  walk(module, (node) => {
    if (node.type !== 'FunctionDeclaration' || !node.generator || isStraight(node.id.name)) return;
    tags += `\n${node.id.name}.prototype.functionName = '${node.id.name}';`;
  });
  return tags;
}

function contains(node, type) {
  let found = false;
  walk(node, (inner) => {
    found ||= inner.type === type;
  });
  return found;
}

/** Visits every node of a syntax tree, parents first. */
export function walk(node, visit, parent) {
  visit(node, parent);
  for (const value of Object.values(node)) {
    const children = Array.isArray(value) ? value : [value];
    for (const child of children) {
      if (child && typeof child.type === 'string') walk(child, visit, node);
    }
  }
}
