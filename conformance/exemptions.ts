/**
 * What is known to differ, and why: docs/conformance.md has the same list. Each is as narrow as can be. Where one
 * applies the two sides have parted ways, so the comparison of the sequence ends there, and it is counted.
 */
import type { Difference } from './compare.js';

export interface Exemption {
  readonly name: string;
  readonly reason: string;
  readonly covers: (difference: Difference) => boolean;
}

export const EXEMPTIONS: readonly Exemption[] = [];
