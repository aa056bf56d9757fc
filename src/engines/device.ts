/**
 * The device that files are read from, in memory: each page of each file has contents of its own,
 * so that a page that lands in the wrong place shows.
 */
import type { Word } from '../base/units.js';

/** Words at the start of a page that say which page of which file it is; the rest is 0. */
export function fillFilePage(
  words: Int32Array,
  frame: Word,
  pageWords: number,
  file: number,
  index: number,
): void {
  words.fill(0, frame, frame + pageWords);
  words[frame] = file;
  words[frame + 1] = index;
}
