/**
 * Writes small pure functions and field offsets of a form that is a template out where they are used.
 *
 *   frameOf(entryPfn(entry)) + Page.refcount   becomes   (FRAME_BASE + ((entry >>> PAGE_SHIFT)) * PAGE_WORDS) + 1
 *
 * V8 would inline most of them too, but they use up the budget that it has for a function, and then
 * the functions that matter stay calls: the fault path measured half as fast without this step.
 */
import MagicString from 'magic-string';
import { parseAst } from '@rollup/wasm-node/parseAst';
import { walk } from './strip.mjs';

/** Deepest nesting of such functions in the VM, and one to be sure that nothing is left. */
const PASSES = 6;

/** Rollup plugins, one a pass: rollup joins their source maps. */
export function inlining() {
  return Array.from({ length: PASSES }, (_, pass) => ({
    name: `inline-${pass}`,
    renderChunk: inlineOnce,
  }));
}

function inlineOnce(code) {
  const module = parseAst(code);
  const text = new MagicString(code);
  const functions = pureFunctions(module);
  const offsets = offsetTables(module);
  visit(module, new Set(), (node, locals) => {
    const replacement =
      node.type === 'CallExpression'
        ? inlinedCall(code, node, functions.get(node.callee.name), locals)
        : foldedOffset(node, offsets, locals);
    if (replacement === undefined) return false;
    text.overwrite(node.start, node.end, replacement);
    return true;
  });
  return text.hasChanged()
    ? { code: text.toString(), map: text.generateMap({ hires: true }) }
    : null;
}

/** Top-level functions that only return an expression without effects of its own, by name. */
function pureFunctions(module) {
  const found = new Map();
  for (const node of module.body) {
    if (node.type !== 'FunctionDeclaration' || node.generator || node.async) continue;
    const [statement, ...others] = node.body.body;
    if (others.length > 0 || statement?.type !== 'ReturnStatement' || !statement.argument) continue;
    if (!node.params.every((param) => param.type === 'Identifier')) continue;
    const shape = shapeOf(statement.argument);
    if (shape.pure)
      found.set(node.id.name, { params: node.params, body: statement.argument, ...shape });
  }
  return found;
}

const IMPURE = new Set([
  'AssignmentExpression',
  'UpdateExpression',
  'FunctionExpression',
  'ArrowFunctionExpression',
  'ThisExpression',
  'NewExpression',
  'YieldExpression',
  'AwaitExpression',
  'ObjectExpression',
  'ArrayExpression',
  'TemplateLiteral',
]);

/** Whether an expression may be written elsewhere, what it refers to, and whether it has branches. */
function shapeOf(expression) {
  let pure = true;
  let branches = false;
  const identifiers = [];
  walk(expression, (node, parent) => {
    if (IMPURE.has(node.type)) pure = false;
    if (node.type === 'ConditionalExpression' || node.type === 'LogicalExpression') branches = true;
    // Calls of methods (Atomics, cpu) take effect; those of functions are looked at in a later pass.
    if (node.type === 'CallExpression' && !isMath(node.callee)) pure = false;
    if (node.type === 'Identifier' && !isPropertyName(node, parent)) identifiers.push(node);
  });
  return { pure, branches, identifiers };
}

function isMath(callee) {
  return callee.type === 'MemberExpression' && callee.object.name === 'Math';
}

export function isPropertyName(node, parent) {
  return parent?.type === 'MemberExpression' && parent.property === node && !parent.computed;
}

/** @returns the text that a call becomes, or undefined where it must stay a call */
function inlinedCall(code, call, callee, locals) {
  if (callee === undefined || call.arguments.length !== callee.params.length) return undefined;
  const names = callee.params.map(({ name }) => name);
  const free = callee.identifiers.filter(({ name }) => !names.includes(name));
  if (free.some(({ name }) => locals.has(name))) return undefined;
  for (const [index, argument] of call.arguments.entries()) {
    if (isSimple(argument)) continue;
    const uses = callee.identifiers.filter(({ name }) => name === names[index]).length;
    const alone = call.arguments.every((other, place) => place === index || isSimple(other));
    if (uses !== 1 || callee.branches || !alone) return undefined;
  }
  const { start, end } = callee.body;
  let text = '';
  let at = start;
  for (const identifier of callee.identifiers) {
    const index = names.indexOf(identifier.name);
    if (index < 0) continue;
    const argument = call.arguments[index];
    text += `${code.slice(at, identifier.start)}(${code.slice(argument.start, argument.end)})`;
    at = identifier.end;
  }
  return `(${text}${code.slice(at, end)})`;
}

/** Whether an expression can be written twice: a name, a number, a field of a name. */
function isSimple(node) {
  if (node.type === 'Identifier' || node.type === 'Literal') return true;
  return node.type === 'MemberExpression' && !node.computed && isSimple(node.object);
}

/** Top-level constant objects whose values are all whole numbers, by name. */
function offsetTables(module) {
  const tables = new Map();
  for (const statement of module.body) {
    if (statement.type !== 'VariableDeclaration' || statement.kind !== 'const') continue;
    for (const { id, init } of statement.declarations) {
      if (init?.type !== 'ObjectExpression' || init.properties.length === 0) continue;
      const plain = init.properties.every(
        (property) => property.type === 'Property' && Number.isInteger(property.value.value),
      );
      if (!plain) continue;
      tables.set(
        id.name,
        new Map(init.properties.map(({ key, value }) => [key.name, value.value])),
      );
    }
  }
  return tables;
}

function foldedOffset(node, tables, locals) {
  if (node.type !== 'MemberExpression' || node.computed || node.object.type !== 'Identifier')
    return undefined;
  if (locals.has(node.object.name)) return undefined;
  const value = tables.get(node.object.name)?.get(node.property.name);
  return value === undefined ? undefined : String(value);
}

/** Visits nodes with the names declared in the functions around them; `replace` stops the descent. */
export function visit(node, locals, replace, parent) {
  let inner = locals;
  if (/Function/.test(node.type)) {
    inner = new Set(locals);
    for (const param of node.params)
      walk(param, (part) => part.type === 'Identifier' && inner.add(part.name));
    walk(node.body, (part) => {
      if (part.type !== 'VariableDeclarator') return;
      walk(part.id, (name) => name.type === 'Identifier' && inner.add(name.name));
    });
  }
  if (replace(node, inner, parent)) return;
  for (const value of Object.values(node)) {
    const children = Array.isArray(value) ? value : [value];
    for (const child of children) {
      if (child && typeof child.type === 'string') visit(child, inner, replace, node);
    }
  }
}
