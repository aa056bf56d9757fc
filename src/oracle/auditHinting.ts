/** What the guest has told its host of each frame must be so, at a quiet point (guest page hinting). */
import type { Pfn } from '../base/units.js';
import {
  HINTING,
  HOST_BUSY,
  HOST_GONE,
  HOST_PINS,
  HOST_STABLE,
  HOST_STATE,
  HOST_UNUSED,
  HOST_VOLATILE,
  hostState,
} from '../hardware/hostStates.js';
import { PTE_WRITE } from '../hardware/machine.js';
import {
  PG_dirty,
  PG_discarded,
  PG_mappedtodisk,
  PG_swapcache,
  Page,
  pageOf,
} from '../mm/layout/page.js';
import type { MappedPage } from './pageTables.js';

/** What the audit has counted of a frame. */
interface Counted {
  readonly free: boolean;
  /** Whether the page cache has it. */
  readonly cached: boolean;
  readonly ptes: number;
}

export function auditHostState(
  words: Int32Array,
  pfn: Pfn,
  { free, cached, ptes }: Counted,
  faults: string[],
): void {
  if (!HINTING) return;
  const word = words[hostState(pfn)];
  const state = word & HOST_STATE;
  const flags = words[pageOf(pfn) + Page.flags];
  const say = (what: string): void => void faults.push(`page[${pfn}] ${what}`);
  if ((state === HOST_UNUSED) !== free)
    say(free ? 'is free, and the host must keep it' : 'is in use, and the host does not know');
  if ((word & HOST_BUSY) !== 0) say('is being taken by the host');
  if ((word & HOST_PINS) !== 0) say('is held stable by somebody');
  if (state === HOST_STABLE && (word & HOST_GONE) !== 0)
    say('is stable, and the host has taken it');
  if ((flags & PG_discarded) !== 0 && ptes > 0) say(`was discarded, and ${ptes} ptes map it`);
  if (state === HOST_UNUSED || state === HOST_STABLE) return;
  const inCache = cached || (flags & PG_swapcache) !== 0;
  // One that nobody can find any more may wait in a pagevec for its end.
  if (!inCache && ptes === 0) return;
  if (!inCache || (flags & PG_mappedtodisk) === 0) say('is volatile, and cannot be read again');
  if ((word & HOST_GONE) === 0 && (flags & PG_dirty) !== 0) say('is volatile, and dirty');
}

/** What the host does not look at before it takes a frame must not be written there. */
export function auditWritable(
  words: Int32Array,
  { entry, pfn }: MappedPage,
  where: string,
  faults: string[],
): void {
  if (!HINTING || (entry & PTE_WRITE) === 0) return;
  if ((words[hostState(pfn)] & HOST_STATE) !== HOST_VOLATILE) return;
  faults.push(`${where} may be written, and its page is volatile`);
}
