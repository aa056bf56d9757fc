/**
 * Turns a form into a template that engines/specialize.ts compiles once per machine: the body of a
 * function of TEMPLATE_PARAMETERS, with a list of where each constant stands.
 *
 * V8 does not fold module-level constants into code as literals are folded: a table walk measured
 * 33 ns with constants by name and 10 with their values written out.
 */
import MagicString from 'magic-string';
import { parseAst } from '@rollup/wasm-node/parseAst';
import { isPropertyName, visit } from './inline.mjs';

/** Parameters of the template's function; the last four are for the timed forms, see engines/simulate/simulateEngine.ts. */
export const TEMPLATE_PARAMETERS = [
  'instanceUrl',
  'words',
  'wides',
  'reads',
  'writes',
  'updates',
  'spends',
];

/** A rollup plugin that makes the module's exports the function's result. */
export function templating() {
  return {
    name: 'template',
    resolveImportMeta: (property) => (property === 'url' ? 'instanceUrl' : null),
    renderChunk(code) {
      const module = parseAst(code);
      const text = new MagicString(code);
      const exported = [];
      for (const node of module.body) {
        if (node.type !== 'ExportNamedDeclaration') continue;
        for (const { local, exported: name } of node.specifiers)
          exported.push(`${name.name}: ${local.name}`);
        text.remove(node.start, node.end);
      }
      const constants = constantNames(module).join(', ');
      text.append(`\nreturn { vm: { ${exported.join(', ')} }, constants: { ${constants} } };\n`);
      return { code: text.toString(), map: text.generateMap({ hires: true }) };
    },
  };
}

/** Where each top-level constant is used: name to [start, end] pairs, in order. */
export function constantUses(code) {
  const module = parseAst(code, { allowReturnOutsideFunction: true });
  const names = new Set(constantNames(module));
  const uses = {};
  visit(module, new Set(), (node, locals, parent) => {
    if (node.type !== 'Identifier' || !names.has(node.name) || locals.has(node.name)) return false;
    const declares = parent?.type === 'VariableDeclarator' && parent.id === node;
    const isKey = parent?.type === 'Property' && (parent.key === node || parent.shorthand);
    if (!declares && !isKey && !isPropertyName(node, parent))
      (uses[node.name] ??= []).push([node.start, node.end]);
    return false;
  });
  return uses;
}

const NO_SCALAR = new Set([
  'ObjectExpression',
  'ArrayExpression',
  'NewExpression',
  'ArrowFunctionExpression',
  'FunctionExpression',
]);

/** Top-level `const NAME = ...` whose value may be a number or a boolean. */
function constantNames(module) {
  return module.body
    .filter((node) => node.type === 'VariableDeclaration' && node.kind === 'const')
    .flatMap((node) => node.declarations)
    .filter(({ id, init }) => id.type === 'Identifier' && init && !NO_SCALAR.has(init.type))
    .map(({ id }) => id.name);
}
