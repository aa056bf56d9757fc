/**
 * What a page holds, and what processes map: files and shared memory. Parts of the reference model
 * of contents, see contents.ts.
 */
import { filePageWord } from '../hardware/device.js';

/** Contents of one page, which never change: a store makes another. Only stored words are kept. */
export class PageContents {
  static readonly ZEROS = new PageContents(new Map(), 0, 0);

  private constructor(
    private readonly words: ReadonlyMap<number, number>,
    /** Which page of which file on the device has the words that were not stored; 0 for zeros. */
    private readonly file: number,
    private readonly index: number,
  ) {}

  static onDevice(file: number, index: number): PageContents {
    return new PageContents(new Map(), file, index);
  }

  /** @param word - counted from the page's start */
  load(word: number): number {
    const stored = this.words.get(word);
    if (stored !== undefined) return stored;
    return this.file === 0 ? 0 : filePageWord(this.file, this.index, word);
  }

  store(word: number, value: number): PageContents {
    return new PageContents(new Map(this.words).set(word, value), this.file, this.index);
  }

  equals(other: PageContents): boolean {
    if (this.file !== other.file || this.index !== other.index) return false;
    const words = [...this.words.keys(), ...other.words.keys()];
    return words.every((word) => this.load(word) === other.load(word));
  }
}

/** A file or a piece of shared memory. */
export class MemoryObject {
  private readonly pages = new Map<number, PageContents>();
  /** Pages from here on are not the device's, since the file was shorter once. */
  private deviceEnd: number;

  /**
   * @param sizePages - its size now
   * @param file - whose contents it starts with; 0 for zeros
   */
  constructor(
    private sizePages: number,
    private readonly file = 0,
  ) {
    this.deviceEnd = file === 0 ? 0 : sizePages;
  }

  get size(): number {
    return this.sizePages;
  }

  /** @param index - in pages from its start */
  page(index: number): PageContents {
    const page = this.pages.get(index);
    if (page !== undefined) return page;
    return index < this.deviceEnd ? PageContents.onDevice(this.file, index) : PageContents.ZEROS;
  }

  store(index: number, word: number, value: number): void {
    this.pages.set(index, this.page(index).store(word, value));
  }

  /** Punches a hole of one page. */
  clear(index: number): void {
    this.pages.set(index, PageContents.ZEROS);
  }

  resize(sizePages: number): void {
    for (const index of [...this.pages.keys()]) {
      if (index >= sizePages) this.pages.delete(index);
    }
    this.deviceEnd = Math.min(this.deviceEnd, sizePages);
    this.sizePages = sizePages;
  }
}
