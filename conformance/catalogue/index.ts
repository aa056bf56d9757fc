/** Cases written by hand, by theme: each is run on Linux and on our VM, and compared after each call. */
import { advices, locks } from './advice.js';
import { faults, fileRemaps, populates, stacks, truncation } from './faults.js';
import { forks } from './forks.js';
import { hugePages } from './hugePages.js';
import { mmapErrors, munmap, placement, protection, splitAndMerge } from './mappings.js';
import { heaps, moves } from './moves.js';
import type { Theme } from './theme.js';

export const CATALOGUE: Readonly<Record<string, Theme>> = {
  'where mmap places, and its flags': placement,
  'what mmap refuses': mmapErrors,
  munmap: munmap,
  'splitting and merging': splitAndMerge,
  protection: protection,
  faults: faults,
  'files that change their length': truncation,
  stacks: stacks,
  mremap: moves,
  madvise: advices,
  brk: heaps,
  'mlock, mincore and msync': locks,
  fork: forks,
  populate: populates,
  remap_file_pages: fileRemaps,
  'huge pages': hugePages,
};
