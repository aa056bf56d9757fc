/**
 * What DEBUG_PAGEALLOC tells (Linux: arch/i386/mm/pageattr.c and fault.c, 2.6.11): a free frame is unmapped from
 * the kernel, and who touches it is found at once instead of by what breaks later.
 *
 * pagealloc.ts marks the frames. The stepping engines look at every operation; the plain form, whose
 * word operations are written out in the code, at those on whole pages and where a user's word is reached.
 */
import { InvariantError } from '../base/errors.js';
import type { Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { wordPfn } from '../hardware/frames.js';
import { nameOf } from './layout/names.js';
import { Page, freedBy, pageOf } from './layout/page.js';

/** The word that tells whether the frame of a word is unmapped: then it is below 0. -1 where there is no frame. */
export function unmappedWord(word: Word): Word {
  const pfn = wordPfn(word);
  return pfn < 0 ? -1 : pageOf(pfn) + Page.mapping;
}

/**
 * The report.
 *
 * @param verb - 'reads', 'writes'
 * @param mapping - of the frame's record
 * @param callers - the functions that run, innermost first
 */
export function oops(
  cpu: number,
  verb: string,
  word: Word,
  mapping: number,
  callers: readonly string[],
): InvariantError {
  const where = callers.length === 0 ? '' : `, in ${callers.join(' < ')}`;
  return new InvariantError(
    `unable to handle kernel paging request: cpu ${cpu} ${verb} ${nameOf(word)}, ` +
      `which is free since cpu ${freedBy(mapping)} freed it${where}`,
    { kind: 'use after free' },
  );
}

/** A program reaches a word through a translation: its frame must not be free. */
export function* checkUserWord(cpu: Cpu, word: Word): Op<void> {
  const mapping = yield* cpu.readOnce(unmappedWord(word));
  if (mapping < 0) throw oops(cpu.id, 'reaches', word, mapping, []);
}
