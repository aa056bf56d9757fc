import type { Arch } from './arch.js';
import { i386 } from './i386.js';
import { i386Pae } from './i386Pae.js';
import { ia64 } from './ia64.js';
import { ppc64 } from './ppc64.js';
import { riscvSv39, riscvSv48 } from './riscv.js';
import { s390 } from './s390.js';
import { sparc64 } from './sparc64.js';
import { x86_64 } from './x86_64.js';

export type { Arch } from './arch.js';

/** Every page-table format, by name. */
export const ARCHES = {
  i386,
  'i386-pae': i386Pae,
  x86_64,
  ia64,
  ppc64,
  sparc64,
  s390,
  'riscv-sv39': riscvSv39,
  'riscv-sv48': riscvSv48,
} as const satisfies Record<string, Arch>;

export type ArchName = keyof typeof ARCHES;

export const ARCH_NAMES = Object.keys(ARCHES) as ArchName[];
