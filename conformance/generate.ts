/** Random sequences: mostly valid, within a small part of the address space, so that calls meet each other. */
import fc from 'fast-check';
import {
  Advice,
  MLOCK_ONFAULT,
  MapFlag,
  MclFlag,
  MremapFlag,
  MsyncFlag,
  Prot,
  SLOTS,
  type Backing,
  type Call,
  type Place,
  type ProcessCall,
} from './calls.js';

/** Whether the addresses of mappings are given, or chosen by the kernel. */
export type Mode = 'hints' | 'kernel';

const PAGE = 4096;
const HUGE_PAGES = 512;
const HUGE = HUGE_PAGES * PAGE;
const ARENA_PAGES = 64;

const pages = (min: number, max: number): fc.Arbitrary<number> =>
  fc.integer({ min, max }).map((count) => count * PAGE);

/** One of a list, each with its weight. */
function weighted<T>(...choices: readonly (readonly [number, fc.Arbitrary<T>])[]): fc.Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

const always = fc.constant;

/** Offsets in the arena of huge pages: around the ends of each. */
const hugeOffset = fc
  .constantFrom(0, 512, 1024, 1, 100, 256, 511, 513, 1023, 1500, 1535)
  .map((page) => page * PAGE);

/** Places that no mapping can have, at and beyond the end of the address space. */
const impossiblePlace: fc.Arbitrary<Place> = fc
  .constantFrom(0x7fff_ffff_f000, 2 ** 47, 2 ** 63, 2 ** 64 - PAGE)
  .map((offset) => ({ base: 'zero', offset }));

function arenaPlace(max: number): fc.Arbitrary<Place> {
  return pages(0, max).map((offset) => ({ base: 'arena', offset }));
}

function slotPlace(max: number): fc.Arbitrary<Place> {
  return fc
    .record({ base: fc.nat(SLOTS - 1), offset: pages(0, max) })
    .map(({ base, offset }) => ({ base, offset }));
}

/** Where things are in a mode. */
function place(mode: Mode): fc.Arbitrary<Place> {
  const usual = mode === 'hints' ? arenaPlace(ARENA_PAGES - 1) : slotPlace(8);
  return weighted<Place>(
    [30, usual],
    [5, hugeOffset.map((offset) => ({ base: 'huge', offset }))],
    [2, pages(0, 6).map((offset) => ({ base: 'heap', offset }))],
  );
}

/** A place for a call, at times one that must fail. */
function argumentPlace(mode: Mode): fc.Arbitrary<Place> {
  const unaligned = place(mode).map(({ base, offset }) => ({ base, offset: offset + 0x123 }));
  return weighted<Place>([60, place(mode)], [1, unaligned], [1, impossiblePlace]);
}

/** Lengths that fail, or that need rounding. */
const oddLength = fc.constantFrom(0, 1, PAGE - 1, PAGE + 1, 3 * PAGE + 100, 2 ** 64 - PAGE);

const length = weighted<number>(
  [20, pages(1, 16)],
  [20, pages(16, 40)],
  [3, fc.constantFrom(HUGE, 2 * HUGE, HUGE + PAGE, HUGE - PAGE, 3 * HUGE)],
  [2, oddLength],
);

/** Lengths of ranges that calls change: mostly shorter than what mmap makes, so that they fall inside. */
const rangeLength = weighted<number>(
  [30, pages(1, 8)],
  [4, pages(8, 24)],
  [3, fc.constantFrom(HUGE, 2 * HUGE, 100 * PAGE, 3 * HUGE)],
  [2, oddLength],
);

/**
 * Permissions. PROT_EXEC alone is left out: where the processor has protection keys, a load is then refused.
 */
const prot = weighted<number>(
  [16, always(Prot.PROT_READ | Prot.PROT_WRITE)],
  [3, always(Prot.PROT_READ)],
  [1, always(Prot.PROT_NONE)],
  [1, always(Prot.PROT_WRITE)],
  [1, always(Prot.PROT_READ | Prot.PROT_EXEC)],
  [1, always(Prot.PROT_READ | Prot.PROT_WRITE | Prot.PROT_EXEC)],
);

const backing = weighted<Backing>(
  [12, always('anonymous')],
  [4, always('disk')],
  [4, always('memory')],
);

const extraMapFlag = weighted<number>(
  [20, always(0)],
  [3, always(MapFlag.MAP_POPULATE)],
  [1, always(MapFlag.MAP_POPULATE | MapFlag.MAP_NONBLOCK)],
  [2, always(MapFlag.MAP_GROWSDOWN)],
  [1, always(MapFlag.MAP_NORESERVE)],
  [1, always(MapFlag.MAP_LOCKED)],
  [1, always(MapFlag.MAP_STACK)],
);

const sharing = weighted<number>(
  [24, always(MapFlag.MAP_PRIVATE)],
  [12, always(MapFlag.MAP_SHARED)],
  [1, always(MapFlag.MAP_SHARED_VALIDATE)],
  [1, always(0)],
);

const slot = fc.nat(SLOTS - 1);

/** Bits of mmap that say how its address is meant. */
const fixedFlag = weighted<number>(
  [10, always(MapFlag.MAP_FIXED)],
  [2, always(MapFlag.MAP_FIXED_NOREPLACE)],
  [2, always(0)],
);

/** MAP_FIXED replaces what is there: only within the arenas is that ours alone. */
function mmapTarget(mode: Mode): fc.Arbitrary<{ at: Place; fixed: number; length: number }> {
  const given = fc.record({ at: argumentPlace(mode), fixed: fixedFlag, length });
  const chosen = fc.record({
    at: always<Place>({ base: 'zero', offset: 0 }),
    fixed: always(0),
    length,
  });
  return mode === 'hints' ? given : weighted([4, chosen], [2, given]);
}

function mmap(mode: Mode): fc.Arbitrary<Call> {
  return fc
    .record({
      target: mmapTarget(mode),
      prot,
      sharing,
      extra: extraMapFlag,
      backing,
      pgoff: weighted([6, fc.nat(7)], [2, fc.nat(23)], [1, fc.constantFrom(24, 30)]),
      into: slot,
    })
    .map(({ target, prot, sharing, extra, backing, pgoff, into }) => ({
      call: 'mmap',
      at: target.at,
      length: target.length,
      prot,
      flags: target.fixed | sharing | extra | (backing === 'anonymous' ? MapFlag.MAP_ANONYMOUS : 0),
      backing,
      pgoff: backing === 'anonymous' ? 0 : pgoff,
      into,
    }));
}

const mremapFlags = weighted<number>(
  [8, always(MremapFlag.MREMAP_MAYMOVE)],
  [4, always(0)],
  [6, always(MremapFlag.MREMAP_MAYMOVE | MremapFlag.MREMAP_FIXED)],
  [3, always(MremapFlag.MREMAP_MAYMOVE | MremapFlag.MREMAP_DONTUNMAP)],
  [1, always(MremapFlag.MREMAP_MAYMOVE | MremapFlag.MREMAP_DONTUNMAP | MremapFlag.MREMAP_FIXED)],
  [1, fc.constantFrom(MremapFlag.MREMAP_FIXED, MremapFlag.MREMAP_DONTUNMAP, 8, 16)],
);

function mremap(mode: Mode): fc.Arbitrary<Call> {
  return fc
    .record({
      at: argumentPlace(mode),
      oldLength: weighted([20, pages(1, 16)], [3, fc.constantFrom(HUGE, 0)], [1, oddLength]),
      newLength: rangeLength,
      sameLength: fc.boolean(),
      flags: mremapFlags,
      to: argumentPlace(mode),
      into: slot,
    })
    .map(({ at, oldLength, newLength, sameLength, flags, to, into }) => ({
      call: 'mremap',
      at,
      oldLength,
      newLength: sameLength ? oldLength : newLength,
      flags,
      to,
      into,
    }));
}

/** No known advice, and none that a later kernel knows either. */
const UNKNOWN_ADVICE = 99;

const advice = weighted<number>(
  [10, fc.constantFrom(...Object.values(Advice).filter((value) => value !== Advice.MADV_REMOVE))],
  [4, always(Advice.MADV_DONTNEED)],
  [1, always(UNKNOWN_ADVICE)],
);

function madvise(mode: Mode): fc.Arbitrary<Call> {
  const usual = fc.record({ at: argumentPlace(mode), length: rangeLength, advice });
  const huge = fc.record({
    at: hugeOffset.map((offset): Place => ({ base: 'huge', offset })),
    length: rangeLength,
    advice: weighted<number>([3, always(Advice.MADV_HUGEPAGE)], [1, advice]),
  });
  return weighted([4, usual], [1, huge]).map((fields) => ({ call: 'madvise', ...fields }));
}

function range(call: 'munmap' | 'mlock' | 'munlock' | 'mincore', mode: Mode): fc.Arbitrary<Call> {
  return fc
    .record({ at: argumentPlace(mode), length: rangeLength })
    .map(({ at, length }) => ({ call, at, length }));
}

/** A huge page, writable and private: what most cases of huge pages begin with. */
const hugeMapping: fc.Arbitrary<Call> = fc
  .record({ page: fc.nat(2), count: fc.integer({ min: 1, max: 3 }) })
  .map(({ page, count }) => ({
    call: 'mmap',
    at: { base: 'huge', offset: page * HUGE },
    length: Math.min(count, 3 - page) * HUGE,
    prot: Prot.PROT_READ | Prot.PROT_WRITE,
    flags: MapFlag.MAP_PRIVATE | MapFlag.MAP_ANONYMOUS | MapFlag.MAP_FIXED,
    backing: 'anonymous',
    pgoff: 0,
  }));

/** Offsets within a page at which words are loaded and stored. */
const wordOffset = fc.constantFrom(0, 4, 2048);

function wordPlace(mode: Mode): fc.Arbitrary<Place> {
  return fc
    .record({ at: place(mode), word: wordOffset })
    .map(({ at, word }) => ({ base: at.base, offset: at.offset + word }));
}

const brkPlace = weighted<Place>(
  [12, fc.integer({ min: 0, max: 20 * PAGE }).map((offset) => ({ base: 'heap', offset }))],
  [6, pages(0, 20).map((offset) => ({ base: 'heap', offset }))],
  [1, always<Place>({ base: 'zero', offset: 0 })],
  [1, always<Place>({ base: 'zero', offset: 2 ** 47 })],
);

/** Calls of every kind, as often as they are worth. */
function anyCall(mode: Mode): fc.Arbitrary<Call> {
  return weighted<Call>(
    [22, mmap(mode)],
    [2, hugeMapping],
    [6, range('munmap', mode)],
    [
      10,
      fc
        .record({ at: argumentPlace(mode), length: rangeLength, prot: protChange })
        .map((fields) => ({ call: 'mprotect', ...fields })),
    ],
    [8, mremap(mode)],
    [10, madvise(mode)],
    [3, brkPlace.map((at) => ({ call: 'brk', at }))],
    [3, range('mlock', mode)],
    [
      2,
      fc
        .record({
          at: argumentPlace(mode),
          length: rangeLength,
          flags: fc.constantFrom(0, MLOCK_ONFAULT, MLOCK_ONFAULT, 2),
        })
        .map((fields) => ({ call: 'mlock2', ...fields })),
    ],
    [2, range('munlock', mode)],
    [1, mclFlags.map((flags) => ({ call: 'mlockall', flags }))],
    [1, always<Call>({ call: 'munlockall' })],
    [
      2,
      fc
        .record({ at: argumentPlace(mode), length: rangeLength, flags: msyncFlags })
        .map((fields) => ({ call: 'msync', ...fields })),
    ],
    [2, range('mincore', mode)],
    [
      1,
      fc
        .record({
          at: argumentPlace(mode),
          length: rangeLength,
          prot: weighted<number>([5, always(0)], [1, always(Prot.PROT_READ)]),
          pgoff: fc.nat(24),
          flags: fc.constantFrom(0, 0, MapFlag.MAP_NONBLOCK, MapFlag.MAP_SHARED),
        })
        .map((fields) => ({ call: 'remap_file_pages', ...fields })),
    ],
    [1, fc.integer({ min: 0, max: 28 }).map((pages) => ({ call: 'ftruncate', pages }))],
    [3, always<Call>({ call: 'fork' })],
    [1, always<Call>({ call: 'exit' })],
    [16, wordPlace(mode).map((at) => ({ call: 'load', at }))],
    [
      26,
      fc
        .record({ at: wordPlace(mode), value: fc.integer({ min: 1, max: 0x7fff }) })
        .map((fields) => ({ call: 'store', ...fields })),
    ],
  );
}

const protChange = weighted<number>(
  [20, prot],
  [1, always(Prot.PROT_GROWSDOWN | Prot.PROT_READ | Prot.PROT_WRITE)],
  [1, always(0x100)],
);

/** All sets of flags, and one that is not known. */
const mclFlags = fc.integer({ min: 0, max: 2 * MclFlag.MCL_ONFAULT });

/** MS_SYNC writes to the disk, which takes long: it is rare. */
const msyncFlags = weighted<number>(
  [6, fc.constantFrom(0, MsyncFlag.MS_ASYNC, MsyncFlag.MS_INVALIDATE, 8)],
  [1, always(MsyncFlag.MS_SYNC)],
  [1, always(MsyncFlag.MS_SYNC | MsyncFlag.MS_ASYNC)],
);

/** Calls at the start that map something, so that what follows meets it. */
const FIRST_CALLS = 8;

/** Sequences of so many calls. A call that does not matter shrinks to none. */
export function sequences(mode: Mode, calls: number): fc.Arbitrary<ProcessCall[]> {
  const first = Math.min(calls, FIRST_CALLS);
  return fc
    .tuple(optionalCalls(firstCall(mode), first), optionalCalls(anyCall(mode), calls - first))
    .map((parts) => parts.flat());
}

function firstCall(mode: Mode): fc.Arbitrary<Call> {
  return weighted([6, mmap(mode)], [1, hugeMapping]);
}

function optionalCalls(call: fc.Arbitrary<Call>, count: number): fc.Arbitrary<ProcessCall[]> {
  const byProcess = fc
    .record({ call, by: fc.nat(3) })
    .map(({ call, by }): ProcessCall => ({ ...call, by }));
  return fc
    .array(fc.option(byProcess, { nil: undefined, freq: 50 }), {
      minLength: count,
      maxLength: count,
    })
    .map((list) => list.filter((item) => item !== undefined));
}
