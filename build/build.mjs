/**
 * Builds everything: TypeScript to dist/, then the forms of the VM, each in one file with a source map back to
 * src/: dist/vm/stepped.js, a module, and the others of dist/vm/, templates; and the scripts of pages.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rollup } from '@rollup/wasm-node';
import { inlining } from './inline.mjs';
import { shims } from './shims.mjs';
import { straightFunctions } from './straight.mjs';
import { strip } from './strip.mjs';
import { TEMPLATE_PARAMETERS, constantUses, templating } from './template.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');

const require = createRequire(import.meta.url);
const tsc = require.resolve('typescript/bin/tsc');
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
const { moduleIds } = await bundle('stepped', []);
const straight = straightFunctions(moduleIds.map((id) => readFileSync(id, 'utf8')));
for (const form of ['plain', 'timedPlain', 'timedStepped']) {
  const plugins = [...inlining(), ...(form === 'timedStepped' ? shims() : []), templating()];
  const { code } = await bundle(form, plugins, straight);
  const sidecar = { parameters: TEMPLATE_PARAMETERS, uses: constantUses(code) };
  writeFileSync(join(dist, `vm/${form}.constants.json`), JSON.stringify(sidecar));
}
await bundlePage('schedulePage');
await bundlePage('scalePage', 'uplot/dist/uPlot.min.css');
chmodSync(join(dist, 'src/cli/main.js'), 0o755);

/**
 * Writes the script of a page as one file without imports, and its style, for src/cli/html.ts to put into it.
 *
 * @param styles - of packages, to go before the page's own
 */
async function bundlePage(name, ...styles) {
  const build = await rollup({ input: join(dist, `web/${name}.js`), plugins: [charts()], onwarn });
  await build.write({ file: join(dist, `web/${name}.bundle.js`), format: 'iife' });
  await build.close();
  const files = [...styles.map((style) => require.resolve(style)), join(root, `web/${name}.css`)];
  const text = files.map((file) => readFileSync(file, 'utf8')).join('\n');
  writeFileSync(join(dist, `web/${name}.css`), text);
}

/** Finds the library of charts: the module of it, where Node would take the form for require. */
function charts() {
  const resolveId = (source) =>
    source === 'uplot' ? require.resolve('uplot/dist/uPlot.esm.js') : null;
  return { name: 'charts', resolveId };
}

/**
 * Writes one form of src/vm.ts.
 *
 * @param straight - names of straight functions
 * @returns rollup's chunk
 */
async function bundle(form, plugins, straight) {
  const build = await rollup({
    input: join(dist, 'src/vm.js'),
    plugins: [stripped(form, straight), ...plugins],
    onwarn,
  });
  const { output } = await build.write({
    file: join(dist, `vm/${form}.js`),
    format: 'es',
    sourcemap: true,
    generatedCode: { constBindings: true },
  });
  await build.close();
  return output[0];
}

/** What rollup warns of would be wrong here. */
function onwarn(warning) {
  throw new Error(warning.message);
}

/** Loads an emitted module with its source map, in the given form. */
function stripped(form, straight) {
  return {
    name: 'strip',
    load(id) {
      return { code: readFileSync(id, 'utf8'), map: JSON.parse(readFileSync(`${id}.map`, 'utf8')) };
    },
    transform(code, id) {
      const options = { operations: OPERATIONS, codes: OPERATION_CODE, file: id, straight };
      return strip(code.replace(/\n\/\/# sourceMappingURL=.*$/m, ''), form, options);
    },
  };
}
