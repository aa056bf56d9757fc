import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { made, type Made } from '../../test/counterexamples.js';
import { ARCHES, type Arch } from '../hardware/arch/index.js';
import { pendingInWords, stepInWords, valueInWords } from './stepWords.js';

const i386: Arch = ARCHES.i386;
const pae: Arch = ARCHES['i386-pae'];

function words(step: Omit<Made, 'thread'>, arch = i386): string {
  return stepInWords(made([{ thread: 0, ...step }]).steps[0], arch);
}

describe('a step in words', () => {
  const cases: [Omit<Made, 'thread'>, string][] = [
    [{ word: 'mm[0].rss', before: 4 }, 'mm[0].rss = 4'],
    [{ word: 'mm[0].rss', operation: 'store', before: 4, after: 5 }, 'mm[0].rss 4 → 5'],
    [
      { word: 'pte[5][3]', operation: 'store', after: 0x7067 },
      'pte[5][3] 0 → 0x7067 {frame 7, write, dirty, accessed}',
    ],
    [
      { word: 'pte[5][3]', operation: 'cas', operands: [0, 0x7067], before: 0x25 },
      'pte[5][3] cas failed: is 0x25 {the zero page, accessed}, expected 0',
    ],
    [
      { word: 'pgd[1][256]', operation: 'cas', operands: [0, 0x5067], after: 0x5067 },
      'pgd[1][256] cas 0 → 0x5067 {table in frame 5}',
    ],
    [{ word: 'zone[0].lock', operation: 'spinLock', after: 1 }, 'lock zone[0].lock'],
    [{ word: 'mm[0].mmapSem', operation: 'downRead', after: 1 }, 'down_read mm[0].mmapSem'],
    [
      { word: 'mm[0].mmapSem', operation: 'tryDownRead', before: -5 },
      'down_read_trylock mm[0].mmapSem failed',
    ],
    [
      { word: 'page[4].flags', operation: 'lockBit', operands: [2], after: 2 },
      'lock page[4].flags {PG_locked}',
    ],
    [
      { word: 'frame[6][0]', operation: 'copyPage', operands: [9], source: 'frame[4][0]' },
      'copy frame[4] to frame[6]',
    ],
    [{ word: 'cpu[1].ipiDone', operation: 'invalidate', operands: [0] }, 'flush the TLB of cpu 1'],
    [
      { word: 'vma[0].vmEnd', operation: 'loadWide', before: 0x40004000 },
      'vma[0].vmEnd = 0x40004000',
    ],
  ];
  for (const [step, text] of cases) it(text, () => assert.equal(words(step), text));

  it('joins the halves of an entry that is read as a whole, and cannot tell the frame from one', () => {
    const whole = { word: 'pte[3][0]', operation: 'loadWide', before: 0x3067 };
    const high = { before: 1, after: 1 };
    assert.match(words({ ...whole, high }, pae), /\{frame 7, write/);
    assert.match(words({ word: 'pte[3][0]', before: 0x3067 }, pae), /\{frame 6 or 7, write/);
    assert.equal(
      words({ word: 'pte[3][0].high', before: 1 }, pae),
      'pte[3][0].high = 1 {odd frame}',
    );
  });
});

describe('an entry that maps nothing', () => {
  it('is told apart by what it remembers', () => {
    assert.match(valueInWords('pte[2][0]', 0x1000, i386), /\{in swap\}/);
    assert.match(valueInWords('pte[2][0]', 0x1000 | i386.pte.file, i386), /\{offset in a file\}/);
    assert.match(
      valueInWords('pte[2][0]', 0x5000 | i386.pte.protNone, i386),
      /\{frame 5, no access\}/,
    );
    assert.match(valueInWords('pte[2][0]', i386.pte.lock, i386), /\{lock\}/);
    for (const entry of ['pte[2][0]', 'pgd[2][0]']) {
      assert.match(valueInWords(entry, i386.pte.write, i386), /\{moved to another table\}/);
    }
  });
});

describe('what a thread is about to do', () => {
  it('is told without what comes of it', () => {
    const pending = { function: 'f', callers: ['f'], word: 'mm[0].rss', value: 3 };
    const next = (operation: string, ...operands: number[]): string =>
      pendingInWords({ ...pending, operation, operands }, i386);
    assert.equal(next('load'), 'load mm[0].rss');
    assert.equal(next('store', 4), 'store 4 into mm[0].rss');
    assert.equal(next('cas', 3, 4), 'cas mm[0].rss 3 → 4');
    assert.equal(next('addUnused', -1), 'add -1 to mm[0].rss');
    assert.equal(next('spinLock'), 'lock mm[0].rss');
    assert.equal(next('sleepOn', 3), 'sleep while mm[0].rss is 3');
  });
});
