import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designsOn } from '../../test/machine.js';
import { ARCH_NAMES, type ArchName } from '../hardware/arch/index.js';
import { carriedBy, expectCarried, whyNotCarried } from './carries.js';
import { DESIGNS, designNamed } from './index.js';

const ATOMIC: readonly ArchName[] = ['i386', 'x86_64', 'ia64', 'ppc64', 'riscv-sv39', 'riscv-sv48'];

describe('an architecture', () => {
  it('carries V18 if a pte there is changed in one step', () => {
    for (const arch of ARCH_NAMES) {
      for (const name of ['v18-first', 'v18', 'v18-per-thread', 'v18-wp-locked', 'v18-held']) {
        const carried = whyNotCarried(arch, designNamed(name)) === undefined;
        assert.equal(carried, ATOMIC.includes(arch), `${arch}, ${name}`);
      }
    }
  });

  it('carries every design whose locks are outside of the pte', () => {
    const names = ['page-table-lock', 'page-table-lock-exchange', 'v18-debug-pagealloc'];
    for (const name of [...names, 'table-lock', 'hashed-locks', 'linux-6']) {
      for (const arch of ARCH_NAMES)
        assert.equal(whyNotCarried(arch, designNamed(name)), undefined);
    }
  });

  it('carries a lock bit if it has one to spare, and changes it in one step', () => {
    const carrying = ARCH_NAMES.filter(
      (arch) => carriedBy(arch, [designNamed('pte-bit')]).length === 1,
    );
    assert.deepEqual(carrying, ['i386', 'x86_64', 'ia64', 'riscv-sv39', 'riscv-sv48']);
  });

  it('is named with what it lacks where it is refused', () => {
    assert.throws(() => expectCarried('i386-pae', DESIGNS), {
      code: 'DESIGN_ARCH',
      message: /v18-first changes ptes by compare-exchange.*on i386-pae a pte is two words/,
    });
    assert.throws(() => expectCarried('ppc64', DESIGNS), { message: /ppc64 has none/ });
  });

  it('carries what tests run on it', () => {
    for (const arch of ARCH_NAMES) {
      assert.deepEqual(carriedBy(arch, designsOn(arch)), designsOn(arch));
      assert.ok(designsOn(arch).length > 0);
    }
  });
});
