import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../src/designs/index.js';
import { testMachine, type TestMachine } from '../test/machine.js';
import { handwrittenTouch } from './handwritten.js';

const PAGES = 300;

async function touched(byHand: boolean): Promise<TestMachine> {
  const m = await testMachine({ frames: 600, design: designNamed('v18') });
  const task = m.vm.PROGRAMS.pftStart(m.cpu, PAGES);
  if (byHand) handwrittenTouch(m.vm, m.memory, m.cpu)(task, 0, PAGES);
  else m.vm.PROGRAMS.pftTouch(m.cpu, task, 0, PAGES);
  return m;
}

describe('the fault path by hand', () => {
  it('does what the stripped build does, word for word', async () => {
    const stripped = await touched(false);
    const byHand = await touched(true);
    stripped.audit();
    byHand.audit();
    const different = stripped.memory.words.findIndex(
      (value, word) => value !== byHand.memory.words[word],
    );
    assert.equal(different < 0 ? '' : stripped.vm.nameOf(different), '');
  });
});
