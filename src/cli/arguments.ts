/** Reads what users type: sizes, counts and lists; and makes the options that take them. */
import { Option, type Command } from 'commander';
import { InputError } from '../base/errors.js';
import { GIB, KIB, MIB } from '../base/units.js';
import { carriedBy, expectCarried } from '../designs/carries.js';
import { designNamed } from '../designs/index.js';
import type { ArchName } from '../hardware/arch/index.js';
import type { VmDesign } from '../mm/design.js';

const SUFFIXES: Readonly<Record<string, number>> = { '': 1, K: KIB, M: MIB, G: GIB };

/** "256M" in bytes. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMG]?)i?B?$/i.exec(text.trim());
  const bytes = match && Number(match[1]) * SUFFIXES[match[2].toUpperCase()];
  if (!bytes) throw new InputError('OPTION', `got size "${text}", expected such as 64M or 1G`);
  return bytes;
}

/** The same, and 0 for none. */
export function parseSizeOrNone(text: string): number {
  return text.trim() === '0' ? 0 : parseSize(text);
}

/** A whole number of at least 1. */
export function parseCount(text: string): number {
  return parseWhole(text, 1);
}

/** A whole number, or 0 for none. */
export function parseCountOrNone(text: string): number {
  return parseWhole(text, 0);
}

function parseWhole(text: string, least: number): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!Number.isInteger(value) || value < least) {
    throw new InputError('OPTION', `got "${text}", expected a whole number of ${least} or more`);
  }
  return value;
}

/** "1,2,8" as numbers. */
export function parseCounts(text: string): number[] {
  return text.split(',').map(parseCount);
}

/** "1G,4G" in bytes. */
export function parseSizes(text: string): number[] {
  return text.split(',').map(parseSize);
}

/** "v18,page-table-lock" as designs. */
export function parseDesigns(text: string): VmDesign[] {
  return text.split(',').map((name) => designNamed(name.trim()));
}

export const FORCE_OPTION = [
  '--force',
  'run designs that the architecture cannot carry, too',
] as const;

/**
 * The designs to run on an architecture: those that were named, or those of the defaults that it can carry.
 *
 * @throws InputError when one that was named cannot be carried, and --force was not given
 */
export function designsToRun(
  command: Command,
  arch: ArchName,
  designs: readonly VmDesign[],
  force: boolean,
): readonly VmDesign[] {
  if (force) return designs;
  if (command.getOptionValueSource('design') !== 'cli') return carriedBy(arch, designs);
  expectCarried(arch, designs);
  return designs;
}

/** One of a few words. */
function parseChoice<T extends string>(what: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text);
  if (choice !== undefined) return choice;
  throw new InputError('OPTION', `got ${what} "${text}", expected one of ${choices.join(', ')}`);
}

/**
 * An option that takes a value.
 *
 * @param fallback - its default, as a user would type it: so the help shows it, and it is parsed like any
 */
export function valueOption<T>(
  flags: string,
  description: string,
  parse: (text: string) => T,
  fallback?: string,
): Option {
  const option = new Option(flags, description).argParser(parse);
  return fallback === undefined ? option : option.default(parse(fallback), fallback);
}

/** An option that takes one of a few words. */
export function choiceOption<T extends string>(
  flags: string,
  what: string,
  choices: readonly T[],
  fallback?: T,
): Option {
  const parse = (text: string): T => parseChoice(what, text, choices);
  return valueOption(flags, choices.join(', '), parse, fallback);
}
