import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { deadlock } from '../../test/counterexamples.js';
import {
  readCounterexample,
  writeCounterexample,
  writeSchedulePage,
} from './counterexampleFiles.js';

describe('the file of a counterexample', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'minorfault-test-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is read back as it was written', async () => {
    const path = join(folder, 'found.json');
    await writeCounterexample(path, deadlock());
    assert.deepEqual(await readCounterexample(path), deadlock());
  });

  it('is written as a page, too', async () => {
    const path = join(folder, 'found.html');
    await writeSchedulePage(path, deadlock());
    assert.match(readFileSync(path, 'utf8'), /^<!doctype html>/);
  });

  it('is refused where there is none, and where none can be written', async () => {
    await assert.rejects(readCounterexample(join(folder, 'none.json')), { code: 'FILE_READ' });
    const path = join(folder, 'no', 'folder.json');
    await assert.rejects(writeCounterexample(path, deadlock()), {
      code: 'FILE_WRITE',
      message: `${path}: cannot be written (ENOENT)`,
    });
  });
});
