/**
 * What is known to differ, and why: docs/conformance.md has the same list. Each is as narrow as can be. Where one
 * applies the two sides have parted ways, so the comparison of the sequence ends there, and it is counted.
 */
import { EFAULT } from '../src/base/errno.js';
import { Advice } from './calls.js';
import type { Difference, Field } from './compare.js';

export interface Exemption {
  readonly name: string;
  readonly reason: string;
  readonly covers: (difference: Difference) => boolean;
}

export const EXEMPTIONS: readonly Exemption[] = [
  {
    name: 'remap_file_pages',
    reason:
      'ours makes non-linear mappings, as Linux did until 3.19; 4.0 and later put linear ones in their place',
    covers: ({ step }) => step.action.call === 'remap_file_pages',
  },
  {
    name: 'MADV_FREE of a part of a huge page',
    reason:
      'Linux splits the page, and maps those of its small pages that are all zeros to the shared one',
    covers: (difference) => {
      const { action } = difference.step;
      const freed = action.call === 'madvise' && action.advice === Advice.MADV_FREE;
      return freed && only(difference, 'areas');
    },
  },
  {
    name: 'fault-around at the end of a file',
    reason:
      'Linux 6.18-stable maps nothing around a fault where no leaf table is yet and the window begins with the ' +
      'last page of a file on a disk; seen where the fault itself is beyond the end',
    covers: (difference) => {
      const { action } = difference.step;
      const { outcome } = difference.linux;
      const loaded = action.call === 'load' && outcome.startsWith('SIGBUS');
      const populated = action.call === 'madvise' && action.advice === Advice.MADV_POPULATE_READ;
      const beyond = loaded || (populated && outcome === String(-EFAULT));
      return beyond && only(difference, 'areas');
    },
  },
];

function only({ fields }: Difference, ...allowed: readonly Field[]): boolean {
  return fields.every((field) => allowed.includes(field));
}
