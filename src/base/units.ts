/**
 * Units that must not be mixed. Each is a number that remembers what it counts: a plain number
 * may become one, but one never becomes another without a named conversion.
 */

declare const unit: unique symbol;
type Unit<Name extends string> = number & { readonly [unit]?: Name };

/** A page frame number: index of a physical frame, not an address. */
export type Pfn = Unit<'Pfn'>;

/** A virtual address in bytes, below 2^48, so that a double holds it exactly. */
export type Vaddr = Unit<'Vaddr'>;

/** Index of a 32-bit word in the machine's buffer: what a pointer is in the kernel. */
export type Word = Unit<'Word'>;

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
