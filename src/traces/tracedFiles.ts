/**
 * The files of a trace, as files of our VM, with the page cache that the kernel had.
 *
 * With a truth file that is known: which pages were cached before the run, and which of them mark
 * read-ahead. Without, a file is taken to be cached wherever the kernel's fault-around went. Of what was
 * cached before, so much is cached with us as finds room without reclaim.
 */
import type { InputError } from '../base/errors.js';
import type { Word } from '../base/units.js';
import type { PlainCpu } from '../engines/parallel/plainCpu.js';
import type { PlainVm } from '../engines/instance.js';
import type { Truth, TruthFile } from './truth.js';

/** Names that stand for shared memory, not for a file on a disk. */
const SHARED_MEMORY = /^(\/dev\/zero|\/memfd:|\/SYSV|anon_inode)/;

export interface TracedFile {
  readonly file: Word;
  readonly path: string;
  /** Whether its page cache is known from the truth. */
  readonly known: boolean;
}

interface CacheChange {
  readonly added: boolean;
  /** In pages. */
  readonly index: number;
  readonly pages: number;
}

/**
 * A first read of a few bytes, as of an ELF header, brings in four pages and marks the second: there
 * read-ahead is to go on (Linux: get_init_ra_size and page_cache_sync_ra, mm/readahead.c).
 */
const INITIAL_WINDOW = 4;
const MARKED_PAGE = 1;

function beginsWithRead(changes: readonly CacheChange[]): boolean {
  const first = changes.slice(0, INITIAL_WINDOW);
  const inOrder = first.every(
    ({ added, index, pages }, at) => added && index === at && pages === 1,
  );
  return inOrder && first.length === INITIAL_WINDOW;
}

export class TracedFiles {
  /** Pages that were read into the cache because the kernel had them there. */
  pagesWarmed = 0;
  /** Whether there was no room for some that it had before. */
  leftSomeOut = false;
  private readonly byPath = new Map<string, TracedFile>();
  private readonly byInode = new Map<number, TracedFile>();
  /** What happened to the caches of files that nothing has mapped yet, by inode. */
  private readonly early = new Map<number, CacheChange[]>();
  private anonymous = 0;
  private readonly zone: Word;
  /** Counts pages that are read from files. */
  private readonly pagesRead: Word;

  constructor(
    private readonly vm: PlainVm,
    private readonly cpu: PlainCpu,
    private readonly truth: Truth | undefined,
    private readonly full: (what: string) => InputError,
  ) {
    this.zone = vm.zoneOf(0);
    this.pagesRead = vm.percpuOf(cpu.id) + vm.Percpu.pageState + vm.PageState.pgpgin;
  }

  /** The file of a path, with its cache warmed as the truth says. */
  named(path: string, inode: number): TracedFile {
    const open = this.byPath.get(path);
    if (open !== undefined) return open;
    const snapshot = this.truth?.page_cache?.[path];
    const flags = SHARED_MEMORY.test(path) ? this.vm.FILE_MEMORY : 0;
    const pages =
      snapshot === undefined
        ? this.vm.FILE_MAX_PAGES
        : Math.ceil(snapshot.size / this.vm.PAGE_SIZE);
    const file = this.open(path, pages, flags, snapshot !== undefined);
    this.byPath.set(path, file);
    const number = snapshot?.ino ?? inode;
    this.byInode.set(number, file);
    if (snapshot !== undefined) this.warmSnapshot(file, snapshot);
    const early = this.early.get(number) ?? [];
    this.early.delete(number);
    const marks = beginsWithRead(early) ? this.vm.PG_readahead : 0;
    early.forEach((change, at) => {
      this.changeCache(file, change, at === MARKED_PAGE ? marks : 0, this.hasRoom());
    });
    return file;
  }

  /** A mapping of the kernel's own, such as [vdso]: its faults map a page each. */
  special(path: string): TracedFile {
    const open = this.byPath.get(path);
    if (open !== undefined) return open;
    const flags = this.vm.FILE_NO_MAP_PAGES | this.vm.FILE_MEMORY;
    const file = this.open(path, this.vm.FILE_MAX_PAGES, flags, true);
    this.byPath.set(path, file);
    return file;
  }

  /** The memory behind a shared anonymous mapping. */
  sharedMemory(pages: number): TracedFile {
    return this.open(`shared memory ${++this.anonymous}`, pages, this.vm.FILE_MEMORY, true);
  }

  /** Puts a run of pages into the cache of a file whose cache is not known. */
  sawCached(file: TracedFile, first: number, last: number): void {
    if (file.known) return;
    for (let index = first; index <= last && this.hasRoom(); index++) {
      this.warm(file, index, this.vm.PG_uptodate);
    }
  }

  /** The kernel added pages to a file's cache, or took them out. */
  cacheChanged(inode: number, change: CacheChange): void {
    const file = this.byInode.get(inode);
    if (file !== undefined) {
      this.changeCache(file, change, 0, true);
      return;
    }
    const changes = this.early.get(inode);
    if (changes === undefined) this.early.set(inode, [change]);
    else changes.push(change);
  }

  /**
   * @param marks - PG_ bits for the pages that are added
   * @param adds - whether there is room for pages that are
   */
  private changeCache(file: TracedFile, change: CacheChange, marks: number, adds: boolean): void {
    const { added, index, pages } = change;
    if (index + pages > this.vm.FILE_MAX_PAGES) return;
    if (!added) {
      this.vm.dropPages(this.cpu, file.file, index, index + pages, false);
      return;
    }
    if (!adds) return;
    const flags = this.vm.PG_uptodate | this.folioFlags(index, pages) | marks;
    for (let page = index; page < index + pages; page++) this.warm(file, page, flags);
  }

  /** What a page of a folio must know; the kernel's folios start on a multiple of their size. */
  private folioFlags(first: number, pages: number): number {
    const order = Math.log2(pages);
    return Number.isInteger(order) && first % pages === 0 ? this.vm.folioFlags(order) : 0;
  }

  private open(path: string, pages: number, flags: number, known: boolean): TracedFile {
    const file = this.vm.openFile(this.cpu, Math.min(pages, this.vm.FILE_MAX_PAGES), flags);
    if (file === 0) throw this.full(`the file ${path}`);
    return { file, path, known };
  }

  private warmSnapshot(file: TracedFile, snapshot: TruthFile): void {
    const { vm } = this;
    const stale = new Set(snapshot.notup);
    const flagsOf = new Map<number, number>(snapshot.ra.map((index) => [index, vm.PG_readahead]));
    for (const [first, pages] of snapshot.folios) {
      // A mark is its whole folio's.
      let flags = this.folioFlags(first, pages);
      for (let index = first; index < first + pages; index++) flags |= flagsOf.get(index) ?? 0;
      for (let index = first; index < first + pages; index++) flagsOf.set(index, flags);
    }
    for (const [first, pages] of snapshot.cached) {
      for (let index = first; index < first + pages && this.hasRoom(); index++) {
        const uptodate = stale.has(index) ? 0 : vm.PG_uptodate;
        this.warm(file, index, uptodate | (flagsOf.get(index) ?? 0));
      }
    }
  }

  /** Whether a page fits into the cache while as much stays free as reclaim would leave. */
  private hasRoom(): boolean {
    const { words } = this.cpu;
    const { freePages, pagesHigh } = this.vm.Zone;
    const room = words[this.zone + freePages] > words[this.zone + pagesHigh];
    if (!room) this.leftSomeOut = true;
    return room;
  }

  private warm(file: TracedFile, index: number, flags: number): void {
    const before = this.cpu.words[this.pagesRead];
    if (!this.vm.warmCachePage(this.cpu, file.file, index, flags)) {
      throw this.full(`the page cache of ${file.path}`);
    }
    this.pagesWarmed += this.cpu.words[this.pagesRead] - before;
  }
}
