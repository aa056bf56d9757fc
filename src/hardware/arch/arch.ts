/**
 * What a page-table format is, as data. docs/architectures.md has all of them in one table.
 *
 * A leaf entry is one or two 32-bit words. The low word holds everything that two CPUs or a CPU and
 * the MMU race for (present, write, accessed, dirty, frame number), so that an update of it is one
 * atomic step; our machines have at most 4 GiB of memory for that reason. A second word holds what
 * depends on the mapping alone; but see `splitPfn`.
 */
export interface Arch {
  readonly name: string;
  /** One line for a list. */
  readonly summary: string;
  /** log2 of the page size in bytes. */
  readonly pageShift: number;
  /** Index bits that each level of the tree takes, the leaf level first. */
  readonly indexBits: readonly number[];
  /** Names of the levels, the leaf level first. */
  readonly levelNames: readonly string[];
  /** 32-bit words per leaf entry. */
  readonly entryWords: 1 | 2;
  /** The same for entries that point to a lower table. */
  readonly upperEntryWords: 1 | 2;
  /** Lowest bit of the frame number in an entry. */
  readonly pfnShift: number;
  /** Whether the frame number is in both words, so that no 32-bit step reads or writes all of it. */
  readonly splitPfn: boolean;
  /** Whether the kernel changes a leaf entry by compare-exchange (2.6: CONFIG_ATOMIC_TABLE_OPS could be had). */
  readonly atomicPtes: boolean;
  /** Whether accessed and dirty are set when a TLB is loaded; if not, an access that needs them faults. */
  readonly mmuSetsBits: boolean;
  /** Whether memory can be more than the kernel maps (Linux: CONFIG_HIGHMEM). */
  readonly highMemory: boolean;
  /** Bytes of user address space. */
  readonly taskSize: number;
  /** Bits of a leaf entry's low word. */
  readonly pte: {
    readonly present: number;
    readonly write: number;
    readonly accessed: number;
    readonly dirty: number;
    /** Of an entry that is not present: the rest is a page offset in a file (2.6: pte_file). */
    readonly file: number;
    /** Of any leaf entry: free for the kernel, which may use it as a lock; 0 where there is none. */
    readonly lock: number;
    /** Of an entry one level above the leaves: it maps a huge page itself; 0 where none can. */
    readonly huge: number;
    /** Set in every user mapping beside the others. */
    readonly user: number;
    /** Software's mark of a mapped page that may not be touched (PROT_NONE): present is clear. */
    readonly protNone: number;
    /** Set where instructions may be fetched; 0 where the format has no such bit. */
    readonly exec: number;
    /** Held by whoever changes the entry, for as long as that takes; 0 where no such bit is needed. */
    readonly busy: number;
    /** The translation may be in the hash table that the hardware reads; 0 where there is none. */
    readonly hashed: number;
  };
  /** Bit of the high word that forbids instruction fetch; 0 where there is none. */
  readonly noExecHigh: number;
  /** Bits beside the frame number in an entry that points to a lower table. */
  readonly tableFlags: number;
  /** Whether Linux 2.6 populates upper levels by cmpxchg here (V18, patch 3 of 4: ia64 only). */
  readonly atomicPopulate: boolean;
  /**
   * Whether a CPU can be told of another top-level table while it runs (the patch of 2008: ARCH_HAS_RELOAD_TLB, which
   * x86 alone has there).
   */
  readonly reloadsTop: boolean;
}
