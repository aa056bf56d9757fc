/** What must hold when all programs of a run have ended, by name: a worker is told a name. */
import type { Word } from '../base/units.js';
import type { Memory } from '../hardware/memory.js';
import { CPUS } from '../hardware/machine.js';
import type { Tlb } from '../hardware/tlb.js';
import { PageState, Percpu, percpuOf } from '../mm/layout/percpu.js';
import { audit } from '../oracle/audit.js';
import { referenceCheck } from './referenceProblem.js';

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

export const END_CHECKS = {
  audit,
  /** Nothing: the programs say themselves what is wrong. */
  none: () => [],
  noSpuriousFaults,
  reference: referenceCheck,
} as const satisfies Record<string, EndCheck>;

export type EndCheckName = keyof typeof END_CHECKS;
