/** Requests to the device with nothing between: what writes pages of a file, and reads them again. */
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { PAGE_WORDS } from '../hardware/machine.js';
import { allocPage } from '../mm/allocpages.js';
import { freeNewPage } from '../mm/pagealloc.js';

/** In the last word of a page, where no page has contents of its own. */
const MARK = PAGE_WORDS - 1;

/**
 * Writes pages of a file, each with a mark of its own.
 *
 * @param mark - of the first page; the next has one more
 * @returns pages that the device took
 */
export function* writePages(
  cpu: Cpu,
  file: number,
  first: number,
  count: number,
  mark: number,
): Op<number> {
  const pfn = yield* allocPage(cpu);
  const frame = frameOf(pfn);
  yield* cpu.zeroPage(frame);
  let taken = 0;
  for (let page = 0; page < count; page++) {
    yield* cpu.store(frame + MARK, mark + page);
    if (yield* cpu.writeDevice(frame, file, first + page)) taken++;
  }
  yield* freeNewPage(cpu, pfn);
  return taken;
}

/** Reads pages that `writePages` may have written. @returns pages that have their mark */
export function* readPages(
  cpu: Cpu,
  file: number,
  first: number,
  count: number,
  mark: number,
): Op<number> {
  const pfn = yield* allocPage(cpu);
  const frame = frameOf(pfn);
  let marked = 0;
  for (let page = 0; page < count; page++) {
    yield* cpu.zeroPage(frame);
    if (!(yield* cpu.readDevice(frame, file, first + page))) continue;
    if ((yield* cpu.load(frame + MARK)) === mark + page) marked++;
  }
  yield* freeNewPage(cpu, pfn);
  return marked;
}
