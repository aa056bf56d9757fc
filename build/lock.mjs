/**
 * npm run lock: brings package-lock.json up to date without download addresses, so that it holds for any
 * registry. (npm's own omit-lockfile-registry-resolved loses the versions of optional packages that this
 * machine has no use for, and npm ci then refuses the file elsewhere.)
 */
import { execSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const LOCK = new URL('../package-lock.json', import.meta.url);

execSync('npm install --package-lock-only --ignore-scripts', { stdio: 'inherit' });
const lock = JSON.parse(readFileSync(LOCK, 'utf8'));
for (const entry of Object.values(lock.packages)) delete entry.resolved;
writeFileSync(LOCK, `${JSON.stringify(lock, null, 2)}\n`);
