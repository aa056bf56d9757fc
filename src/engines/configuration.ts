/** What an instance of the VM is built for, in one value. */
import { InputError } from '../base/errors.js';
import { KIB } from '../base/units.js';
import { ARCHES } from '../hardware/arch/index.js';
import type { MachineConfig } from '../hardware/machine.js';
import { DEFAULT_LIMITS, type Limits, type VmDesign } from '../mm/design.js';

export interface VmConfig {
  readonly machine: MachineConfig;
  readonly design: VmDesign;
  readonly limits: Limits;
}

/** Bytes of memory beyond which a frame number does not fit a pte's low word. */
const MAX_MEMORY_BYTES = 2 ** 32;
/** Slots that a pte with the largest pages can tell. */
const MAX_SWAP_PAGES = 2 ** 18 - 2;
/** The same for pages of 4 KiB. */
export const MAX_SWAP_BYTES = MAX_SWAP_PAGES * 4 * KIB;
/** The zero page, a process's tables and a page or two. */
const MIN_FRAMES = 12;

/**
 * @throws InputError when there can be no such machine
 */
export function vmConfig(
  machine: MachineConfig,
  design: VmDesign,
  limits: Partial<Limits> = {},
): VmConfig {
  const { arch, frames, cpus, nodes, swapPages = 0, oomKiller = false } = machine;
  const bytes = frames * 2 ** ARCHES[arch].pageShift;
  if (!(frames >= MIN_FRAMES)) {
    throw new InputError('MACHINE_FRAMES', `got ${frames} frames, expected ${MIN_FRAMES} or more`);
  }
  if (bytes > MAX_MEMORY_BYTES) {
    throw new InputError(
      'MACHINE_FRAMES',
      `got ${frames} frames (${bytes} bytes), expected at most 4 GiB: entries hold no more`,
    );
  }
  if (!(cpus >= 1) || !(nodes >= 1) || nodes > cpus) {
    throw new InputError(
      'MACHINE_CPUS',
      `got ${cpus} CPUs on ${nodes} nodes, expected 1 or more each`,
    );
  }
  if (!(swapPages >= 0) || swapPages > MAX_SWAP_PAGES) {
    throw new InputError(
      'MACHINE_SWAP',
      `got ${swapPages} pages of swap, expected 0 to ${MAX_SWAP_PAGES}: entries hold no more`,
    );
  }
  // Tables that move are what such caches can be behind of.
  const caches = design.relocation === undefined ? {} : { walkCache: true };
  return {
    machine: { arch, frames, cpus, nodes, swapPages, oomKiller, ...caches },
    design,
    limits: { ...DEFAULT_LIMITS, ...limits },
  };
}
