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
/** The zero page, and the upper tables of a process or two. */
const MIN_LOW_FRAMES = 4;
/** A move needs two page tables at a time. */
const MIN_KMAPS = 2;

/**
 * @throws InputError when there can be no such machine
 */
export function vmConfig(
  machine: MachineConfig,
  design: VmDesign,
  limits: Partial<Limits> = {},
): VmConfig {
  const { arch, frames, cpus, nodes, swapPages = 0, oomKiller = false } = machine;
  const { lowFrames, kmaps, uncachedTables } = machine;
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
  if (lowFrames !== undefined) expectHighMemory(machine, lowFrames, design);
  if (kmaps !== undefined && !(kmaps >= MIN_KMAPS)) {
    throw new InputError('MACHINE_KMAPS', `got ${kmaps} slots, expected ${MIN_KMAPS} or more`);
  }
  const highmem = {
    ...(lowFrames === undefined ? {} : { lowFrames }),
    ...(kmaps === undefined ? {} : { kmaps }),
  };
  // Tables that move are what such caches can be behind of.
  const caches = {
    ...(design.relocation === undefined ? {} : { walkCache: true }),
    ...(uncachedTables === undefined ? {} : { uncachedTables }),
  };
  return {
    machine: { arch, frames, cpus, nodes, swapPages, oomKiller, ...highmem, ...caches },
    design,
    limits: { ...DEFAULT_LIMITS, ...limits },
  };
}

/** @throws InputError where the architecture maps all of its memory, or the machine or the design goes without */
function expectHighMemory(machine: MachineConfig, lowFrames: number, design: VmDesign): void {
  const { arch, frames } = machine;
  if (!ARCHES[arch].highMemory) {
    throw new InputError(
      'MACHINE_LOW_FRAMES',
      `${arch} maps all of its memory: it has none that is high`,
    );
  }
  if (!(lowFrames >= MIN_LOW_FRAMES) || lowFrames > frames) {
    throw new InputError(
      'MACHINE_LOW_FRAMES',
      `got ${lowFrames} low frames, expected ${MIN_LOW_FRAMES} to all ${frames}`,
    );
  }
  if (design.prezero !== undefined) {
    throw new InputError('MACHINE_LOW_FRAMES', `${design.name} does not tell high memory from low`);
  }
}
