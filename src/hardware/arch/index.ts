import type { Arch } from './arch.js';
import { i386 } from './i386.js';
import { ia64 } from './ia64.js';
import { x86_64 } from './x86_64.js';

export type { Arch } from './arch.js';

/** Every page-table format, by name. */
export const ARCHES = { i386, x86_64, ia64 } as const satisfies Record<string, Arch>;

export type ArchName = keyof typeof ARCHES;
