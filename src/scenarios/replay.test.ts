import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { foundUnder } from '../../test/counterexamples.js';
import { replayCounterexample } from './replay.js';

describe('a counterexample that is run again', () => {
  it('fails in the same way, step by step', async () => {
    for (const design of ['broken-plain-rss', 'broken-check-then-install']) {
      const recorded = await foundUnder(design);
      const again = await replayCounterexample(recorded);
      assert.equal(again.outcome, 'same');
      assert.deepEqual(again.failures, recorded.failures);
      assert.equal(again.divergence, undefined);
      assert.deepEqual(again.counterexample?.steps, recorded.steps);
    }
  });

  it('passes where what was wrong is mended, and says where it parted', async () => {
    const recorded = await foundUnder('broken-plain-rss');
    const again = await replayCounterexample({ ...recorded, design: 'v18' });
    assert.equal(again.outcome, 'passes');
    assert.deepEqual(again.failures, []);
    assert.match(again.divergence!.expected, /updateMmCounter: load mm\[0\]/);
    assert.match(again.divergence!.got, /updateMmCounter: addUnused mm\[0\]/);
  });

  it('fails again though the code between was changed', async () => {
    const recorded = await foundUnder('broken-plain-rss');
    // As if the VM had done something else before: a step more, and one less.
    const [first, second, ...others] = recorded.steps;
    const edited = { ...recorded, steps: [first, first, second, ...others.slice(1)] };
    const again = await replayCounterexample(edited);
    assert.equal(again.outcome, 'same');
    assert.equal(again.divergence!.step, 2);
  });

  it('is refused where there is no such case, design or thread', async () => {
    const recorded = await foundUnder('broken-plain-rss');
    const refused = (change: Partial<typeof recorded>, code: string): Promise<void> =>
      assert.rejects(replayCounterexample({ ...recorded, ...change }), { code });
    await refused({ case: 'none' }, 'CASE_UNKNOWN');
    await refused({ scenario: 'none' }, 'SCENARIO_UNKNOWN');
    await refused({ design: 'none' }, 'DESIGN_UNKNOWN');
    await refused({ threads: [{ cpu: 0, program: 'kswapd' }] }, 'REPLAY_THREADS');
  });
});
