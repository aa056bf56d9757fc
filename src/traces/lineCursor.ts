/**
 * A place in a line of a longer text, which moves to the right as the line is read.
 *
 * The text is there twice. Bytes are what loops read: one costs a third of a call of charCodeAt.
 * The string is for searches, which V8 has in machine code. The line is not cut out of either: a
 * trace has millions of lines, and a string for each would cost as much as reading it.
 */

/** Text as bytes, and those bytes as characters (Latin-1): an offset means the same in both. */
export interface Lines {
  readonly bytes: Buffer;
  /** The bytes again, for four at a time. */
  readonly view: DataView;
  readonly text: string;
}

const ZERO = 0x30;
const NINE = 0x39;
const MINUS = 0x2d;
const SPACE = 0x20;
const TAB = 0x09;
const CARRIAGE_RETURN = 0x0d;
/** Sixteen hexadecimal digits are 64 bits; fifteen decimal ones are sure to fit into 53. */
const HEX_DIGITS_MAX = 16;
const DECIMAL_DIGITS_MAX = 15;
const REPEATED_WORDS_MAX = 16;

/** The value of each lower-case hexadecimal digit. */
const NO_DIGIT = 255;
const HEX_VALUES = new Uint8Array(256).fill(NO_DIGIT);
for (let value = 0; value < 16; value++) HEX_VALUES[value.toString(16).charCodeAt(0)] = value;

export function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

/** Space, or tab to carriage return. */
function isSpace(byte: number): boolean {
  return byte === SPACE || (byte >= TAB && byte <= CARRIAGE_RETURN);
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** @param bytes - whole lines, each with its newline */
export function linesOf(bytes: Buffer): Lines {
  return { bytes, view: viewOf(bytes), text: bytes.toString('latin1') };
}

/** A text to compare with: four bytes at a time take a quarter of what startsWith does. */
export class Pattern {
  private readonly view: DataView;
  readonly length: number;

  /** @param text - bytes as characters */
  constructor(readonly text: string) {
    this.view = viewOf(Buffer.from(text, 'latin1'));
    this.length = text.length;
  }

  /** Whether the text stands at `at`, all of it before `end`. */
  isAt({ view }: Lines, at: number, end: number): boolean {
    const { length } = this;
    if (at + length > end) return false;
    let i = 0;
    for (; i + 4 <= length; i += 4) {
      if (view.getInt32(at + i) !== this.view.getInt32(i)) return false;
    }
    for (; i < length; i++) if (view.getUint8(at + i) !== this.view.getUint8(i)) return false;
    return true;
  }
}

/** Words that come again and again, each as one string: a Map hashes a string only once. */
export class RepeatedWords {
  private readonly known: Pattern[] = [];

  get(lines: Lines, from: number, to: number): string {
    for (const word of this.known) {
      if (word.length === to - from && word.isAt(lines, from, to)) return word.text;
    }
    const text = lines.text.slice(from, to);
    this.known.unshift(new Pattern(text));
    if (this.known.length > REPEATED_WORDS_MAX) this.known.pop();
    return text;
  }
}

export class LineCursor {
  /** Every line in it ends with a newline, which stops any loop over digits. */
  lines = linesOf(Buffer.alloc(0));
  /** The next byte to read, and the newline that ends the line. */
  at = 0;
  end = 0;
  /** The last hexadecimal number's 64 bits, as a signed and an unsigned half. */
  private high = 0;
  private low = 0;

  /** The rest of the line, decoded. */
  rest(): string {
    return this.lines.bytes.toString('utf8', this.at, this.end);
  }

  peek(): number {
    return this.lines.bytes[this.at];
  }

  /** Reads one byte if it is the one expected. */
  skip(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.at++;
    return true;
  }

  /** Reads a text if it is what comes next. */
  skipText(text: Pattern): boolean {
    if (!text.isAt(this.lines, this.at, this.end)) return false;
    this.at += text.length;
    return true;
  }

  /** Moves behind the next occurrence of a text. @returns false, and stays, where there is none */
  seek(wanted: string): boolean {
    const at = this.lines.text.indexOf(wanted, this.at);
    if (at < 0 || at >= this.end) return false;
    this.at = at + wanted.length;
    return true;
  }

  /** Reads digits as text, which may be none. */
  digits(words: RepeatedWords): string {
    const { at: from, lines } = this;
    let at = from;
    while (isDigit(lines.bytes[at])) at++;
    this.at = at;
    return words.get(lines, from, at);
  }

  /** Reads up to the next space or the end. */
  word(words: RepeatedWords): string {
    const { at: from, lines } = this;
    let at = from;
    while (!isSpace(lines.bytes[at])) at++;
    this.at = at;
    return words.get(lines, from, at);
  }

  /** @returns -1 when there is no digit */
  decimal(): number {
    const { at: from } = this;
    const { bytes, text } = this.lines;
    let at = from;
    let value = 0;
    for (; isDigit(bytes[at]); at++) value = value * 10 + (bytes[at] - ZERO);
    this.at = at;
    if (at === from) return -1;
    return at - from > DECIMAL_DIGITS_MAX ? Number(text.slice(from, at)) : value;
  }

  /** A decimal number that may be negative. @returns undefined when there is none */
  integer(): number | undefined {
    const negative = this.skip(MINUS);
    const value = this.decimal();
    if (value < 0) return undefined;
    return negative ? -value : value;
  }

  /** @returns -1 when there is no digit */
  hex(): number {
    const from = this.at;
    const digits = this.scanHex();
    if (digits === 0) return -1;
    if (digits > HEX_DIGITS_MAX) return parseInt(this.lines.text.slice(from, this.at), 16);
    return (this.high >>> 0) * 2 ** 32 + this.low;
  }

  /** The low 64 bits as a signed number. @returns undefined when there is no digit */
  signedHex(): number | undefined {
    return this.scanHex() === 0 ? undefined : this.high * 2 ** 32 + this.low;
  }

  /** @returns how many digits there were */
  private scanHex(): number {
    const { at: from } = this;
    const { bytes } = this.lines;
    let at = from;
    let high = 0;
    let low = 0;
    for (; ; at++) {
      const digit = HEX_VALUES[bytes[at]];
      if (digit === NO_DIGIT) break;
      high = (high << 4) | (low >>> 28);
      low = (low << 4) | digit;
    }
    this.at = at;
    this.high = high;
    this.low = low >>> 0;
    return at - from;
  }
}
