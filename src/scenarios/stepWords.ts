/** Steps and values in words that people read. */
import type { Act, Pending, ScheduleStep } from '../engines/explore/schedule.js';
import type { Arch } from '../hardware/arch/index.js';
import * as pageLayout from '../mm/layout/page.js';

/** What PG_ bits are called. */
const PAGE_FLAGS = Object.entries(pageLayout).filter(
  (entry): entry is [string, number] => entry[0].startsWith('PG_') && typeof entry[1] === 'number',
);

/** What a step does, such as `pte[5][3] 0 → 0x7067 {frame 7, write, dirty}`. */
export function stepInWords(step: ScheduleStep, arch: Arch): string {
  const { operation, operands, word, before, after } = step;
  const done = before !== after;
  const old = stepValue(step, 'before', arch);
  const now = stepValue(step, 'after', arch);
  const change = `${old} → ${now}`;
  switch (operation) {
    case 'load':
    case 'readOnce':
    case 'loadWide':
    case 'readOnceWide':
      return `${word} = ${old}`;
    case 'cas': {
      if (!isFailedCas(step)) return `${word} cas ${change}`;
      const expected = valueInWords(word, operands[0], arch);
      return `${word} cas failed: is ${old}, expected ${expected}`;
    }
    case 'xchg':
      return `${word} xchg ${change}`;
    case 'tryDownRead':
    case 'tryDownWrite':
    case 'tryLockBit':
      return `${actInWords(step, arch)}${done ? '' : ' failed'}`;
    case 'sleepOn':
      return `slept while ${word} was ${operands[0]}: is ${old}`;
    case 'wakeUp':
      return `wakes who sleeps on ${word}: ${change}`;
    default:
      return actInWords(step, arch) ?? `${word} ${change}`;
  }
}

/** What a thread is about to do, or waits to do. */
export function pendingInWords(pending: Pending, arch: Arch): string {
  const { operation, operands, word } = pending;
  const shown = (number: number): string => valueInBrief(word, number, arch);
  switch (operation) {
    case 'load':
    case 'readOnce':
    case 'loadWide':
    case 'readOnceWide':
      return `load ${word}`;
    case 'store':
    case 'writeOnce':
      return `store ${shown(operands[0])} into ${word}`;
    case 'storeWide':
      return `store into ${word}`;
    case 'cas':
      return `cas ${word} ${shown(operands[0])} → ${shown(operands[1])}`;
    case 'add':
    case 'addUnused':
      return `add ${operands[0]} to ${word}`;
    case 'sleepOn':
      return `sleep while ${word} is ${operands[0]}`;
    default:
      return actInWords(pending, arch) ?? `${operation} ${word}`;
  }
}

/** An operation that is told alike before and after it: on a lock, a page, the device or a TLB. */
function actInWords(
  { operation, operands, word, ...act }: Act & { readonly source?: string },
  arch: Arch,
): string | undefined {
  switch (operation) {
    case 'spinLock':
      return `lock ${word}`;
    case 'spinUnlock':
      return `unlock ${word}`;
    case 'downRead':
      return `down_read ${word}`;
    case 'upRead':
      return `up_read ${word}`;
    case 'downWrite':
      return `down_write ${word}`;
    case 'upWrite':
      return `up_write ${word}`;
    case 'tryDownRead':
      return `down_read_trylock ${word}`;
    case 'tryDownWrite':
      return `down_write_trylock ${word}`;
    case 'lockBit':
      return `lock ${bitInWords(word, operands[0], arch)}`;
    case 'tryLockBit':
      return `trylock ${bitInWords(word, operands[0], arch)}`;
    case 'unlockBit':
      return `unlock ${bitInWords(word, operands[0], arch)}`;
    case 'zeroPage':
      return `zero ${frameOf(word)}`;
    case 'copyPage':
    case 'copyPageOnce':
      return act.source === undefined
        ? `copy to ${frameOf(word)}`
        : `copy ${frameOf(act.source)} to ${frameOf(word)}`;
    case 'readDevice':
      return `read page ${operands[1]} of file ${operands[0]} into ${frameOf(word)}`;
    case 'writeDevice':
      return `write ${frameOf(word)} to page ${operands[1]} of file ${operands[0]}`;
    case 'truncateDevice':
      return `cut a file off at page ${operands[0]}`;
    case 'invalidate':
      return `flush the TLB of ${cpuOf(word)}`;
    case 'interrupts':
      return 'answer interrupts';
    default:
      return undefined;
  }
}

/** Whether a step only reads its word: an exchange or a trylock that fails does so too. */
export function onlyReads(step: ScheduleStep): boolean {
  const { operation, before, after } = step;
  if (isFailedCas(step)) return true;
  if (operation.startsWith('try')) return before === after;
  return /^(load|readOnce|sleepOn|interrupts|writeDevice)/.test(operation);
}

export function isFailedCas({ operation, operands, before }: ScheduleStep): boolean {
  return operation === 'cas' && before !== operands[0];
}

/** Whether an operation fills a page. */
export function isOnPage(operation: string): boolean {
  return /^(zeroPage|copyPage|readDevice)/.test(operation);
}

/** The value of the word that a step is on: of both halves where it is on a whole entry. */
export function stepValue(step: ScheduleStep, when: 'before' | 'after', arch: Arch): string {
  if (step.operation.endsWith('Wide') && step.high === undefined) return wideInWords(step[when]);
  return valueInWords(step.word, step[when], arch, step.high?.[when]);
}

/** Doubles are addresses for the most part. */
function wideInWords(value: number): string {
  return Number.isInteger(value) && value >= 0x1000 ? hexadecimal(value) : String(value);
}

/** A value where it is told in passing: an entry without what its bits mean. */
export function valueInBrief(word: string, value: number, arch: Arch): string {
  return levelOf(word, arch) >= 0 && value !== 0
    ? hexadecimal(value)
    : valueInWords(word, value, arch);
}

/**
 * A value as it is best read: entries of page tables by their bits, flags by name, all else in decimal.
 *
 * @param high - the second word of an entry, where it is known
 */
export function valueInWords(word: string, value: number, arch: Arch, high?: number): string {
  const level = levelOf(word, arch);
  if (level >= 0) {
    if (word.endsWith('.high'))
      return arch.splitPfn
        ? `${value} {${value === 0 ? 'even' : 'odd'} frame}`
        : hexadecimal(value);
    return value === 0 ? '0' : `${hexadecimal(value)} {${entryInWords(value, level, arch, high)}}`;
  }
  if (isPageFlags(word)) return pageFlagsInWords(value);
  if (/[fF]lags$/.test(word)) return hexadecimal(value);
  return String(value);
}

function hexadecimal(value: number): string {
  return `0x${(value < 0 ? value >>> 0 : value).toString(16)}`;
}

/** Bits that a reader of a race asks for, in the order in which they are told. */
const TOLD_BITS = ['write', 'dirty', 'accessed', 'lock', 'busy'] as const;

function entryInWords(value: number, level: number, arch: Arch, high: number | undefined): string {
  const { pte } = arch;
  const bits = (names: readonly (typeof TOLD_BITS)[number][]): string[] =>
    names.filter((name) => pte[name] !== 0 && (value & pte[name]) === pte[name]);
  const maps = (value & pte.present) === pte.present;
  // PTE_MOVED of hardware/machine.ts, whatever the level.
  if ((value & ~(pte.lock | pte.busy)) === pte.write) {
    return ['moved to another table', ...bits(['lock', 'busy'])].join(', ');
  }
  if (level > 0 && (pte.huge === 0 || (value & pte.huge) === 0)) {
    return frameIn(value, arch, high).replace('frame', 'table in frame');
  }
  if (maps) return [frameIn(value, arch, high), ...bits(TOLD_BITS)].join(', ');
  const held = bits(['lock', 'busy']);
  if ((value & ~(pte.lock | pte.busy)) === 0) return held.join(', ');
  if ((value & pte.protNone) !== 0) {
    return [frameIn(value, arch, high), 'no access', ...held].join(', ');
  }
  return [(value & pte.file) !== 0 ? 'offset in a file' : 'in swap', ...held].join(', ');
}

/** One half of a frame number tells two frames: see hardware/split.ts. */
function frameIn(value: number, { pfnShift, splitPfn }: Arch, high: number | undefined): string {
  const pfn = value >>> pfnShift;
  if (splitPfn && high === undefined) return `frame ${2 * pfn} or ${2 * pfn + 1}`;
  const whole = splitPfn ? 2 * pfn + high! : pfn;
  return whole === pageLayout.ZERO_PFN ? 'the zero page' : `frame ${whole}`;
}

function pageFlagsInWords(value: number): string {
  const names = PAGE_FLAGS.filter(([, bit]) => (value & bit) !== 0).map(([name]) => name);
  const known = PAGE_FLAGS.reduce((sum, [, bit]) => sum | bit, 0);
  const rest = value & ~known;
  if (rest !== 0) names.push(hexadecimal(rest));
  return names.length === 0 ? '0' : `{${names.join(', ')}}`;
}

/** A lock that is a bit of a word; in an entry there is only one. */
function bitInWords(word: string, bits: number, arch: Arch): string {
  if (levelOf(word, arch) >= 0) return word;
  return `${word} ${isPageFlags(word) ? pageFlagsInWords(bits) : hexadecimal(bits)}`;
}

/** Level of the table that a word is an entry of; -1 for any other word. */
function levelOf(word: string, { levelNames }: Arch): number {
  return levelNames.findIndex((name) => word.startsWith(`${name}[`));
}

function isPageFlags(word: string): boolean {
  return /^page\[\d+\]\.flags$/.test(word);
}

/** `frame[6]` of the word `frame[6][0]`, and the like of a frame that holds a table. */
function frameOf(word: string): string {
  return word.replace(/\[0\]$/, '');
}

/** `cpu 1` of the word `cpu[1].ipiDone`. */
function cpuOf(word: string): string {
  return word.replace(/^cpu\[(\d+)\].*$/, 'cpu $1');
}
