import fc from 'fast-check';
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { describeDifference } from './compare.js';
import { Conformance } from './conformance.js';
import { sequences, type Mode } from './generate.js';

const SEQUENCES = 60;
const CALLS = 60;
/** Always the same ones: the search for new differences is npm run conformance. */
const SEED = 1;

const conformance = await Conformance.startOrReason();

if (typeof conformance === 'string') {
  it('random sequences end as on the kernel', { skip: conformance });
} else {
  describe('random sequences end as on the kernel of this machine', () => {
    after(() => conformance.stop());

    for (const mode of ['hints', 'kernel'] satisfies Mode[]) {
      it(`where addresses are ${mode === 'hints' ? 'given' : 'chosen by the kernel'}`, async () => {
        const property = fc.asyncProperty(sequences(mode, CALLS), async (calls) => {
          const found = await conformance.disagreement(calls);
          if (found !== undefined) assert.fail(describeDifference(found.steps, found.difference));
        });
        await fc.assert(property, { numRuns: SEQUENCES, seed: SEED });
      });
    }
  });
}
