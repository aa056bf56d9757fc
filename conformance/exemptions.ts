/** What is known to differ, and why: docs/conformance.md. Each as narrow as can be. */
import type { Step } from './calls.js';
import type { Report } from './report.js';

/** A part of a report. */
export type Field = 'outcome' | 'faults' | 'areas';

export interface Exemption {
  readonly name: string;
  readonly reason: string;
  /** The part of the report that may differ. */
  readonly field: Field;
  readonly covers: (step: Step, linux: Report, ours: Report) => boolean;
}

export const EXEMPTIONS: readonly Exemption[] = [];
