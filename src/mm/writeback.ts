/** Pages that are written to their device (Linux: pageout and swap_writepage, mm/vmscan.c and mm/page_io.c). */
import type { Pfn, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { SWAP_FILE } from '../hardware/device.js';
import { frameOf } from '../hardware/frames.js';
import { HINTING } from '../hardware/hostStates.js';
import { SWAP_SLOTS } from '../hardware/machine.js';
import { countEvent } from './counters.js';
import { File } from './layout/file.js';
import { PG_dirty, PG_mappedtodisk, PG_swapcache, Page, pageOf } from './layout/page.js';
import { PageState } from './layout/percpu.js';
import { SWAP, Swap } from './layout/swap.js';
import { pageMkclean } from './mkclean.js';
import { hostMarkClean, pageHoldStable, pageLetGo } from './pageStates.js';
import { getSwapSlot, swapFree } from './swapfile.js';
import { slotOfPage } from './swapstate.js';

/**
 * Writes a dirty page of a file or of the swap cache. It is clean from the start: its mark goes first, then write
 * permission, so that who writes to it meanwhile makes it dirty again.
 *
 * @returns whether the device could; if not, the page is dirty as before
 * Locks: the page's.
 */
export function* writePage(cpu: Cpu, pfn: Pfn): Op<boolean> {
  if (!HINTING) return yield* writeStablePage(cpu, pfn);
  const page = pageOf(pfn);
  if (!(yield* pageHoldStable(cpu, pfn))) {
    // It was mapped to be written, and nothing was stored before the host took it: the device has it.
    yield* cpu.and(page + Page.flags, ~PG_dirty);
    return true;
  }
  yield* hostMarkClean(cpu, pfn);
  const written = yield* writeStablePage(cpu, pfn);
  if (written) yield* cpu.or(page + Page.flags, PG_mappedtodisk);
  yield* pageLetGo(cpu, pfn);
  return written;
}

function* writeStablePage(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const page = pageOf(pfn);
  const flags = yield* cpu.and(page + Page.flags, ~PG_dirty);
  const inSwap = (flags & PG_swapcache) !== 0;
  const file = inSwap ? SWAP_FILE : yield* cpu.load(page + Page.mapping);
  if (!inSwap) yield* pageMkclean(cpu, pfn);
  const index = inSwap ? yield* slotOfPage(cpu, pfn) : yield* cpu.load(page + Page.index);
  const written = yield* cpu.writeDevice(frameOf(pfn), file, index);
  if (!written) {
    yield* cpu.or(page + Page.flags, PG_dirty);
    return false;
  }
  yield* countEvent(cpu, inSwap ? PageState.pswpout : PageState.pgpgout);
  if (!inSwap) yield* raiseOnDevice(cpu, file, index + 1);
  return true;
}

/** The device has so many pages of a file at least. Others may write other pages at this moment. */
function* raiseOnDevice(cpu: Cpu, file: Word, pages: number): Op<void> {
  const word = file + File.onDevice;
  for (;;) {
    const before = yield* cpu.readOnce(word);
    if (before >= pages || (yield* cpu.cas(word, before, pages))) return;
  }
}

/**
 * Writes a page of shared memory, which has no device, to a slot of the swap file.
 *
 * @returns the slot, with a count of 1; or -1 when there is none or the device could not
 * Locks: the page's.
 */
export function* writeMemoryPage(cpu: Cpu, pfn: Pfn): Op<number> {
  if (SWAP_SLOTS === 0) return -1;
  yield* cpu.spinLock(SWAP + Swap.lock);
  const slot = yield* getSwapSlot(cpu);
  yield* cpu.spinUnlock(SWAP + Swap.lock);
  if (slot < 0) return -1;
  yield* cpu.and(pageOf(pfn) + Page.flags, ~PG_dirty);
  if (yield* cpu.writeDevice(frameOf(pfn), SWAP_FILE, slot)) {
    yield* countEvent(cpu, PageState.pswpout);
    return slot;
  }
  yield* swapFree(cpu, slot);
  return -1;
}
