/**
 * Lint rule: a call that returns an Op must stand after `yield*`. Called bare it would silently do nothing
 * in the stepped form, and run in the plain one. And a function that is an Op is a `function*`, no method: what the
 * build makes of each is held by its name as a function.
 */
import { ESLintUtils } from '@typescript-eslint/utils';

/** Name of the type alias of hardware/cpu.ts; as an interface it is a Generator. */
const OP = 'Op';

export const opNeedsYield = {
  meta: {
    type: 'problem',
    docs: { description: 'require yield* before a call that returns an Op' },
    messages: {
      missing: 'This call returns an Op: it does nothing without yield*.',
      method: 'An Op is a function of its module: the build does not make its forms of a method.',
    },
    schema: [],
  },
  create(context) {
    const services = ESLintUtils.getParserServices(context);
    const refuseMethod = (node) => {
      if (returnsOp(services, node.value)) context.report({ node, messageId: 'method' });
    };
    return {
      'Property[method=true]': refuseMethod,
      MethodDefinition: refuseMethod,
      CallExpression(node) {
        if (node.parent.type === 'YieldExpression' && node.parent.delegate) return;
        const type = services.getTypeAtLocation(node);
        if (type.aliasSymbol?.name === OP) context.report({ node, messageId: 'missing' });
      },
    };
  },
};

/** Whether a function generates, and what it returns is an Op. */
function returnsOp(services, node) {
  if (!node.generator) return false;
  const [signature] = services.getTypeAtLocation(node).getCallSignatures();
  return signature?.getReturnType().aliasSymbol?.name === OP;
}
