/** Short ways to write calls by hand. Places are pages of an arena; lengths are in pages. */
import {
  MapFlag,
  MremapFlag,
  Prot,
  type Backing,
  type Call,
  type Place,
  type ProcessCall,
} from './calls.js';

const PAGE = 4096;
/** Pages of a huge page. */
export const HUGE = 512;

/** A page of the arena, or a place. */
type At = number | Place;

function placeAt(at: At): Place {
  return typeof at === 'number' ? { base: 'arena', offset: at * PAGE } : at;
}

/** A page of the arena of huge pages. */
export function huge(page: number): Place {
  return { base: 'huge', offset: page * PAGE };
}

/** Pages behind the start of the heap, and bytes behind those. */
export function heap(page: number, bytes = 0): Place {
  return { base: 'heap', offset: page * PAGE + bytes };
}

/** Pages from where the kernel put what went into a slot. */
export function slot(number: number, page = 0): Place {
  return { base: number, offset: page * PAGE };
}

/** An address as it stands. */
export function absolute(offset: number): Place {
  return { base: 'zero', offset };
}

/** Some bytes from a place. */
export function bytesFrom(at: At, bytes: number): Place {
  const { base, offset } = placeAt(at);
  return { base, offset: offset + bytes };
}

export interface MapOptions {
  readonly prot?: number;
  readonly shared?: boolean;
  readonly backing?: Backing;
  readonly pgoff?: number;
  /** Flags beside those that the other fields say. */
  readonly flags?: number;
  readonly fixed?: boolean;
  readonly into?: number;
}

export const RW = Prot.PROT_READ | Prot.PROT_WRITE;

/** mmap, private and anonymous and at a fixed place where nothing else is said. */
export function map(at: At, pages: number, options: MapOptions = {}): Call {
  const { prot = RW, shared = false, backing = 'anonymous', pgoff = 0, into } = options;
  const { flags = 0, fixed = true } = options;
  return {
    call: 'mmap',
    at: placeAt(at),
    length: pages * PAGE,
    prot,
    flags:
      flags |
      (shared ? MapFlag.MAP_SHARED : MapFlag.MAP_PRIVATE) |
      (backing === 'anonymous' ? MapFlag.MAP_ANONYMOUS : 0) |
      (fixed ? MapFlag.MAP_FIXED : 0),
    backing,
    pgoff,
    ...(into === undefined ? {} : { into }),
  };
}

/** mmap where the kernel likes. */
export function mapAnywhere(pages: number, options: MapOptions = {}): Call {
  return map(absolute(0), pages, { ...options, fixed: false });
}

/** mmap with flags that are given whole. */
export function mapRaw(at: At, bytes: number, flags: number, backing: Backing = 'anonymous'): Call {
  return { call: 'mmap', at: placeAt(at), length: bytes, prot: RW, flags, backing, pgoff: 0 };
}

export function unmap(at: At, pages: number): Call {
  return { call: 'munmap', at: placeAt(at), length: pages * PAGE };
}

export function protect(at: At, pages: number, prot: number): Call {
  return { call: 'mprotect', at: placeAt(at), length: pages * PAGE, prot };
}

export interface RemapOptions {
  readonly flags?: number;
  readonly to?: At;
  readonly into?: number;
}

/** mremap; with a target it is MREMAP_FIXED. */
export function remap(at: At, pages: number, newPages: number, options: RemapOptions = {}): Call {
  const { flags = 0, to, into } = options;
  const fixed = to === undefined ? 0 : MremapFlag.MREMAP_MAYMOVE | MremapFlag.MREMAP_FIXED;
  return {
    call: 'mremap',
    at: placeAt(at),
    oldLength: pages * PAGE,
    newLength: newPages * PAGE,
    flags: flags | fixed,
    to: placeAt(to ?? absolute(0)),
    ...(into === undefined ? {} : { into }),
  };
}

export function advise(at: At, pages: number, advice: number): Call {
  return { call: 'madvise', at: placeAt(at), length: pages * PAGE, advice };
}

export function brk(page: number, bytes = 0): Call {
  return { call: 'brk', at: heap(page, bytes) };
}

export function lock(at: At, pages: number): Call {
  return { call: 'mlock', at: placeAt(at), length: pages * PAGE };
}

export function lock2(at: At, pages: number, flags: number): Call {
  return { call: 'mlock2', at: placeAt(at), length: pages * PAGE, flags };
}

export function unlock(at: At, pages: number): Call {
  return { call: 'munlock', at: placeAt(at), length: pages * PAGE };
}

export function lockAll(flags: number): Call {
  return { call: 'mlockall', flags };
}

export const unlockAll: Call = { call: 'munlockall' };

export function sync(at: At, pages: number, flags: number): Call {
  return { call: 'msync', at: placeAt(at), length: pages * PAGE, flags };
}

export function inCore(at: At, pages: number): Call {
  return { call: 'mincore', at: placeAt(at), length: pages * PAGE };
}

export function remapFile(at: At, pages: number, pgoff: number, flags = 0, prot = 0): Call {
  return {
    call: 'remap_file_pages',
    at: placeAt(at),
    length: pages * PAGE,
    prot,
    pgoff,
    flags,
  };
}

/** Changes the length of the memory file. */
export function truncate(pages: number): Call {
  return { call: 'ftruncate', pages };
}

/** Loads the first word of a page. */
export function load(at: At): Call {
  return { call: 'load', at: placeAt(at) };
}

/** Stores to the first word of a page. */
export function store(at: At, value = 7): Call {
  return { call: 'store', at: placeAt(at), value };
}

/** Stores to each of a few pages in turn. */
export function storeEach(at: number, pages: number): Call[] {
  return Array.from({ length: pages }, (_, i) => store(at + i, 100 + i));
}

export const fork: Call = { call: 'fork' };
export const exit: Call = { call: 'exit' };

/** Has calls made by a process other than the first; processes count as they are born. */
export function by(process: number, ...calls: readonly Call[]): ProcessCall[] {
  return calls.map((call) => ({ ...call, by: process }));
}
