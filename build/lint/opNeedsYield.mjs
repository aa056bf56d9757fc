/**
 * Lint rule: a call that returns an Op must stand after `yield*`. Called bare it would silently do nothing
 * in the stepped form, and run in the plain one.
 */
import { ESLintUtils } from '@typescript-eslint/utils';

/** Name of the type alias of hardware/cpu.ts; as an interface it is a Generator. */
const OP = 'Op';

export const opNeedsYield = {
  meta: {
    type: 'problem',
    docs: { description: 'require yield* before a call that returns an Op' },
    messages: { missing: 'This call returns an Op: it does nothing without yield*.' },
    schema: [],
  },
  create(context) {
    const services = ESLintUtils.getParserServices(context);
    return {
      CallExpression(node) {
        if (node.parent.type === 'YieldExpression' && node.parent.delegate) return;
        const type = services.getTypeAtLocation(node);
        if (type.aliasSymbol?.name === OP) context.report({ node, messageId: 'missing' });
      },
    };
  },
};
