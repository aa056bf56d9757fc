/**
 * Finds the functions of the VM that are straight: they load and store, call only such functions, and read no word for
 * which CPUs fight. The simulator runs them as plain functions beside others', for a generator costs more than most of
 * them do. So in one of them no other CPU comes between, which moves times by less than letting CPUs run ahead does.
 *
 * A straight function that loops until another CPU stores something would never end; there is none.
 */
import { parseAst } from '@rollup/wasm-node/parseAst';
import { operationOf, walk } from './strip.mjs';

/** What no other CPU can wait for. Atomic operations are not among them: those are done where CPUs meet. */
const STRAIGHT_OPERATIONS = new Set([
  'load',
  'loadWide',
  'store',
  'storeWide',
  'readOnce',
  'readOnceWide',
  'writeOnce',
  'writeOnceWide',
  'spend',
  'spendNs',
  'spendOn',
]);

/** Records that all CPUs use, by the tables of their fields: their lines are those that CPUs fight for. */
const SHARED_RECORDS = new Set(['Mm', 'Zone']);

/**
 * @param codes - the emitted modules of the VM
 * @returns names of the functions that are straight in whichever module they are
 */
export function straightFunctions(codes) {
  /** Of each name, the names of the functions that are called, and whether that is all that could be in the way. */
  const functions = new Map();
  for (const code of codes) {
    for (const node of parseAst(code).body) {
      const declared = node.type === 'ExportNamedDeclaration' ? node.declaration : node;
      if (declared?.type !== 'FunctionDeclaration' || !declared.generator) continue;
      const { id, body } = declared;
      const known = functions.get(id.name) ?? { mayBe: true, calls: new Set() };
      functions.set(id.name, known);
      walk(body, (inner) => look(inner, known));
    }
  }
  let straight = new Set([...functions.keys()].filter((name) => functions.get(name).mayBe));
  for (let before = Infinity; straight.size < before;) {
    before = straight.size;
    const callsOnly = (name) => [...functions.get(name).calls].every((call) => straight.has(call));
    straight = new Set([...straight].filter(callsOnly));
  }
  return straight;
}

/** Notes what a part of a function does. */
function look(node, known) {
  if (node.type === 'MemberExpression' && SHARED_RECORDS.has(node.object.name)) known.mayBe = false;
  if (node.type !== 'YieldExpression') return;
  const operation = operationOf(node.argument);
  if (operation === undefined) known.calls.add(node.argument.callee.name);
  else if (!STRAIGHT_OPERATIONS.has(operation)) known.mayBe = false;
}
