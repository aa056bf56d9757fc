/** The slots by which the kernel reaches page tables in high memory, at a quiet point: nobody has one. */
import { CPUS, FRAMES, KMAPS } from '../hardware/machine.js';
import { HIGHPTE, KMAP_CHECKED, KMAP_POOL } from '../mm/design.js';
import { preemptCount } from '../mm/kmap.js';
import { KMAP, Kmap, KmapSlot, SLOTS, pageKmap, slotRecord } from '../mm/layout/kmap.js';
import { expectEqual, expectUnlocked } from './records.js';

export function auditKmaps(words: Int32Array, faults: string[]): void {
  if (!HIGHPTE) return;
  for (let cpu = 0; cpu < CPUS; cpu++) {
    expectEqual(`atomic kmaps that cpu ${cpu} holds`, words[preemptCount(cpu)], 0, faults);
  }
  const pooled = KMAP_POOL ? KMAPS : 0;
  for (let slot = pooled; KMAP_CHECKED && slot < SLOTS; slot++) {
    expectEqual(`kmap slot ${slot} (frame)`, words[slotRecord(slot) + KmapSlot.pfn], 0, faults);
  }
  if (KMAP_POOL) auditPool(words, faults);
}

/** A slot of the pool keeps its frame until it is needed, and the frame its slot. */
function auditPool(words: Int32Array, faults: string[]): void {
  expectUnlocked(words, KMAP + Kmap.lock, 'kmap.lock', faults);
  expectEqual('kmap.waiters', words[KMAP + Kmap.waiters], 0, faults);
  let mapped = 0;
  for (let slot = 0; slot < KMAPS; slot++) {
    const pins = words[slotRecord(slot) + KmapSlot.pins];
    const pfn = words[slotRecord(slot) + KmapSlot.pfn];
    if (pins > 1) faults.push(`kmap slot ${slot} is in use (${pins - 1})`);
    if (pins === 0) {
      expectEqual(`kmap slot ${slot} (frame)`, pfn, 0, faults);
      continue;
    }
    expectEqual(`pageKmap[${pfn}]`, words[pageKmap(pfn)], slot + 1, faults);
    mapped++;
  }
  let known = 0;
  for (let pfn = 0; pfn < FRAMES; pfn++) if (words[pageKmap(pfn)] !== 0) known++;
  expectEqual('frames that have a kmap slot', known, mapped, faults);
}
