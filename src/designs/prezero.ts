import type { Prezero } from '../mm/design.js';

/** The patches' own limits (kscrubd starts at blocks of 32 pages and stops at blocks of 4). */
export const PREZERO: Prezero = { scrubStart: 5, scrubStop: 2 };
