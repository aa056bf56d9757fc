/** Lines of a text file, plain or gzipped, with their numbers. */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { InputError } from '../base/errors.js';
import { linesOf, type Lines } from './lineCursor.js';

/** Gunzipped at a time; with zlib's own 16 KiB the turns of the event loop cost as much as the work. */
const CHUNK_BYTES = 128 * 1024;
const NEWLINE = 10;

/** A run of whole lines; one that ends the file without a newline is given one. */
export interface LineBatch extends Lines {
  /** Where each line's newline is. */
  readonly ends: readonly number[];
  /** Number of the first line, from 1. */
  readonly firstLine: number;
  /** Bytes of the file read so far, compressed as they are, of how many. */
  readonly bytesRead: number;
  readonly bytesTotal: number;
}

/**
 * @throws InputError when the file cannot be read or its compression is broken
 */
export async function* readLines(path: string): AsyncGenerator<LineBatch> {
  const bytesTotal = await fileSize(path);
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const source = (await isGzip(path)) ? file.pipe(createGunzip({ chunkSize: CHUNK_BYTES })) : file;
  file.on('error', (error) => source.destroy(error));
  let firstLine = 1;
  let rest = Buffer.alloc(0);
  try {
    for await (const chunk of source) {
      const read = Buffer.concat([rest, chunk as Buffer]);
      const whole = read.lastIndexOf(NEWLINE) + 1;
      const lines = findLines(read.subarray(0, whole));
      rest = read.subarray(whole);
      yield { ...lines, firstLine, bytesRead: file.bytesRead, bytesTotal };
      firstLine += lines.ends.length;
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    const cut = (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
    const what = cut ? 'the gzip file is cut off' : `cannot be read: ${(error as Error).message}`;
    throw new InputError('FILE_READ', what, { file: path, line: firstLine });
  }
  if (rest.length > 0) {
    const lines = findLines(Buffer.concat([rest, Buffer.of(NEWLINE)]));
    yield { ...lines, firstLine, bytesRead: bytesTotal, bytesTotal };
  }
}

function findLines(bytes: Buffer): Lines & Pick<LineBatch, 'ends'> {
  const lines = linesOf(bytes);
  const { text } = lines;
  const ends: number[] = [];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) ends.push(at);
  return { ...lines, ends };
}

/** A whole file as text, gunzipped if it is gzipped. */
export async function readText(path: string): Promise<string> {
  const parts: Buffer[] = [];
  for await (const { bytes } of readLines(path)) parts.push(bytes);
  return Buffer.concat(parts).toString('utf8');
}

async function fileSize(path: string): Promise<number> {
  try {
    const info = await stat(path);
    if (info.isFile()) return info.size;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new InputError('FILE_READ', `cannot be opened (${code})`, { file: path });
  }
  throw new InputError('FILE_READ', 'is not a file', { file: path });
}

async function isGzip(path: string): Promise<boolean> {
  const handle = await open(path);
  const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
  await handle.close();
  return buffer[0] === 0x1f && buffer[1] === 0x8b;
}
