/** The project's own lint rules can fail: each is shown a snippet that breaks it. */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const eslint = new ESLint({ cwd: root });

async function complaints(filePath, code) {
  const [{ messages }] = await eslint.lintText(code, { filePath });
  return messages.map(({ ruleId, message }) => `${ruleId}: ${message}`).join('\n');
}

const op = (body) => `import type { Cpu, Op } from '../hardware/cpu.js';
export function* sysBrk(cpu: Cpu): Op<number> {
  ${body}
}
`;

describe('the lint', () => {
  it('finds an operation or a call of one without yield*', async () => {
    assert.match(
      await complaints('src/mm/brk.ts', op('cpu.store(1, 2);\n  return yield* cpu.load(1);')),
      /op-needs-yield/,
    );
    assert.doesNotMatch(
      await complaints('src/mm/brk.ts', op('return yield* cpu.load(1);')),
      /op-needs-yield/,
    );
  });

  it('finds an operation that is a method', async () => {
    const header = `import type { Cpu, Op } from '../hardware/cpu.js';\n`;
    const method = `*read(cpu: Cpu): Op<number> {\n    return yield* cpu.load(1);\n  }`;
    for (const code of [
      `export const source = {\n  ${method},\n};`,
      `export class Source {\n  ${method}\n}`,
    ]) {
      assert.match(
        await complaints('src/mm/brk.ts', `${header}${code}\n`),
        /op-needs-yield.*method/,
      );
    }
  });

  it('finds an import against the order of the rooms', async () => {
    const code = `export { DESIGNS } from '../designs/index.js';\n`;
    assert.match(await complaints('src/mm/brk.ts', code), /Imports run one way/);
    assert.doesNotMatch(await complaints('src/cli/designs.ts', code), /Imports run one way/);
  });

  it('finds Atomics, clocks, random numbers and files outside of the rooms that own them', async () => {
    for (const code of [
      'export const a = Atomics;',
      'export const a = Date.now();',
      'export const a = Math.random();',
      `import { readFileSync } from 'node:fs';\nexport const a = readFileSync;`,
    ]) {
      assert.match(
        await complaints('src/mm/brk.ts', `${code}\n`),
        /The room "mm" may not use this/,
      );
    }
  });
});
