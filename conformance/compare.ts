/** Finds the first difference between what both sides told, and says it in words. */
import {
  Advice,
  MapFlag,
  MclFlag,
  MremapFlag,
  MsyncFlag,
  Prot,
  type Call,
  type Observation,
  type Place,
  type Step,
} from './calls.js';
import type { Report, Reports } from './report.js';

/** A part of a report. */
export type Field = 'outcome' | 'faults' | 'areas';

export interface Difference {
  /** Index of the step. */
  readonly index: number;
  readonly step: Step;
  readonly fields: readonly Field[];
  readonly linux: Report;
  /** Undefined where we did not get that far. */
  readonly ours: Report | undefined;
}

/** @returns the first difference, or undefined */
export function firstDifference(
  steps: readonly Step[],
  linux: Reports,
  ours: Reports,
): Difference | undefined {
  for (let index = 0; index < steps.length; index++) {
    const theirs = linux[index];
    const report = ours[index];
    if (theirs === undefined) continue;
    const step = steps[index];
    if (report === undefined)
      return { index, step, fields: ['outcome'], linux: theirs, ours: report };
    const fields = differentFields(theirs, report);
    if (fields.length > 0) return { index, step, fields, linux: theirs, ours: report };
  }
  return undefined;
}

function differentFields(linux: Report, ours: Report): Field[] {
  const fields: Field[] = [];
  if (linux.outcome !== ours.outcome) fields.push('outcome');
  if (linux.minorFaults !== ours.minorFaults || linux.majorFaults !== ours.majorFaults) {
    fields.push('faults');
  }
  const sameAreas =
    linux.areas.length === ours.areas.length &&
    linux.areas.every((area, i) => area === ours.areas[i]);
  if (!sameAreas) fields.push('areas');
  return fields;
}

/** The calls up to a difference, and what each side says of the last. */
export function describeDifference(
  steps: readonly Step[],
  { index, fields, linux, ours }: Difference,
): string {
  const history = steps
    .slice(0, index + 1)
    .map((step, i) => `  ${i === index ? '→' : ' '} ${describeStep(step)}`);
  const lines = ['after these steps', ...history, ''];
  if (ours === undefined) {
    lines.push('our side could not go on to this step');
    return lines.join('\n');
  }
  lines.push(`different: ${fields.join(', ')}`);
  const call = steps[index].action.call;
  lines.push(`  Linux  ${describeOutcome(call, linux)}`, `  ours   ${describeOutcome(call, ours)}`);
  const common = new Set(linux.areas.filter((area) => ours.areas.includes(area)));
  const show = (areas: readonly string[]): string[] =>
    areas.map((area) => `  ${common.has(area) ? ' ' : '*'} ${area}`);
  lines.push('maps of Linux', ...show(linux.areas), 'maps of ours', ...show(ours.areas));
  return lines.join('\n');
}

function describeOutcome(call: string, { outcome, minorFaults, majorFaults }: Report): string {
  const [result, ...extra] = outcome.split(' ');
  const number = Number(result);
  const shown =
    ADDRESSED.has(call) && number >= 0
      ? `0x${number.toString(16)}`
      : number < 0 && call !== 'load'
        ? `-${ERRNO.get(-number) ?? -number}`
        : result;
  const major = majorFaults > 0 ? ` and ${majorFaults} major` : '';
  return `${[shown, ...extra].join(' ')}, ${minorFaults} minor${major} faults`;
}

/** Calls whose result is an address. */
const ADDRESSED = new Set(['mmap', 'mremap', 'brk']);

/** include/uapi/asm-generic/errno-base.h and errno.h. */
const ERRNO = new Map([
  [1, 'EPERM'],
  [9, 'EBADF'],
  [11, 'EAGAIN'],
  [12, 'ENOMEM'],
  [13, 'EACCES'],
  [14, 'EFAULT'],
  [16, 'EBUSY'],
  [17, 'EEXIST'],
  [19, 'ENODEV'],
  [22, 'EINVAL'],
  [38, 'ENOSYS'],
  [75, 'EOVERFLOW'],
  [95, 'EOPNOTSUPP'],
]);

function describeStep({ process, action, child }: Step): string {
  const born = child === undefined ? '' : ` → process ${child}`;
  return `process ${process}: ${describeAction(action)}${born}`;
}

/** A call without its places and lengths. */
export function describeKind(action: Call | Observation): string {
  const { call, ...fields } = action;
  const shown = Object.entries(fields).flatMap(([name, value]) => {
    return KIND_FIELDS.has(name) ? [describeField(call, name, value)] : [];
  });
  return [call, ...shown].join(' ');
}

const KIND_FIELDS = new Set(['backing', 'advice']);

function describeAction(action: Call | Observation): string {
  const { call, ...fields } = action;
  const shown = Object.entries(fields).flatMap(([name, value]) => {
    const text = describeField(call, name, value);
    return text === undefined ? [] : [text];
  });
  return `${call}(${shown.join(', ')})`;
}

function describeField(
  call: string,
  name: string,
  value: number | string | Place,
): string | undefined {
  if (typeof value === 'object') return describePlace(value);
  if (typeof value === 'string') return value;
  switch (name) {
    case 'by':
      return undefined;
    case 'length':
    case 'oldLength':
    case 'newLength':
      return describeBytes(value);
    case 'prot':
      return describeBits(value, Prot, 'PROT_NONE');
    case 'flags':
      return describeBits(value, FLAGS[call] ?? {}, '0');
    case 'advice':
      return Object.entries(Advice).find(([, advice]) => advice === value)?.[0] ?? `${value}`;
    case 'into':
      return `→ slot ${value}`;
    default:
      return `${name} ${value}`;
  }
}

const FLAGS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  mmap: MapFlag,
  remap_file_pages: MapFlag,
  mremap: MremapFlag,
  msync: MsyncFlag,
  mlock2: { MLOCK_ONFAULT: 1 },
  mlockall: MclFlag,
};

function describePlace({ base, offset }: Place): string {
  const start = typeof base === 'number' ? `slot ${base}` : base;
  if (base === 'zero') return `0x${offset.toString(16)}`;
  return offset === 0 ? start : `${start} + ${describeBytes(offset)}`;
}

/** "3 pages", "2 pages + 0x123", or a number in hexadecimal. */
function describeBytes(bytes: number): string {
  const pages = Math.floor(bytes / 4096);
  const rest = bytes - pages * 4096;
  if (pages === 0 || pages > 2 ** 20) return `0x${bytes.toString(16)}`;
  const count = `${pages} page${pages === 1 ? '' : 's'}`;
  return rest === 0 ? count : `${count} + 0x${rest.toString(16)}`;
}

function describeBits(
  value: number,
  names: Readonly<Record<string, number>>,
  none: string,
): string {
  let rest = value;
  const parts: string[] = [];
  for (const [name, bits] of Object.entries(names)) {
    if (bits === 0 || (rest & bits) !== bits) continue;
    // MAP_SHARED_VALIDATE is MAP_SHARED and MAP_PRIVATE: it stands for both.
    if (name === 'MAP_SHARED' && (value & 3) === 3) continue;
    if (name === 'MAP_PRIVATE' && (value & 3) === 3) continue;
    parts.push(name);
    rest &= ~bits;
  }
  if (rest !== 0) parts.push(`0x${rest.toString(16)}`);
  return parts.length === 0 ? none : parts.join('|');
}
