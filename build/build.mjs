/**
 * Builds everything: TypeScript to dist/, then the plain and the stepped form of the VM, each a
 * single module with a source map back to src/.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rollup } from 'rollup';
import { strip } from './strip.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
try {
  execFileSync(process.execPath, [tsc, '-p', root], { stdio: 'inherit' });
} catch {
  process.exit(1);
}

const table = pathToFileURL(join(dist, 'src/hardware/operations.js'));
const { OPERATIONS, OPERATION_CODE } = await import(table.href);

for (const form of ['plain', 'stepped']) {
  const bundle = await rollup({
    input: join(dist, 'src/vm.js'),
    plugins: [stripped(form)],
    onwarn: (warning) => {
      throw new Error(warning.message);
    },
  });
  await bundle.write({
    file: join(dist, `vm/${form}.js`),
    format: 'es',
    sourcemap: true,
    // V8 folds module-level constants; a bundle that turns them into `var` runs 1.1 times slower.
    generatedCode: { constBindings: true },
  });
  await bundle.close();
}
chmodSync(join(dist, 'src/cli/main.js'), 0o755);

/** Loads an emitted module with its source map, in the given form. */
function stripped(form) {
  return {
    name: 'strip',
    load(id) {
      return { code: readFileSync(id, 'utf8'), map: JSON.parse(readFileSync(`${id}.map`, 'utf8')) };
    },
    transform(code, id) {
      const options = { operations: OPERATIONS, codes: OPERATION_CODE, file: id };
      return strip(code.replace(/\n\/\/# sourceMappingURL=.*$/m, ''), form, options);
    },
  };
}
