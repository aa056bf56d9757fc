/** The reference model of contents says what Linux does: each fact was tried out on a Linux 6.18. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EACCES, EBUSY, EEXIST, EFAULT, EINVAL, ENOMEM } from '../base/errno.js';
import { PAGE_SIZE, TASK_SIZE } from '../hardware/machine.js';
import { Contents, type MmapRequest, type Process } from './contents.js';
import { MemoryObject } from './memoryObject.js';

const BASE = 0x4000_0000;
const FILE = 17;
const FILE_PAGES = 4;

function page(index: number): number {
  return BASE + index * PAGE_SIZE;
}

function bytes(pages: number): number {
  return pages * PAGE_SIZE;
}

/** Maps anonymous memory, or what `request` says, at a page of the arena. */
function map(
  process: Process,
  index: number,
  pages: number,
  request: Partial<MmapRequest> = {},
): void {
  process.mmap(page(index), bytes(pages), { prot: 3, fixed: true, ...request }, page(index));
}

/** A process with so many pages of anonymous memory, the first word of each its number plus one. */
function processWith(pages: number): Process {
  const process = new Contents().start();
  map(process, 0, pages);
  for (let index = 0; index < pages; index++) process.store(page(index), index + 1);
  return process;
}

/** What the first words of pages may be. */
function loads(process: Process, pages: number): unknown[] {
  return Array.from({ length: pages }, (_, index) => {
    const result = process.load(page(index));
    if (typeof result === 'string') return result;
    return result.length === 1 ? result[0] : result;
  });
}

function refuses(act: () => void): void {
  assert.throws(act, /^InvariantError: contents: /);
}

describe('memory in the model', () => {
  it('is not there before it is mapped nor after it is unmapped', () => {
    const process = processWith(3);
    process.munmap(page(1), bytes(1), 0);
    assert.deepEqual(loads(process, 4), [1, 'SIGSEGV', 3, 'SIGSEGV']);
    assert.equal(process.store(page(1), 5), 'SIGSEGV');
  });

  it('is zero when it is fresh', () => {
    const process = processWith(2);
    map(process, 0, 1);
    assert.deepEqual(loads(process, 2), [0, 2]);
    assert.deepEqual(process.load(page(1) + 4), [0]);
  });

  it('of a file is what the device has, until it is stored to', () => {
    const process = new Contents().start();
    map(process, 0, 2, { object: new MemoryObject(FILE_PAGES, FILE), pgoff: 2 });
    assert.deepEqual(loads(process, 2), [FILE, FILE]);
    assert.deepEqual(process.load(page(1) + 4), [3]);
    process.store(page(1), 9);
    assert.deepEqual(process.load(page(1)), [9]);
    assert.deepEqual(process.load(page(1) + 4), [3]);
  });

  it('behind the end of a file is SIGBUS, unless its permissions forbid the access first', () => {
    const process = new Contents().start();
    const object = new MemoryObject(1, FILE);
    map(process, 0, 2, { object, prot: 1 });
    assert.deepEqual(loads(process, 2), [FILE, 'SIGBUS']);
    assert.equal(process.store(page(1), 1), 'SIGSEGV');
  });

  it('is seen by all who share it, and by private mappings that were not stored to', () => {
    const contents = new Contents();
    const object = new MemoryObject(FILE_PAGES, FILE);
    const [one, other] = [contents.start(), contents.start()];
    map(one, 0, 1, { object, shared: true });
    map(other, 0, 1, { object, shared: true });
    map(other, 1, 1, { object });
    map(other, 2, 1, { object });
    other.store(page(2) + 8, 7);
    one.store(page(0), 5);
    assert.deepEqual(loads(other, 3), [5, 5, FILE]);
  });

  it('of a private mapping that was populated may be a copy or not', () => {
    const contents = new Contents();
    const object = new MemoryObject(FILE_PAGES, FILE);
    const process = contents.start();
    map(process, 0, 1, { object, populate: true });
    process.mlockall(false, true, 0);
    map(process, 2, 1, { object });
    map(process, 1, 1, { object, shared: true });
    process.store(page(1), 5);
    assert.deepEqual(loads(process, 3), [[5, FILE], 5, [5, FILE]]);
    process.loaded(page(0), FILE);
    assert.deepEqual(loads(process, 1), [FILE]);
  });
});

describe('mmap in the model', () => {
  it('must give the address that is demanded', () => {
    refuses(() => new Contents().start().mmap(BASE, 1, { prot: 3, fixed: true }, BASE + PAGE_SIZE));
  });

  it('must give a hint where there is room, and some other room elsewhere', () => {
    const process = processWith(1);
    refuses(() => process.mmap(page(1), 1, { prot: 3 }, page(2)));
    refuses(() => process.mmap(page(0), 1, { prot: 3 }, page(0)));
    process.mmap(page(0), 1, { prot: 3 }, page(2));
    assert.deepEqual(loads(process, 3), [1, 'SIGSEGV', 0]);
  });

  it('replaces nothing with MAP_FIXED_NOREPLACE', () => {
    const process = processWith(2);
    const request = { prot: 3, noReplace: true };
    process.mmap(page(1), bytes(2), request, -EEXIST);
    process.mmap(page(2), bytes(2), request, page(2));
    assert.deepEqual(loads(process, 4), [1, 2, 0, 0]);
  });

  it('refuses no length, no whole page, and what reaches out of user space', () => {
    const process = new Contents().start();
    process.mmap(BASE, 0, { prot: 3 }, -EINVAL);
    process.mmap(BASE + 1, 1, { prot: 3, fixed: true }, -EINVAL);
    process.mmap(TASK_SIZE - PAGE_SIZE, bytes(2), { prot: 3, fixed: true }, -ENOMEM);
  });
});

describe('mprotect in the model', () => {
  it('forbids and allows again without a change of contents', () => {
    const process = processWith(1);
    process.mprotect(page(0), bytes(1), 0, 0);
    assert.deepEqual(loads(process, 1), ['SIGSEGV']);
    process.mprotect(page(0), bytes(1), 1, 0);
    assert.deepEqual(loads(process, 1), [1]);
    assert.equal(process.store(page(0), 2), 'SIGSEGV');
  });

  it('changes what lies before a hole and gives ENOMEM', () => {
    const process = processWith(3);
    process.munmap(page(1), bytes(1), 0);
    refuses(() => process.mprotect(page(0), bytes(3), 1, 0));
    process.mprotect(page(0), bytes(3), 0, -ENOMEM);
    assert.deepEqual(loads(process, 3), ['SIGSEGV', 'SIGSEGV', 3]);
  });

  it('leaves write-only memory readable', () => {
    const process = processWith(1);
    process.mprotect(page(0), bytes(1), 2, 0);
    assert.deepEqual(loads(process, 1), [1]);
  });
});

describe('mremap in the model', () => {
  it('shrinks over holes, but not from one', () => {
    const process = processWith(5);
    process.munmap(page(1), bytes(1), 0);
    process.mremap(page(0), bytes(5), bytes(3), {}, page(0));
    assert.deepEqual(loads(process, 5), [1, 'SIGSEGV', 3, 'SIGSEGV', 'SIGSEGV']);
    process.mremap(page(1), bytes(2), bytes(1), {}, -EFAULT);
    assert.deepEqual(loads(process, 3), [1, 'SIGSEGV', 3]);
  });

  it('grows in place where there is room', () => {
    const process = processWith(2);
    refuses(() => process.mremap(page(1), bytes(1), bytes(2), { mayMove: true }, page(7)));
    process.mremap(page(1), bytes(1), bytes(2), { mayMove: true }, page(1));
    assert.deepEqual(loads(process, 3), [1, 2, 0]);
  });

  it('moves where there is none, if it may', () => {
    const process = processWith(3);
    process.mremap(page(0), bytes(2), bytes(3), {}, -ENOMEM);
    process.mremap(page(0), bytes(2), bytes(3), { mayMove: true }, page(4));
    assert.deepEqual(loads(process, 7), ['SIGSEGV', 'SIGSEGV', 3, 'SIGSEGV', 1, 2, 0]);
  });

  it('moves to an address over what is there', () => {
    const process = processWith(4);
    process.mremap(
      page(0),
      bytes(1),
      bytes(1),
      { mayMove: true, fixed: true, newAddress: page(2) },
      page(2),
    );
    assert.deepEqual(loads(process, 4), ['SIGSEGV', 2, 1, 4]);
  });

  it('refuses to move onto itself, or without leave', () => {
    const process = processWith(4);
    process.mremap(
      page(0),
      bytes(2),
      bytes(2),
      { mayMove: true, fixed: true, newAddress: page(1) },
      -EINVAL,
    );
    process.mremap(page(0), bytes(1), bytes(1), { fixed: true, newAddress: page(2) }, -EINVAL);
    process.mremap(page(0), bytes(1), bytes(1), { dontUnmap: true }, -EINVAL);
  });

  it('goes on in the file where a mapping of one grows', () => {
    const process = new Contents().start();
    map(process, 0, 1, { object: new MemoryObject(FILE_PAGES, FILE), pgoff: 2 });
    process.mremap(page(0), bytes(1), bytes(3), {}, page(0));
    assert.deepEqual(process.load(page(1) + 4), [3]);
    assert.equal(process.load(page(2)), 'SIGBUS');
  });

  it('grows no two mappings at once', () => {
    const process = processWith(2);
    process.mprotect(page(1), bytes(1), 1, 0);
    process.mremap(page(0), bytes(2), bytes(3), { mayMove: true }, -EFAULT);
  });

  it('moves what is there of a range, and nothing over holes', () => {
    const process = processWith(8);
    process.munmap(page(1), bytes(1), 0);
    process.mprotect(page(2), bytes(1), 1, 0);
    const request = { mayMove: true, fixed: true, newAddress: page(4) };
    process.mremap(page(0), bytes(3), bytes(3), request, page(4));
    const gone = 'SIGSEGV';
    assert.deepEqual(loads(process, 8), [gone, gone, gone, 4, 1, 6, 3, 8]);
  });

  it('shows shared memory a second time where the old length is 0', () => {
    const process = new Contents().start();
    map(process, 0, 1, { object: new MemoryObject(FILE_PAGES, FILE), shared: true, pgoff: 1 });
    process.mremap(page(0), 0, bytes(2), { mayMove: true }, page(4));
    process.store(page(4), 9);
    assert.deepEqual(loads(process, 1), [9]);
    assert.deepEqual(process.load(page(5) + 4), [2]);
    process.mremap(page(0), 0, bytes(2), {}, -ENOMEM);
    map(process, 0, 1);
    process.mremap(page(0), 0, bytes(2), { mayMove: true }, -EINVAL);
  });

  it('leaves empty memory behind with MREMAP_DONTUNMAP', () => {
    const process = processWith(2);
    process.mremap(page(0), bytes(2), bytes(2), { mayMove: true, dontUnmap: true }, page(4));
    assert.deepEqual(loads(process, 6), [0, 0, 'SIGSEGV', 'SIGSEGV', 1, 2]);
  });
});

describe('madvise in the model', () => {
  it('drops private pages behind holes too, but not those of files', () => {
    const process = processWith(3);
    process.munmap(page(1), bytes(1), 0);
    map(process, 3, 1, { object: new MemoryObject(FILE_PAGES, FILE), shared: true });
    process.store(page(3), 8);
    process.dontNeed(page(0), bytes(4), false, -ENOMEM);
    assert.deepEqual(loads(process, 4), [0, 'SIGSEGV', 0, 8]);
  });

  it('stops at locked memory, unless that is meant', () => {
    const process = processWith(3);
    process.mlock(page(1) + 1, 1, false, 0);
    process.dontNeed(page(0), bytes(3), false, -EINVAL);
    assert.deepEqual(loads(process, 3), [0, 2, 3]);
    process.dontNeed(page(1), bytes(1), true, 0);
    assert.deepEqual(loads(process, 3), [0, 0, 3]);
  });

  it('leaves freed pages with their contents or with none, until they are stored to', () => {
    const process = processWith(1);
    process.free(page(0), bytes(1), 0);
    process.loaded(page(0), 1);
    assert.deepEqual(loads(process, 1), [[1, 0]]);
    process.store(page(0) + 4, 9);
    assert.deepEqual(loads(process, 1), [[1, 0]]);
    process.loaded(page(0), 1);
    assert.deepEqual(loads(process, 1), [1]);
  });

  it('does not bring back a freed page that was seen to be gone', () => {
    const process = processWith(1);
    process.free(page(0), bytes(1), 0);
    process.loaded(page(0), 0);
    assert.deepEqual(loads(process, 1), [0]);
  });

  it('frees no memory of files', () => {
    const process = new Contents().start();
    map(process, 0, 1, { object: new MemoryObject(FILE_PAGES, FILE) });
    process.free(page(0), bytes(1), -EINVAL);
    process.adviseWipe(page(0), bytes(1), true, -EINVAL);
    process.adviseWipe(page(0), bytes(1), false, 0);
  });

  it('punches holes into what is shared', () => {
    const process = new Contents().start();
    const object = new MemoryObject(FILE_PAGES, FILE);
    map(process, 0, 2, { object, shared: true });
    map(process, 2, 1, { object, shared: true, prot: 1 });
    map(process, 3, 1);
    map(process, 4, 1, { object });
    process.remove(page(1), bytes(3), -EINVAL);
    process.remove(page(4), bytes(1), -EACCES);
    assert.deepEqual(loads(process, 3), [0, 0, 0]);
  });

  it('populates up to what cannot be', () => {
    const process = new Contents().start();
    map(process, 0, 2, { object: new MemoryObject(1, FILE) });
    process.advisePopulate(page(0), bytes(2), true, -EFAULT);
    process.mprotect(page(0), bytes(1), 1, 0);
    process.advisePopulate(page(0), bytes(1), true, -EINVAL);
    process.advisePopulate(page(0), bytes(1), false, 0);
    process.advisePopulate(page(2), bytes(1), false, -ENOMEM);
  });

  it('must be understood, and starts on a page', () => {
    const process = processWith(1);
    refuses(() => process.adviseOther(page(0), bytes(1), -EINVAL));
    process.adviseOther(page(0) + 1, 1, -EINVAL);
    process.adviseOther(page(1), 0, 0);
  });
});

describe('fork in the model', () => {
  it('copies private memory and shares the rest', () => {
    const contents = new Contents();
    const parent = contents.start();
    map(parent, 0, 1);
    map(parent, 1, 1, { shared: true });
    parent.store(page(0), 1);
    const child = contents.fork(parent);
    parent.store(page(0), 2);
    parent.store(page(1), 3);
    assert.deepEqual(loads(child, 2), [1, 3]);
    child.store(page(0), 4);
    assert.deepEqual(loads(parent, 2), [2, 3]);
  });

  it('leaves out and wipes what it was told to', () => {
    const process = processWith(3);
    process.adviseFork(page(0), bytes(1), true, 0);
    process.adviseWipe(page(1), bytes(1), true, 0);
    assert.deepEqual(loads(process.copy(), 3), ['SIGSEGV', 0, 3]);
    process.adviseFork(page(0), bytes(1), false, 0);
    assert.deepEqual(loads(process.copy(), 3), [1, 0, 3]);
  });

  it('locks nothing in the child', () => {
    const process = processWith(1);
    process.mlock(page(0), bytes(1), false, 0);
    const child = process.copy();
    child.dontNeed(page(0), bytes(1), false, 0);
    assert.deepEqual(loads(child, 1), [0]);
  });
});

describe('the heap and the stack in the model', () => {
  it('end where brk puts it, unless something is in the way', () => {
    const process = new Contents().start();
    map(process, 3, 1);
    process.setBrk(page(0));
    process.brk(page(2), page(2));
    process.store(page(1), 5);
    process.brk(page(3), page(2));
    process.brk(page(0) - 1, page(2));
    assert.deepEqual(loads(process, 4), [0, 5, 'SIGSEGV', 0]);
    process.brk(page(1), page(1));
    assert.deepEqual(loads(process, 2), [0, 'SIGSEGV']);
    assert.equal(process.brkEnd, page(1));
    process.munmap(page(0), bytes(1), 0);
    process.brk(page(0), page(1));
  });

  it('grow down to what is touched, as far as a stack may', () => {
    const process = new Contents().start();
    map(process, 3, 1, { growsDown: true });
    assert.equal(process.load(page(3) - 2 ** 23), 'SIGSEGV');
    process.store(page(1), 6);
    assert.deepEqual(process.load(page(2)), [0]);
    map(process, 1, 1);
    assert.equal(process.load(page(0)), 'SIGSEGV');
  });

  it('keep away from each other', () => {
    const process = new Contents().start();
    map(process, 0, 1);
    map(process, 300, 1, { growsDown: true });
    assert.deepEqual(process.load(page(257)), [0]);
    assert.equal(process.load(page(256)), 'SIGSEGV');
    process.mmap(page(10), 1, { prot: 3 }, page(20));
    process.mprotect(page(0), bytes(1), 0, 0);
    process.munmap(page(20), bytes(1), 0);
    assert.deepEqual(process.load(page(256)), [0]);
  });

  it('are gone after exec', () => {
    const process = processWith(2);
    process.setBrk(page(4));
    process.exec();
    assert.deepEqual(loads(process, 2), ['SIGSEGV', 'SIGSEGV']);
    assert.equal(process.brkEnd, 0);
  });
});

describe('locking in the model', () => {
  it('stops at holes and at pages that cannot be there', () => {
    const process = processWith(3);
    process.munmap(page(1), bytes(1), 0);
    process.mlock(page(0), bytes(3), false, -ENOMEM);
    process.dontNeed(page(0), bytes(1), false, -EINVAL);
    process.dontNeed(page(2), bytes(1), false, 0);
    process.munlock(page(0), bytes(3), -ENOMEM);
    process.mprotect(page(2), bytes(1), 0, 0);
    process.mlock(page(2), bytes(1), false, -ENOMEM);
    process.mlock(page(2), bytes(1), true, 0);
  });

  it('of all is for what is there, for what comes, or both', () => {
    const process = processWith(1);
    process.mlockall(true, false, 0);
    map(process, 1, 1);
    process.dontNeed(page(1), bytes(1), false, 0);
    process.mlockall(false, true, 0);
    map(process, 2, 1);
    process.dontNeed(page(0), bytes(1), false, -EINVAL);
    process.dontNeed(page(2), bytes(1), false, -EINVAL);
    process.munlockall(0);
    map(process, 3, 1);
    process.dontNeed(page(0), bytes(4), false, 0);
    assert.deepEqual(loads(process, 4), [0, 0, 0, 0]);
  });

  it('keeps msync from invalidating', () => {
    const process = processWith(1);
    process.mlock(page(0), bytes(1), false, 0);
    process.msync(page(0), bytes(1), true, -EBUSY);
    process.msync(page(0), bytes(2), false, -ENOMEM);
    process.mincore(page(0), bytes(1), 0);
    process.mincore(page(0), bytes(2), -ENOMEM);
  });
});

describe('files in the model', () => {
  it('lose what lies behind a new end for good, private copies too', () => {
    const contents = new Contents();
    const process = contents.start();
    const object = new MemoryObject(FILE_PAGES, FILE);
    map(process, 0, 2, { object, shared: true });
    map(process, 2, 2, { object });
    process.store(page(1), 5);
    process.store(page(3), 6);
    contents.truncate(object, 1);
    assert.deepEqual(loads(process, 4), [FILE, 'SIGBUS', FILE, 'SIGBUS']);
    contents.truncate(object, FILE_PAGES);
    assert.deepEqual(loads(process, 4), [FILE, 0, FILE, 0]);
  });

  it('are not changed for a process that has ended', () => {
    const contents = new Contents();
    const process = contents.start();
    const object = new MemoryObject(FILE_PAGES, FILE);
    map(process, 0, 1, { object });
    process.store(page(0), 5);
    contents.exit(process);
    contents.truncate(object, 0);
    contents.truncate(object, 1);
    assert.deepEqual(loads(process, 1), [5]);
  });

  it('are seen in another order after remap_file_pages, also where they grow', () => {
    const process = new Contents().start();
    map(process, 0, 2, { object: new MemoryObject(FILE_PAGES, FILE), shared: true });
    process.remapFilePages(page(0), bytes(1), 0, 3, 0);
    process.mremap(page(0), bytes(2), bytes(3), {}, page(0));
    const indexes = [0, 1, 2].map((index) => process.load(page(index) + 4));
    assert.deepEqual(indexes, [[3], [1], [2]]);
    process.remapFilePages(page(0), bytes(4), 0, 0, -EINVAL);
    process.munmap(page(1), bytes(1), 0);
    refuses(() => process.remapFilePages(page(0), bytes(2), 0, 0, 0));
    refuses(() => process.remapFilePages(page(0), bytes(1), 0, 0, -EINVAL));
    process.remapFilePages(page(0), bytes(1), 1, 0, -EINVAL);
  });
});

describe('a process that ran out of memory', () => {
  const now = { prot: 3, locked: false, dontFork: false, wipeOnFork: false };

  it('has lost what a call unmapped before it failed', () => {
    const process = processWith(2);
    refuses(() => process.adopt(page(0), [undefined, now]));
    process.adopt(page(0), [undefined, now], { unmap: true });
    assert.deepEqual(loads(process, 2), ['SIGSEGV', 2]);
  });

  it('has the permissions from before the call or those that it asked for', () => {
    const process = processWith(2);
    refuses(() => process.adopt(page(0), [{ ...now, prot: 0 }], { prot: 1 }));
    process.adopt(page(0), [{ ...now, prot: 1 }, now], { prot: 1 });
    assert.equal(process.store(page(0), 5), 'SIGSEGV');
    assert.equal(process.store(page(1), 5), undefined);
  });

  it('has moved some mappings and not others', () => {
    const process = processWith(3);
    process.adoptMove(page(0), page(4), [undefined, now], [now, undefined]);
    assert.deepEqual(loads(process, 5), ['SIGSEGV', 2, 3, 'SIGSEGV', 1]);
  });

  it('has at their old place, empty, mappings that moved and could not be taken away', () => {
    const process = processWith(3);
    const request = { mayMove: true, fixed: true, newAddress: page(4) };
    process.mremap(page(0), bytes(2), bytes(2), request, page(4));
    refuses(() => process.adoptLeft(page(0), page(4), [{ ...now, prot: 1 }, now]));
    refuses(() => process.adoptLeft(page(0), page(4), [{ ...now, locked: true }, now]));
    process.adoptLeft(page(0), page(4), [now, undefined]);
    assert.deepEqual(loads(process, 6), [0, 'SIGSEGV', 3, 'SIGSEGV', 1, 2]);
  });

  it('has moved what is at the new place, though its mapping is at the old one too', () => {
    const process = processWith(2);
    process.adoptMove(page(0), page(4), [now, now], [now, undefined]);
    process.adoptLeft(page(0), page(4), [now, now]);
    assert.deepEqual(loads(process, 5), [0, 2, 'SIGSEGV', 'SIGSEGV', 1]);
  });

  it('has nothing mapped that was not there, but for a stack that has grown', () => {
    const process = new Contents().start();
    map(process, 3, 1, { growsDown: true });
    refuses(() => process.adopt(page(4), [now]));
    process.adopt(page(2), [now]);
    assert.deepEqual(process.load(page(2)), [0]);
  });
});
