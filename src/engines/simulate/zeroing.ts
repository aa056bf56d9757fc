/**
 * Zeroes frames of a simulated machine. A line that no CPU has touched is zero, as all memory is at first: only the
 * lines of a frame that were touched since are cleared. A page of 16 KiB takes the host 3 µs, more than all else that a
 * simulated fault costs, and the test behind the documents' tables touches one word of each.
 */
import type { Word } from '../../base/units.js';
import type { SteppedVm } from '../instance.js';
import type { CacheLines } from './cacheLines.js';

export class Zeroing {
  /** By frame number, whether it was filled as a whole, by a copy or the device: that touches no line. */
  private readonly filled: Uint8Array;

  constructor(
    private readonly vm: SteppedVm,
    private readonly words: Int32Array,
    private readonly lines: CacheLines,
  ) {
    this.filled = new Uint8Array(vm.FRAMES);
  }

  /** @param frame - its first word */
  zero(frame: Word): void {
    const { words, lines, vm } = this;
    const pfn = vm.wordPfn(frame);
    const end = frame + vm.PAGE_WORDS;
    if (this.filled[pfn] === 1) {
      this.filled[pfn] = 0;
      words.fill(0, frame, end);
      return;
    }
    for (
      let word = lines.nextTouched(frame, end);
      word < end;
      word = lines.nextTouched(word, end)
    ) {
      for (const lineEnd = word + lines.lineWords; word < lineEnd; word++) words[word] = 0;
    }
  }

  /** A frame is about to be filled as a whole. */
  fill(frame: Word): void {
    this.filled[this.vm.wordPfn(frame)] = 1;
  }
}
