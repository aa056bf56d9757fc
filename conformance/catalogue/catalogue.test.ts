import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { CATALOGUE } from './index.js';
import { describeDifference } from '../compare.js';
import { Conformance } from '../conformance.js';

const conformance = await Conformance.startOrReason();

if (typeof conformance === 'string') {
  it('our VM does as the kernel does', { skip: conformance });
} else {
  describe('our VM does as the kernel of this machine does', () => {
    after(() => conformance.stop());

    for (const [theme, cases] of Object.entries(CATALOGUE)) {
      describe(theme, () => {
        for (const [name, calls] of Object.entries(cases)) {
          it(name, async () => {
            const found = await conformance.disagreement(calls);
            if (found !== undefined) assert.fail(describeDifference(found.steps, found.difference));
          });
        }
      });
    }
  });
}
