/**
 * What guest and host tell each other of each frame, where the machine is a guest whose host may take frames away
 * (Schwidefsky, Franke and Raj, guest page hinting: the states of the s390 instruction ESSA).
 *
 * hostState: one word per frame, in designs with hinting. All of it is atomic: guest, host and MMU change it by
 * compare-exchange, or take HOST_BUSY as a lock bit.
 *
 *   bits 0-1   what the guest says: HOST_UNUSED, HOST_STABLE, HOST_VOLATILE, HOST_POTENTIALLY_VOLATILE
 *   bit 2      HOST_GONE    the host has taken the frame: an access is a discard fault
 *   bit 3      HOST_BUSY    the host is about to take it: it belongs to nobody until that is done
 *   bit 4      HOST_DIRTY   a program has stored to the frame since the guest last told that it is clean
 *   bits 5-12  who needs the frame to stay stable, where the design counts them (ours)
 *   bits 13-31 how often the guest changed the word, modulo what fits: an exchange fails if that is not the same
 */
import { instanceConfiguration } from '../base/instance.js';
import type { Pfn, Word } from '../base/units.js';
import { FRAMES_END } from './frames.js';
import { FRAMES, LINE_WORDS, alignWord } from './machine.js';

/** Of a design this room need only know whether there is a host that takes frames. */
interface Hinted {
  readonly design: { readonly hinting?: string };
}

const { design } = instanceConfiguration<Hinted>(import.meta.url, { design: {} });

export const HINTING = design.hinting !== undefined;

/** Free: the host may take it, and what it held is of no use. */
export const HOST_UNUSED = 0;
/** In use: the host must keep what it holds. */
export const HOST_STABLE = 1;
/** In use, and the guest can read it again from elsewhere: the host may take it. */
export const HOST_VOLATILE = 2;
/** The same unless a program has stored to it, which the host has to see for itself. */
export const HOST_POTENTIALLY_VOLATILE = 3;
export const HOST_STATE = 3;

export const HOST_GONE = 1 << 2;
export const HOST_BUSY = 1 << 3;
export const HOST_DIRTY = 1 << 4;
/** One who needs the frame stable, and the field that counts them. */
export const HOST_PIN = 1 << 5;
export const HOST_PINS = 0xff << 5;
/** One change by the guest. */
export const HOST_CHANGE = 1 << 13;

const HOST_STATES: Word = FRAMES_END;
/** First word after the states. */
export const HOST_STATES_END: Word = HINTING
  ? alignWord(HOST_STATES + FRAMES, 2 * LINE_WORDS)
  : HOST_STATES;

/** The word of a frame. */
export function hostState(pfn: Pfn): Word {
  return HOST_STATES + pfn;
}

/** The frame whose word this is, or -1 where it is none's. */
export function hostStatePfn(word: Word): Pfn {
  return HINTING && word >= HOST_STATES && word < HOST_STATES + FRAMES ? word - HOST_STATES : -1;
}
