/** The lockings that the benchmark compares, each with atomic counters but the first two, as 2.6.10 had it. */
export const LOCKINGS = [
  'page-table-lock',
  'v18-first',
  'v18',
  'v18-per-thread',
  'table-lock',
  'hashed-locks',
  'pte-bit',
  'linux-6',
] as const;
