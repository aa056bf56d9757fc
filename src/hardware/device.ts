/**
 * The device that files are read from: each page of each file has contents of its own, so that a
 * page that lands in the wrong place shows.
 */
import type { Word } from '../base/units.js';

/** The number of the swap file among files. */
export const SWAP_FILE = 0;

/** Words at the start of a page that say which page of which file it is; the rest is 0. */
const STAMP_WORDS = 2;

/**
 * What the device holds.
 *
 * @param word - counted from the page's start
 */
export function filePageWord(file: number, index: number, word: number): number {
  if (word === 0) return file;
  return word === 1 ? index : 0;
}

/** Reads a page of a file into a frame. */
export function fillFilePage(
  words: Int32Array,
  frame: Word,
  pageWords: number,
  file: number,
  index: number,
): void {
  words.fill(0, frame, frame + pageWords);
  for (let word = 0; word < STAMP_WORDS; word++) {
    words[frame + word] = filePageWord(file, index, word);
  }
}
