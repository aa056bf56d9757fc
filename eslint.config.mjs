import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';
import { opNeedsYield } from './build/lint/opNeedsYield.mjs';
import { roomRules } from './build/lint/rooms.mjs';

/** The runner awaits what these return. */
const NODE_TEST = [
  { from: 'package', package: 'node:test', name: ['describe', 'it', 'before', 'after'] },
];

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { minorfault: { rules: { 'op-needs-yield': opNeedsYield } } },
    rules: {
      'minorfault/op-needs-yield': 'error',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/explicit-function-return-type': ['error', { allowExpressions: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'off',
      // A generator that happens to do nothing in one configuration is still an Op.
      'require-yield': 'off',
      eqeqeq: 'error',
      '@typescript-eslint/no-floating-promises': ['error', { allowForKnownSafeCalls: NODE_TEST }],
    },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: { globals: { process: 'readonly', URL: 'readonly' } },
  },
  ...roomRules(),
);
