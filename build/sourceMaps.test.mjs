/** The built forms lead a debugger back to the TypeScript they were made from. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { describe, it } from 'node:test';

const VM = new URL('../dist/vm/', import.meta.url);

describe('the source map', () => {
  for (const form of ['plain', 'stepped']) {
    it(`of the ${form} form finds functions of the VM in src/mm`, () => {
      const code = readFileSync(new URL(`${form}.js`, VM), 'utf8');
      assert.match(code, new RegExp(`//# sourceMappingURL=${form}\\.js\\.map`));
      const map = new SourceMap(JSON.parse(readFileSync(new URL(`${form}.js.map`, VM), 'utf8')));
      for (const [name, file] of [
        ['doAnonymousPage', 'anonymous.ts'],
        ['doWpPage', 'wp.ts'],
        ['zapPageRange', 'zap.ts'],
      ]) {
        const lines = code.split('\n');
        const declares = (line) => line.startsWith('function') && line.includes(` ${name}(`);
        const place = lines.findIndex(declares);
        const entry = map.findEntry(place, lines[place].indexOf(name));
        assert.ok(entry.originalSource.endsWith(`src/mm/${file}`), entry.originalSource);
        const source = readFileSync(new URL(`../src/mm/${file}`, import.meta.url), 'utf8');
        assert.match(source.split('\n')[entry.originalLine], new RegExp(name));
      }
    });
  }
});
