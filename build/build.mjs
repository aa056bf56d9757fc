/**
 * Builds everything: TypeScript to dist/, then the forms of the VM, each in one file with a source map back to
 * src/: dist/vm/stepped.js, a module, and the others of dist/vm/, templates; and the scripts of pages.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rollup } from '@rollup/wasm-node';
import { inlining } from './inline.mjs';
import { strip } from './strip.mjs';
import { TEMPLATE_PARAMETERS, constantUses, templating } from './template.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
for (const project of [root, join(root, 'web')]) {
  try {
    execFileSync(process.execPath, [tsc, '-p', project], { stdio: 'inherit' });
  } catch {
    process.exit(1);
  }
}

const table = pathToFileURL(join(dist, 'src/hardware/operations.js'));
const { OPERATIONS, OPERATION_CODE } = await import(table.href);

mkdirSync(join(dist, 'vm'), { recursive: true });
await bundle('stepped', []);
for (const form of ['plain', 'timedPlain', 'timedStepped']) {
  const code = await bundle(form, [...inlining(), templating()]);
  const sidecar = { parameters: TEMPLATE_PARAMETERS, uses: constantUses(code) };
  writeFileSync(join(dist, `vm/${form}.constants.json`), JSON.stringify(sidecar));
}
await bundlePage('schedulePage');
chmodSync(join(dist, 'src/cli/main.js'), 0o755);

/** Writes the script of a page as one file without imports, for src/cli/scheduleHtml.ts to put into it. */
async function bundlePage(name) {
  const build = await rollup({ input: join(dist, `web/${name}.js`), onwarn });
  await build.write({ file: join(dist, `web/${name}.bundle.js`), format: 'iife' });
  await build.close();
  copyFileSync(join(root, `web/${name}.css`), join(dist, `web/${name}.css`));
}

/** Writes one form of src/vm.ts. @returns its code */
async function bundle(form, plugins) {
  const build = await rollup({
    input: join(dist, 'src/vm.js'),
    plugins: [stripped(form), ...plugins],
    onwarn,
  });
  const { output } = await build.write({
    file: join(dist, `vm/${form}.js`),
    format: 'es',
    sourcemap: true,
    generatedCode: { constBindings: true },
  });
  await build.close();
  return output[0].code;
}

/** What rollup warns of would be wrong here. */
function onwarn(warning) {
  throw new Error(warning.message);
}

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
