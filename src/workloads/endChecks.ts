/** What must hold when all programs of a run have ended, by name: a worker is told a name. */
import type { Word } from '../base/units.js';
import type { Memory } from '../hardware/memory.js';
import type { Tlb } from '../hardware/tlb.js';
import { audit } from '../oracle/audit.js';
import { referenceCheck } from './referenceProblem.js';

/** @returns what is wrong; the TLBs are as the programs left them */
export type EndCheck = (
  memory: Memory,
  cpus: readonly { readonly tlb: Tlb; readonly mm: Word }[],
) => string[];

export const END_CHECKS = {
  audit,
  /** Nothing: the programs say themselves what is wrong. */
  none: () => [],
  reference: referenceCheck,
} as const satisfies Record<string, EndCheck>;

export type EndCheckName = keyof typeof END_CHECKS;
