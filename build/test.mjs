/** Runs the tests that were built: node's own runner over every *.test.ts and *.test.mjs. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const built = ['src', 'test', 'bench']
  .flatMap((folder) => filesIn(folder, /\.test\.ts$/))
  .map((file) => join('dist', file.replace(/ts$/, 'js')));
const files = [...built, ...filesIn('build', /\.test\.mjs$/)];
const args = ['--enable-source-maps', '--test', ...process.argv.slice(2), ...files];
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
process.exit(status ?? 1);

function filesIn(folder, pattern) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((file) => pattern.test(file))
    .map((file) => join(folder, file))
    .sort();
}
