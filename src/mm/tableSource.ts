/** Where the frames come from that page tables move to. */
import type { Pfn } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { shouldFail } from './failpoint.js';
import { Zone } from './layout/zone.js';
import { drainLocalPages, takePagesOfNode } from './pagealloc.js';
import { allocTable, makeTable } from './pgtable.js';

export interface TableSource {
  /** The node to take them from, and no other; any if left out. */
  readonly node?: number;
  /** Frames that are not to be used: what is free of them is taken, and kept until the end. */
  readonly refused?: { readonly start: Pfn; readonly end: Pfn; readonly taken: Pfn[] };
  /** How many there are; as many as memory has if left out. */
  left?: number;
}

/** Takes an empty table of one frame. @returns 0 when there is none to be had */
export function* allocTableFrom(cpu: Cpu, source: TableSource): Op<Pfn> {
  if (source.left !== undefined && source.left-- <= 0) return 0;
  const { node, refused } = source;
  if (node !== undefined) return yield* allocTableOfNode(cpu, node);
  for (;;) {
    const pfn = yield* allocTable(cpu, 0);
    if (refused === undefined || pfn < refused.start || pfn >= refused.end) return pfn;
    refused.taken.push(pfn);
  }
}

function* allocTableOfNode(cpu: Cpu, node: number): Op<Pfn> {
  if (yield* shouldFail(cpu)) return 0;
  let pfn = yield* takePagesOfNode(cpu, node, 0, Zone.freeArea, false);
  if (pfn === 0) {
    yield* drainLocalPages(cpu);
    pfn = yield* takePagesOfNode(cpu, node, 0, Zone.freeArea, false);
  }
  if (pfn === 0) return 0;
  yield* cpu.zeroPage(frameOf(pfn));
  yield* makeTable(cpu, pfn, 0, 0);
  return pfn;
}
