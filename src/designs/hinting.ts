import type { VmDesign } from '../mm/design.js';
import { linux, tableLock } from './tableLocks.js';

/** A guest as it was before the patch that this is about: each fault and each unmap tells the host something. */
export const hintingBefore: VmDesign = {
  ...tableLock,
  name: 'hinting-before',
  summary: 'table-lock under a host that takes frames, which is told of each fault and each unmap',
  source: 'Schwidefsky, Franke and Raj, guest page hinting, before the patch for minor faults',
  broken: 'two counts are read one after the other: a page that is held stable may become volatile',
  hinting: 'before',
};

/** With the patch. */
export const hintingPosted: VmDesign = {
  ...tableLock,
  name: 'hinting-posted',
  summary: 'the same, but minor faults and unmaps tell the host nothing',
  source: 'Schwidefsky, Franke and Raj, 28 June 2007, guest page hinting: minor faults',
  broken:
    'who discards a page passes over an empty pte without its lock, by which a fault is about to map it; and as before',
  hinting: 'posted',
};

/** SPEC S4-a: the patch without what it adds to do_swap_page and do_no_page. */
export const hintingUnchecked: VmDesign = {
  ...tableLock,
  name: 'hinting-unchecked',
  summary:
    'hinting-posted without a look, under the lock of the pte, whether the page is discarded',
  source: 'what the checks of PageDiscarded in the patch of 28 June 2007 are there to avoid',
  broken:
    'a page is mapped that its cache has no more: nothing finds the pte, which faults for ever',
  hinting: 'unchecked',
};

/** What we would ship. */
export const hinting: VmDesign = {
  ...tableLock,
  name: 'hinting',
  summary: 'table-lock under a host that takes frames, which may have what nobody is at work on',
  source: 'guest page hinting, with a count of who needs a page stable',
  hinting: 'ours',
};

/** With the locks of today. */
export const linuxHinting: VmDesign = {
  ...linux,
  name: 'linux-6-hinting',
  summary: 'linux-6 under a host that takes frames, which may have what nobody is at work on',
  source: hinting.source,
  hinting: 'ours',
};
