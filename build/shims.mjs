/**
 * Writes small generators of the timed stepped form out where they are called, as expressions:
 *
 *   function* ptesLock(cpu, mm, table) {
 *     if (!PTE_LOCK_BIT) OPERATION;
 *   }
 *
 *   (($result = ($callee = ptesLock(cpu, mm, ptep)).next()).done ? ...)   becomes   ((!PTE_LOCK_BIT) ? OPERATION : undefined)
 *
 * The same operations in the same order, but one generator less to make; and where it would have yielded, one less for
 * the engine to keep and to resume. Measured: 1.1 to 1.25 times the touches a second on 8 contended CPUs.
 */
import MagicString from 'magic-string';
import { parseAst } from '@rollup/wasm-node/parseAst';
import { isPropertyName, visit } from './inline.mjs';
import { walk } from './strip.mjs';

/** Deepest nesting of such generators. */
const PASSES = 4;

/** Characters of a generator that is small. With twice as many the form doubles, and gains 2 percent. */
const MOST = 800;

/** Rollup plugins, one a pass, and one to declare what the passes left undeclared. */
export function shims() {
  const passes = Array.from({ length: PASSES }, (_, pass) => ({
    name: `shims-${pass}`,
    renderChunk: expandShims,
  }));
  return [...passes, { name: 'temporaries', renderChunk: declareTemporaries }];
}

/** One pass. @returns the code and its source map, or null where there was nothing to do */
export function expandShims(code) {
  const module = parseAst(code);
  const text = new MagicString(code);
  const shimOf = findShims(module);
  let caller;
  visit(module, new Set(), (node, locals) => {
    if (node.type === 'FunctionDeclaration') caller = node;
    const call = generatorCall(node);
    const shim = call && shimOf.get(call.callee.name);
    if (shim === undefined || !caller.generator) return false;
    const expression = expand(code, shim, call, locals);
    if (expression === undefined) return false;
    text.overwrite(node.start, node.end, expression);
    return true;
  });
  return text.hasChanged() ? rendered(text) : null;
}

/** Declares in each generator the temporaries that it uses: rollup has left out those that it had no use for. */
export function declareTemporaries(code) {
  const text = new MagicString(code);
  for (const node of parseAst(code).body) {
    if (node.type !== 'FunctionDeclaration' || !node.generator) continue;
    const used = new Set();
    walk(node.body, (inner) => {
      if (inner.type === 'Identifier' && isTemporary(inner.name)) used.add(inner.name);
    });
    const old = node.body.body.find(declaresTemporaries);
    if (old) text.remove(old.start, old.end);
    if (used.size > 0) text.appendLeft(node.body.start + 1, `let ${[...used].join(', ')};`);
  }
  return rendered(text);
}

function rendered(text) {
  return { code: text.toString(), map: text.generateMap({ hires: true }) };
}

function isTemporary(name) {
  return name.startsWith('$');
}

function declaresTemporaries(statement) {
  const declares = ({ id }) => id.type === 'Identifier' && isTemporary(id.name);
  return statement.type === 'VariableDeclaration' && statement.declarations.every(declares);
}

/** The call of a generator that an expression of the timed stepped form makes, if it does: see strip.mjs. */
function generatorCall(node) {
  if (node.type !== 'ConditionalExpression' || node.test.type !== 'MemberExpression') {
    return undefined;
  }
  const { object } = node.test;
  const runs = object.type === 'AssignmentExpression' && object.left.name === '$result';
  return runs ? object.right.callee.object.right : undefined;
}

/** Small generators whose body can be an expression, by name. */
function findShims(module) {
  const found = new Map();
  for (const node of module.body) {
    if (node.type !== 'FunctionDeclaration' || !node.generator) continue;
    if (node.end - node.start > MOST || !mayMove(node)) continue;
    /** What its constants are called among a caller's temporaries. */
    const renamed = new Map();
    const rename = (name) => {
      renamed.set(name, `$${node.id.name}_${name}`);
      return renamed.get(name);
    };
    const statements = node.body.body.filter((statement) => !declaresTemporaries(statement));
    const parts = expressionOf(statements, rename);
    const params = node.params.map(({ name }) => name);
    if (parts !== undefined) found.set(node.id.name, { params, parts, renamed });
  }
  return found;
}

/** Whether a function keeps its parameters as they are, has no function in it and does not call itself. */
function mayMove({ id, params, body }) {
  if (!params.every(({ type }) => type === 'Identifier')) return false;
  const isParam = ({ name }) => params.some((param) => param.name === name);
  let may = true;
  walk(body, (node) => {
    if (/Function/.test(node.type)) may = false;
    if (node.type === 'AssignmentExpression' && isParam(node.left)) may = false;
    if (node.type === 'UpdateExpression' && isParam(node.argument)) may = false;
    if (node.type === 'CallExpression' && node.callee.name === id.name) may = false;
  });
  return may;
}

/** @returns statements as an expression: texts, and nodes to be copied; undefined where they are more than that */
function expressionOf(statements, rename) {
  const [first, ...rest] = statements;
  if (first === undefined) return ['undefined'];
  if (first.type === 'IfStatement') return choiceOf(first, rest, rename);
  if (first.type === 'BlockStatement') return expressionOf([...first.body, ...rest], rename);
  if (first.type === 'ReturnStatement') {
    return first.argument ? ['(', first.argument, ')'] : ['undefined'];
  }
  const begun = effectOf(first, rename);
  const then = begun && expressionOf(rest, rename);
  return then && ['(', ...begun, ', ', ...then, ')'];
}

/** A statement that is followed by others whatever it does. */
function effectOf(statement, rename) {
  if (statement.type === 'ExpressionStatement') return ['(', statement.expression, ')'];
  if (statement.type !== 'VariableDeclaration' || statement.kind !== 'const') return undefined;
  const [{ id, init }, ...others] = statement.declarations;
  if (others.length > 0 || id.type !== 'Identifier') return undefined;
  return [`${rename(id.name)} = (`, init, ')'];
}

function choiceOf({ test, consequent, alternate }, rest, rename) {
  const otherwise = alternate ? [alternate] : [];
  const returns = [consequent, ...otherwise].some(mayReturn);
  // Where one of the two returns, what follows belongs to the other.
  const shared = returns ? rest : [];
  const yes = expressionOf([consequent, ...shared], rename);
  const no = expressionOf([...otherwise, ...shared], rename);
  const then = expressionOf(returns ? [] : rest, rename);
  if (yes === undefined || no === undefined || then === undefined) return undefined;
  const choice = ['((', test, ') ? ', ...yes, ' : ', ...no, ')'];
  return returns ? choice : ['(', ...choice, ', ', ...then, ')'];
}

function mayReturn(statement) {
  let found = false;
  walk(statement, (node) => {
    found ||= node.type === 'ReturnStatement';
  });
  return found;
}

/** @returns the text that a call becomes, or undefined where it must stay a call */
function expand(code, { params, parts, renamed }, call, locals) {
  if (call.arguments.length !== params.length || !call.arguments.every(isStable)) return undefined;
  const values = new Map(renamed);
  for (const [index, { start, end }] of call.arguments.entries()) {
    values.set(params[index], `(${code.slice(start, end)})`);
  }
  const texts = parts.map((part) =>
    typeof part === 'string' ? part : copyOf(code, part, values, locals),
  );
  return texts.includes(undefined) ? undefined : `(${texts.join('')})`;
}

/** The text of a node with values in place of names; undefined where another name would mean the caller's. */
function copyOf(code, part, values, locals) {
  const names = [];
  let free = true;
  walk(part, (node, parent) => {
    if (node.type !== 'Identifier' || isPropertyName(node, parent)) return;
    if (values.has(node.name) && parent?.type !== 'Property') names.push(node);
    else if (values.has(node.name) || (locals.has(node.name) && !isTemporary(node.name))) {
      free = false;
    }
  });
  if (!free) return undefined;
  let text = '';
  let at = part.start;
  for (const { name, start, end } of names.sort((a, b) => a.start - b.start)) {
    text += code.slice(at, start) + values.get(name);
    at = end;
  }
  return text + code.slice(at, part.end);
}

/** Whether an expression has the same value wherever in the callee it stands. */
function isStable(node) {
  if (node.type === 'Identifier' || node.type === 'Literal') return true;
  return node.type === 'BinaryExpression' && isStable(node.left) && isStable(node.right);
}
