/** What a design needs of an architecture, and which have it. */
import { InputError } from '../base/errors.js';
import { ARCHES, type ArchName } from '../hardware/arch/index.js';
import type { VmDesign } from '../mm/design.js';

/**
 * Why an architecture cannot carry a design, in one sentence; undefined if it can.
 *
 * V18 was for i386 without PAE, x86_64 and ia64 (CONFIG_ATOMIC_TABLE_OPS). Others that change a pte in one step can
 * carry it too; those that cannot have its fallback under page_table_lock, which asks for nothing.
 */
export function whyNotCarried(archName: ArchName, { name, locking }: VmDesign): string | undefined {
  const { pte, splitPfn, mmuSetsBits, atomicPtes } = ARCHES[archName];
  const reason = splitPfn
    ? `on ${archName} a pte is two words`
    : `${archName} has no compare-exchange on ptes${mmuSetsBits ? '' : ', which software alone writes'}`;
  if (!atomicPtes && (locking.fault === 'none' || !locking.anonWriteLock)) {
    return `${name} changes ptes by compare-exchange without a lock; ${reason}`;
  }
  if (locking.pteLock !== 'bit') return undefined;
  if (pte.lock === 0) return `${name} needs a free bit in each pte; ${archName} has none`;
  if (!atomicPtes) return `${name} takes a lock that is a bit of the pte; ${reason}`;
  return undefined;
}

/** Designs that an architecture can carry. */
export function carriedBy(arch: ArchName, designs: readonly VmDesign[]): readonly VmDesign[] {
  return designs.filter((design) => whyNotCarried(arch, design) === undefined);
}

/** @throws InputError when one of the designs cannot be carried */
export function expectCarried(arch: ArchName, designs: readonly VmDesign[]): void {
  for (const design of designs) {
    const reason = whyNotCarried(arch, design);
    if (reason !== undefined) {
      throw new InputError('DESIGN_ARCH', `${reason} (--force runs it all the same)`);
    }
  }
}
