import type { VmDesign } from '../mm/design.js';
import { highpteAtomic } from './highpte.js';
import { hinting } from './hinting.js';
import { relocate } from './relocate.js';

/** What the three are together: each is a choice of its own. SPEC S2, S3, S4. */
export const allAtOnce: VmDesign = {
  ...highpteAtomic,
  name: 'relocate-highpte-hinting',
  summary:
    'highpte-atomic, and page tables can move, under a host that takes frames: all of it at once',
  source: 'ours, for a stress of the three together',
  relocation: relocate.relocation!,
  hinting: hinting.hinting!,
};
