import type { ProcessCall } from '../calls.js';

/** Facts of Linux by name, and the calls that show each. */
export type Theme = Readonly<Record<string, readonly ProcessCall[]>>;
