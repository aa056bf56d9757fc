/** Reads JSON files of a known shape: what is wrong with one is told by its place in it. */
import { InputError } from './errors.js';

/**
 * @param code - of the error where the text is no JSON or not of the expected shape
 * @throws InputError with the line at which it stops being JSON
 */
export function parseJsonFile(text: string, file: string, code: string): JsonValue {
  try {
    return new JsonValue(JSON.parse(text), '', file, code);
  } catch (error) {
    const at = whereJsonBreaks(text);
    const line = text.slice(0, at).split('\n').length;
    const got = at < text.length ? `got ${shorten(text.slice(at).trimEnd())}` : 'the text ends';
    const cause = `is not JSON: ${got} where it cannot be (${(error as Error).message})`;
    throw new InputError(code, cause, { file, line });
  }
}

/** A value in a JSON file, and where it is. */
export class JsonValue {
  /** @param path - such as `steps[3].before`; empty for all of the file */
  constructor(
    private readonly value: unknown,
    private readonly path: string,
    private readonly file: string,
    private readonly code: string,
  ) {}

  /** @throws InputError always */
  fail(expected: string, code = this.code): never {
    const where = this.path === '' ? '' : `${this.path}: `;
    const got = this.value === undefined ? 'nothing' : shorten(JSON.stringify(this.value));
    throw new InputError(code, `${where}got ${got}, expected ${expected}`, { file: this.file });
  }

  /** A field of an object. */
  field(name: string): JsonValue {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.fail('an object');
    }
    const path = this.path === '' ? name : `${this.path}.${name}`;
    return new JsonValue((value as Record<string, unknown>)[name], path, this.file, this.code);
  }

  /** What the value is read as, unless there is none. */
  optional<T>(read: (value: JsonValue) => T): T | undefined {
    return this.value === undefined ? undefined : read(this);
  }

  list<T>(read: (value: JsonValue) => T): T[] {
    if (!Array.isArray(this.value)) this.fail('a list');
    return this.value.map((item: unknown, index) =>
      read(new JsonValue(item, `${this.path}[${index}]`, this.file, this.code)),
    );
  }

  text(): string {
    return typeof this.value === 'string' ? this.value : this.fail('a text');
  }

  flag(): boolean {
    return typeof this.value === 'boolean' ? this.value : this.fail('true or false');
  }

  number(): number {
    return typeof this.value === 'number' ? this.value : this.fail('a number');
  }

  positive(): number {
    const value = this.number();
    return value > 0 ? value : this.fail('a number above 0');
  }

  /** A whole number from `least` to `most`. */
  count(least: number, most = Infinity): number {
    const value = this.number();
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    const range = most === Infinity ? `${least} or more` : `${least} to ${most}`;
    return this.fail(`a whole number, ${range}`);
  }

  /** One of a few texts or numbers. */
  choice<T extends string | number>(choices: readonly T[]): T {
    const choice = choices.find((candidate) => candidate === this.value);
    return choice ?? this.fail(choices.map((known) => JSON.stringify(known)).join(' or '));
  }
}

const SHOWN_CHARACTERS = 40;

function shorten(text: string): string {
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}

const SPACE = /[ \t\r\n]*/y;
const SCALAR =
  /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[\da-f]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?|true|false|null/iuy;
const STRING = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[\da-f]{4}))*"/iuy;

/**
 * The place in a text that keeps it from being JSON. JSON.parse tells of it in some versions of V8 only, and
 * not for every mistake.
 */
function whereJsonBreaks(text: string): number {
  let at = 0;
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.test(text);
    if (found) at = pattern.lastIndex;
    return found;
  };
  const skipMark = (mark: string): boolean => {
    skip(SPACE);
    if (text[at] !== mark) return false;
    at++;
    skip(SPACE);
    return true;
  };
  /** Members of an object or a list, up to its end. @returns false, with `at` where it breaks */
  const members = (end: string, member: () => boolean): boolean => {
    if (skipMark(end)) return true;
    do {
      if (!member()) return false;
    } while (skipMark(','));
    return skipMark(end);
  };
  const value = (): boolean => {
    if (skipMark('{')) return members('}', () => skip(STRING) && skipMark(':') && value());
    if (skipMark('[')) return members(']', value);
    return skip(SCALAR);
  };
  skip(SPACE);
  value();
  skip(SPACE);
  return at;
}
