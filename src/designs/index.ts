/** Every named design. A new one is a file, and an entry here. */
import { InputError } from '../base/errors.js';
import { COUNTER_FORMS, type VmDesign } from '../mm/design.js';
import { allAtOnce } from './allAtOnce.js';
import {
  brokenCheckThenInstall,
  brokenLruBeforeInstall,
  brokenPlainRss,
  brokenPopulateLeak,
  brokenPopulateStore,
  brokenReadModifyWrite,
  brokenRmapBeforeInstall,
  brokenUnmapRss,
  brokenV18Debug,
} from './broken.js';
import {
  hinting,
  hintingBefore,
  hintingPosted,
  hintingUnchecked,
  linuxHinting,
} from './hinting.js';
import {
  highpte257,
  highpteAtomic,
  highpteBackport,
  highpteHybrid,
  highptePersistent,
  highpteTwoKmaps,
  highpteWindow,
} from './highpte.js';
import { pageTableLock, pageTableLockExchange, pageTableLockPrezero } from './pageTableLock.js';
import { linuxPrefault, prefault, prefaultV1, prefaultV2, v18Prefault } from './prefault.js';
import {
  brokenRelocateAtOnce,
  brokenRelocateFlush,
  brokenRelocateRcu,
  brokenRelocateStale,
  linuxRelocate,
  relocate,
  relocatePosted,
  v18Relocate,
} from './relocate.js';
import { hashedLocks, linux, pteBit, tableLock } from './tableLocks.js';
import { v18, v18Debug, v18First, v18Held, v18PerThread, v18Prezero, v18WpLocked } from './v18.js';

export const DESIGNS: readonly VmDesign[] = [
  pageTableLock,
  pageTableLockExchange,
  v18First,
  v18,
  v18PerThread,
  v18WpLocked,
  v18Held,
  v18Debug,
  tableLock,
  hashedLocks,
  pteBit,
  linux,
  pageTableLockPrezero,
  v18Prezero,
  prefault,
  v18Prefault,
  linuxPrefault,
  highptePersistent,
  highpteHybrid,
  highpteAtomic,
  highpteWindow,
  relocate,
  v18Relocate,
  linuxRelocate,
  hinting,
  linuxHinting,
  allAtOnce,
  prefaultV1,
  prefaultV2,
  relocatePosted,
  hintingBefore,
  hintingPosted,
  hintingUnchecked,
  highpteBackport,
  highpte257,
  highpteTwoKmaps,
  brokenCheckThenInstall,
  brokenPlainRss,
  brokenLruBeforeInstall,
  brokenRmapBeforeInstall,
  brokenReadModifyWrite,
  brokenV18Debug,
  brokenUnmapRss,
  brokenPopulateStore,
  brokenPopulateLeak,
  brokenRelocateAtOnce,
  brokenRelocateFlush,
  brokenRelocateRcu,
  brokenRelocateStale,
];

/** What commands compare when no design is named, as a user would type it: before, and after. */
export const DEFAULT_DESIGNS = `${pageTableLock.name},${v18.name}`;

/** The same of the mail of 31 March 2005, which changes how ptes are updated and nothing else. */
export const PTE_UPDATE_DESIGNS = `${pageTableLock.name},${pageTableLockExchange.name}`;

/**
 * Finds a design by its name. `NAME:FORM` is that design with its counters in another form, such as
 * `table-lock:per-thread`.
 *
 * @throws InputError when there is no such design
 */
export function designNamed(name: string): VmDesign {
  const [base, form, ...rest] = name.split(':');
  const design = DESIGNS.find((candidate) => candidate.name === base);
  if (design === undefined || rest.length > 0) {
    const known = DESIGNS.map((candidate) => candidate.name).join(', ');
    throw new InputError('DESIGN_UNKNOWN', `no design is called "${name}"; there are: ${known}`);
  }
  return form === undefined ? design : withCounters(design, form);
}

function withCounters(design: VmDesign, form: string): VmDesign {
  const counters = COUNTER_FORMS.find((known) => known === form);
  if (counters === undefined) {
    throw new InputError(
      'DESIGN_COUNTERS',
      `counters: got "${form}", expected one of ${COUNTER_FORMS.join(', ')}`,
    );
  }
  const name = `${design.name}:${counters}`;
  return { ...design, name, summary: `${design.summary}; counters ${counters}`, counters };
}
