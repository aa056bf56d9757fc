/** What must be gone when all processes have ended and every CPU has drained its lists. */
import { FRAMES } from '../hardware/machine.js';
import type { Memory } from '../hardware/memory.js';
import { FILE_NAMELESS, File } from '../mm/layout/file.js';
import { PG_cache, PG_reserved, PG_swapcache, Page, pageOf } from '../mm/layout/page.js';
import { TABLES } from '../mm/layout/slab.js';
import { recordName, recordsInUse } from './records.js';

const { task, mm, vma, vmaNode, anonVma, anonVmaChain, file } = TABLES;

/** Frames that stay in use: the swap cache may keep a page until reclaim comes across it. */
const KEPT = PG_reserved | PG_cache | PG_swapcache;

/**
 * Every record of a process is free again, and every frame but for reserved ones and what the page cache
 * and the swap cache keep, of files that have names.
 *
 * @returns what is left, one line each
 */
export function leaks({ words }: Memory): string[] {
  const faults: string[] = [];
  for (const table of [task, mm, vma, vmaNode, anonVma, anonVmaChain]) {
    for (const record of recordsInUse(words, table, faults)) {
      faults.push(`${recordName(table, record)} is in use, and no process is left`);
    }
  }
  for (const record of recordsInUse(words, file, faults)) {
    if ((words[record + File.flags] & FILE_NAMELESS) === 0) continue;
    faults.push(`${recordName(file, record)} has no name, and no process is left that maps it`);
  }
  for (let pfn = 0; pfn < FRAMES; pfn++) {
    const page = pageOf(pfn);
    const flags = words[page + Page.flags];
    if (words[page + Page.refcount] === 0 || (flags & KEPT) !== 0) continue;
    faults.push(`frame ${pfn} is in use, and no process is left`);
  }
  return faults;
}
