/** Where the frames come from that page tables move to. */
import type { Pfn } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { frameOf } from '../hardware/frames.js';
import { HIGHMEM } from '../hardware/machine.js';
import { HIGHPTE } from './design.js';
import { shouldFail } from './failpoint.js';
import type { GoneTable } from './freepgtables.js';
import { Zone } from './layout/zone.js';
import { drainLocalPages, takePagesOfNode } from './pagealloc.js';
import { allocTable, makeTable } from './pgtable.js';

export interface TableSource {
  /** The node to take them from, and no other; any if left out. */
  readonly node?: number;
  /** Frames that are not to be used: what is free of them is taken, and kept until the end. */
  readonly refused?: { readonly start: Pfn; readonly end: Pfn; readonly taken: GoneTable[] };
  /** How many there are; as many as memory has if left out. */
  left?: number;
}

/** Takes an empty table of `level`, which is one frame. @returns 0 when there is none to be had */
export function* allocTableFrom(cpu: Cpu, source: TableSource, level: number): Op<Pfn> {
  if (source.left !== undefined && source.left-- <= 0) return 0;
  const { node, refused } = source;
  if (node !== undefined) return yield* allocTableOfNode(cpu, node, level);
  for (;;) {
    const pfn = yield* allocTable(cpu, level);
    if (pfn === 0 || refused === undefined || pfn < refused.start || pfn >= refused.end) return pfn;
    refused.taken.push({ pfn, level });
  }
}

function* allocTableOfNode(cpu: Cpu, node: number, level: number): Op<Pfn> {
  if (yield* shouldFail(cpu)) return 0;
  const area = HIGHMEM && !(HIGHPTE && level === 0) ? Zone.freeAreaLow : Zone.freeArea;
  let pfn = yield* takePagesOfNode(cpu, node, 0, area, false);
  if (pfn === 0) {
    yield* drainLocalPages(cpu);
    pfn = yield* takePagesOfNode(cpu, node, 0, area, false);
  }
  if (pfn === 0) return 0;
  yield* cpu.zeroPage(frameOf(pfn));
  yield* makeTable(cpu, pfn, 0, 0);
  return pfn;
}
