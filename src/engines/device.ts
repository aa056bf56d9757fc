/** Where files and the swap file are kept: what the engines need of it, and one in memory. */
import type { Word } from '../base/units.js';
import { fillFilePage } from '../hardware/device.js';

/** A device that holds pages of files; file 0 is the swap file. Requests are answered one by one. */
export interface Device {
  /** Reads a page into a frame. @returns whether it could */
  read(words: Int32Array, frame: Word, file: number, index: number): boolean;
  /** Writes a page from a frame. @returns whether it could */
  write(words: Int32Array, frame: Word, file: number, index: number): boolean;
  /** Makes all pages from `index` on zeros. */
  truncate(file: number, index: number): void;
}

/** What a device in memory holds at some moment. */
export interface DeviceContents {
  /** Pages that were written, by file and page. */
  readonly written: ReadonlyMap<number, ReadonlyMap<number, Int32Array>>;
  readonly ends: ReadonlyMap<number, number>;
}

/** A device in the memory of one thread. What was never written is as hardware/device.ts says. */
export class MemoryDevice implements Device {
  /** By file and page. */
  private written = new Map<number, Map<number, Int32Array>>();
  /** First page of a file that is zeros unless it was written since. */
  private ends = new Map<number, number>();
  /** What it holds, where nothing has changed since that was asked for. */
  private saved: DeviceContents | undefined;

  constructor(private readonly pageWords: number) {}

  read(words: Int32Array, frame: Word, file: number, index: number): boolean {
    const page = this.written.get(file)?.get(index);
    if (page !== undefined) words.set(page, frame);
    else if (index >= (this.ends.get(file) ?? Infinity))
      words.fill(0, frame, frame + this.pageWords);
    else fillFilePage(words, frame, this.pageWords, file, index);
    return true;
  }

  write(words: Int32Array, frame: Word, file: number, index: number): boolean {
    this.saved = undefined;
    let pages = this.written.get(file);
    if (pages === undefined) this.written.set(file, (pages = new Map<number, Int32Array>()));
    pages.set(index, words.slice(frame, frame + this.pageWords));
    return true;
  }

  truncate(file: number, index: number): void {
    this.saved = undefined;
    this.ends.set(file, Math.min(index, this.ends.get(file) ?? Infinity));
    const pages = this.written.get(file);
    for (const page of [...(pages?.keys() ?? [])]) {
      if (page >= index) pages!.delete(page);
    }
  }

  /** What it holds now, to go back to. */
  save(): DeviceContents {
    return (this.saved ??= { written: copyOfPages(this.written), ends: new Map(this.ends) });
  }

  restore(contents: DeviceContents): void {
    if (this.saved === contents) return;
    this.written = copyOfPages(contents.written);
    this.ends = new Map(contents.ends);
    this.saved = contents;
  }
}

/** A page is never written in place, so that copies may share it. */
function copyOfPages(written: DeviceContents['written']): Map<number, Map<number, Int32Array>> {
  return new Map([...written].map(([file, pages]) => [file, new Map(pages)]));
}
