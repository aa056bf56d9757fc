/** What must hold when all programs of a run have ended, by name: a worker is told a name. */
import type { Word } from '../base/units.js';
import type { Memory } from '../hardware/memory.js';
import { frameOf } from '../hardware/frames.js';
import { CPUS, PTE_DIRTY } from '../hardware/machine.js';
import type { Tlb } from '../hardware/tlb.js';
import { PageState, Percpu, percpuOf } from '../mm/layout/percpu.js';
import { TABLES } from '../mm/layout/slab.js';
import { audit } from '../oracle/audit.js';
import { mappedPages } from '../oracle/pageTables.js';
import { recordsInUse } from '../oracle/records.js';
import { referenceCheck } from './referenceProblem.js';
import { STORED } from './relocationRaces.js';

/** @returns what is wrong; the TLBs are as the programs left them */
export type EndCheck = (
  memory: Memory,
  cpus: readonly { readonly tlb: Tlb; readonly mm: Word }[],
) => string[];

/** No fault found that there was nothing to do; and the audit. */
const noSpuriousFaults: EndCheck = (memory, cpus) => {
  let faults = 0;
  for (let cpu = 0; cpu < CPUS; cpu++) {
    faults += memory.words[percpuOf(cpu) + Percpu.pageState + PageState.spurious_page_faults];
  }
  const spurious = faults === 0 ? [] : [`spurious_page_faults is ${faults}, should be 0`];
  return [...spurious, ...audit(memory, cpus)];
};

/** Whoever has stored to the page of a relocation race has left its pte dirty; and the audit. */
const dirtyIfStored: EndCheck = (memory, cpus) => {
  const lost = recordsInUse(memory.words, TABLES.mm, [])
    .flatMap((mm) => mappedPages(memory, mm))
    .filter(({ pfn, entry }) => memory.words[frameOf(pfn)] === STORED && (entry & PTE_DIRTY) === 0)
    .map(
      ({ address }) => `the page at 0x${address.toString(16)} was stored to, and its pte is clean`,
    );
  return [...lost, ...audit(memory, cpus)];
};

export const END_CHECKS = {
  audit,
  dirtyIfStored,
  /** Nothing: the programs say themselves what is wrong. */
  none: () => [],
  noSpuriousFaults,
  reference: referenceCheck,
} as const satisfies Record<string, EndCheck>;

export type EndCheckName = keyof typeof END_CHECKS;
