/** The language of calls: what a sequence may hold, as data, and what runs of it. */

/** Flags of mmap (include/uapi/asm-generic/mman-common.h and mman.h). */
export const MapFlag = {
  MAP_SHARED: 0x01,
  MAP_PRIVATE: 0x02,
  MAP_SHARED_VALIDATE: 0x03,
  MAP_FIXED: 0x10,
  MAP_ANONYMOUS: 0x20,
  MAP_GROWSDOWN: 0x0100,
  MAP_LOCKED: 0x2000,
  MAP_NORESERVE: 0x4000,
  MAP_POPULATE: 0x8000,
  MAP_NONBLOCK: 0x1_0000,
  MAP_STACK: 0x2_0000,
  MAP_FIXED_NOREPLACE: 0x10_0000,
} as const;

/** Permissions (include/uapi/asm-generic/mman-common.h). */
export const Prot = {
  PROT_NONE: 0,
  PROT_READ: 1,
  PROT_WRITE: 2,
  PROT_EXEC: 4,
  PROT_GROWSDOWN: 0x0100_0000,
} as const;

/** Flags of mremap (include/uapi/linux/mman.h). */
export const MremapFlag = { MREMAP_MAYMOVE: 1, MREMAP_FIXED: 2, MREMAP_DONTUNMAP: 4 } as const;

/** Advice of madvise (include/uapi/asm-generic/mman-common.h). */
export const Advice = {
  MADV_NORMAL: 0,
  MADV_RANDOM: 1,
  MADV_SEQUENTIAL: 2,
  MADV_WILLNEED: 3,
  MADV_DONTNEED: 4,
  MADV_FREE: 8,
  MADV_REMOVE: 9,
  MADV_DONTFORK: 10,
  MADV_DOFORK: 11,
  MADV_HUGEPAGE: 14,
  MADV_NOHUGEPAGE: 15,
  MADV_DONTDUMP: 16,
  MADV_DODUMP: 17,
  MADV_WIPEONFORK: 18,
  MADV_KEEPONFORK: 19,
  MADV_POPULATE_READ: 22,
  MADV_POPULATE_WRITE: 23,
} as const;

/** Flags of msync, mlock2 and mlockall (include/uapi/asm-generic/mman-common.h and mman.h). */
export const MsyncFlag = { MS_ASYNC: 1, MS_INVALIDATE: 2, MS_SYNC: 4 } as const;
export const MLOCK_ONFAULT = 1;
export const MclFlag = { MCL_CURRENT: 1, MCL_FUTURE: 2, MCL_ONFAULT: 4 } as const;

/** Where addresses begin. The arenas are ours; the heap begins where the program's data end. */
export const Base = {
  /** A number as it stands. */
  zero: 0,
  /** 64 pages across a boundary of page tables. */
  arena: 0x10_0000_0000 - 32 * 4096,
  /** Three huge pages. */
  huge: 0x20_0000_0000,
} as const;

/** Where a slot points before a call has put its result there. */
export const EMPTY_SLOT = 0x30_0000_0000;
export const SLOTS = 6;

/** An address: a base, and bytes from it. A slot is where an earlier mmap or mremap of the process put something. */
export interface Place {
  readonly base: keyof typeof Base | 'heap' | number;
  readonly offset: number;
}

export type Backing = 'anonymous' | 'disk' | 'memory';

/** Lengths are in bytes, offsets in files in pages. */
export type Call =
  | {
      readonly call: 'mmap';
      readonly at: Place;
      readonly length: number;
      readonly prot: number;
      readonly flags: number;
      readonly backing: Backing;
      readonly pgoff: number;
      readonly into?: number;
    }
  | {
      readonly call: 'munmap' | 'mlock' | 'munlock' | 'mincore';
      readonly at: Place;
      readonly length: number;
    }
  | {
      readonly call: 'mprotect';
      readonly at: Place;
      readonly length: number;
      readonly prot: number;
    }
  | {
      readonly call: 'mremap';
      readonly at: Place;
      readonly oldLength: number;
      readonly newLength: number;
      readonly flags: number;
      readonly to: Place;
      readonly into?: number;
    }
  | {
      readonly call: 'madvise';
      readonly at: Place;
      readonly length: number;
      readonly advice: number;
    }
  | { readonly call: 'brk'; readonly at: Place }
  | {
      readonly call: 'mlock2';
      readonly at: Place;
      readonly length: number;
      readonly flags: number;
    }
  | { readonly call: 'mlockall'; readonly flags: number }
  | { readonly call: 'munlockall' }
  | {
      readonly call: 'msync';
      readonly at: Place;
      readonly length: number;
      readonly flags: number;
    }
  | {
      readonly call: 'remap_file_pages';
      readonly at: Place;
      readonly length: number;
      readonly prot: number;
      readonly pgoff: number;
      readonly flags: number;
    }
  /** Of the memory file alone: what a file on a disk gets behind its old end is read from there. */
  | { readonly call: 'ftruncate'; readonly pages: number }
  | { readonly call: 'load'; readonly at: Place }
  | { readonly call: 'store'; readonly at: Place; readonly value: number }
  | { readonly call: 'fork' }
  | { readonly call: 'exit' };

export type CallName = Call['call'];

/** A call, and which of the living processes makes it. */
export type ProcessCall = Call & {
  /** Counts the living processes; taken modulo their number. */
  readonly by?: number;
};

/** Steps that are no calls: a report without one, and what all readable pages hold. */
export type Observation = { readonly call: 'look' } | { readonly call: 'contents' };

/** What both sides run. */
export interface Step {
  readonly process: number;
  readonly action: Call | Observation;
  /** The new process of a fork. */
  readonly child?: number;
}

/** Processes that may live at once. */
export const MAX_PROCESSES = 4;

/**
 * Says which process does what. A fork is seen from both sides. At the end every living process reports once
 * more, then tells the contents of its pages and exits.
 */
export function planSteps(calls: readonly ProcessCall[]): Step[] {
  const steps: Step[] = [];
  const living = [0];
  for (const call of calls) {
    const process = living[(call.by ?? 0) % living.length];
    if (call.call === 'fork') {
      if (living.length === MAX_PROCESSES) continue;
      const child = [0, 1, 2, 3].find((candidate) => !living.includes(candidate))!;
      steps.push({ process, action: call, child }, { process: child, action: { call: 'look' } });
      living.push(child);
    } else if (call.call === 'exit') {
      if (living.length === 1) continue;
      steps.push({ process, action: call });
      living.splice(living.indexOf(process), 1);
    } else {
      steps.push({ process, action: call });
    }
  }
  for (const process of living) steps.push({ process, action: { call: 'look' } });
  for (const process of living) {
    steps.push({ process, action: { call: 'contents' } }, { process, action: { call: 'exit' } });
  }
  return steps;
}
