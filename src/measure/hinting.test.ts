import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../designs/index.js';
import { hintingTransitions } from './hinting.js';

describe('the state of a page', () => {
  it('changes by each minor fault and each unmap before the patch', async () => {
    const { design, ...changes } = await hintingTransitions(designNamed('hinting-before'));
    assert.equal(design, 'hinting-before');
    assert.deepEqual(changes, { fileFault: 2, fileUnmap: 1, swapFault: 2, swapUnmap: 1 });
  });

  for (const name of ['hinting-posted', 'hinting', 'linux-6-hinting']) {
    it(`does not under ${name}`, async () => {
      const { design, ...changes } = await hintingTransitions(designNamed(name));
      assert.equal(design, name);
      assert.deepEqual(changes, { fileFault: 0, fileUnmap: 0, swapFault: 0, swapUnmap: 0 });
    });
  }
});
