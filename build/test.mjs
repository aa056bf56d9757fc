/** Runs the tests that were built: node's own runner over every *.test.ts and *.test.mjs. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A lock that is never released must end the run, not hold it. */
const LIMIT_MS = 25 * 60 * 1000;

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const built = ['src', 'test', 'bench', 'conformance', 'soak']
  .flatMap((folder) => filesIn(folder, /\.test\.ts$/))
  .map((file) => join('dist', file.replace(/ts$/, 'js')));
const files = [...built, ...filesIn('build', /\.test\.mjs$/)];
// One file for each processor: node leaves one idle.
const concurrency = `--test-concurrency=${availableParallelism()}`;
const args = ['--enable-source-maps', '--test', concurrency, ...process.argv.slice(2), ...files];
const options = { cwd: root, stdio: 'inherit', timeout: LIMIT_MS };
const { status } = spawnSync(process.execPath, args, options);
process.exit(status ?? 1);

function filesIn(folder, pattern) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((file) => pattern.test(file))
    .map((file) => join(folder, file))
    .sort();
}
