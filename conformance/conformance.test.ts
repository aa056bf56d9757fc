import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Conformance } from './conformance.js';
import type { Mode } from './generate.js';
import { search } from './search.js';

/** Always the same sequences: the search for new differences is npm run conformance. */
const OPTIONS = { sequences: 60, calls: 60, seed: 1 };

const conformance = await Conformance.startOrReason();

if (typeof conformance === 'string') {
  it('random sequences end as on the kernel', { skip: conformance });
} else {
  describe('random sequences end as on the kernel of this machine', () => {
    after(() => conformance.stop());

    for (const mode of ['hints', 'kernel'] satisfies Mode[]) {
      it(`where addresses are ${mode === 'hints' ? 'given' : 'chosen by the kernel'}`, async () => {
        const { difference } = await search(conformance, { ...OPTIONS, mode });
        assert.equal(difference, undefined);
      });
    }
  });
}
