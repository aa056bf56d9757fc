/**
 * What is mapped at one page of a process, and what the page may hold. Part of the reference model of
 * contents, see contents.ts.
 */
import { PageContents, type MemoryObject } from './memoryObject.js';

/** Permissions of a page, as PROT_ bits. */
export const READ = 1;
export const WRITE = 2;
export const ANY_ACCESS = 7;

/** One page of a process's address space. */
export interface PageMapping {
  prot: number;
  readonly shared: boolean;
  /** What is mapped; without one, private zeros. */
  readonly object: MemoryObject | undefined;
  /** Page of the object that is seen here. */
  index: number;
  /** Page of the object that would be, had remap_file_pages not put another here. */
  readonly linear: number;
  readonly growsDown: boolean;
  locked: boolean;
  dontFork: boolean;
  wipeOnFork: boolean;
  /**
   * What the page may hold of its own; undefined: nothing, so that what is mapped shows. More than
   * one where Linux leaves it open.
   */
  copies: readonly (PageContents | undefined)[];
  /** Its copies may go at any time, until the next store (MADV_FREE). */
  lazyFree: boolean;
}

export const NO_COPY: PageMapping['copies'] = [undefined];

/** Whether a file is too short to have the page that is mapped. */
export function isBehindEnd({ object, index }: PageMapping): boolean {
  return object !== undefined && index >= object.size;
}

/** What a page holds if it has this copy, or none. */
export function contentsOf(mapping: PageMapping, copy: PageContents | undefined): PageContents {
  return copy ?? mapping.object?.page(mapping.index) ?? PageContents.ZEROS;
}

/** What a mapping is where a move took its page: the order of its own goes with it. */
export function emptied(mapping: PageMapping): PageMapping {
  return { ...mapping, index: mapping.linear, copies: NO_COPY, lazyFree: false };
}

/** What a page may hold after it was faulted in for writing, where its mapping makes that a copy. */
export function populated(mapping: PageMapping): PageMapping['copies'] {
  const { shared, prot, object, copies } = mapping;
  if (shared || (prot & WRITE) === 0 || object === undefined) return copies;
  if (isBehindEnd(mapping)) return copies;
  return withoutEquals(copies.map((copy) => contentsOf(mapping, copy)));
}

/** The same, where nobody is told whether memory allowed it. */
export function mayBePopulated(mapping: PageMapping): PageMapping['copies'] {
  return withoutEquals([...mapping.copies, ...populated(mapping)]);
}

export function withoutEquals(copies: PageMapping['copies']): PageMapping['copies'] {
  const isFirst = (copy: PageContents | undefined, place: number): boolean =>
    copies.findIndex((other) => other === copy || (copy && other?.equals(copy))) === place;
  return copies.length === 1 ? copies : copies.filter(isFirst);
}
