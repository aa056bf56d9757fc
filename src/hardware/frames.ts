/** Where physical memory lies in the buffer: FRAMES frames of PAGE_WORDS words, from FRAME_BASE. */
import type { Pfn, Word } from '../base/units.js';
import { FRAMES, PAGE_WORDS, alignWord } from './machine.js';
import { CPU_LINES_END } from './memory.js';

const FRAME_BASE: Word = alignWord(CPU_LINES_END, PAGE_WORDS);

/** First word after the frames. */
export const FRAMES_END: Word = FRAME_BASE + FRAMES * PAGE_WORDS;

/** First word of a frame. */
export function frameOf(pfn: Pfn): Word {
  return FRAME_BASE + pfn * PAGE_WORDS;
}

/** The frame that holds a word, or -1 where the word lies in none. */
export function wordPfn(word: Word): Pfn {
  return word >= FRAME_BASE && word < FRAMES_END ? ((word - FRAME_BASE) / PAGE_WORDS) | 0 : -1;
}
