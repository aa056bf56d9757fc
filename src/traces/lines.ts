/** Lines of a text file, plain or gzipped, with their numbers. */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { createGunzip } from 'node:zlib';
import { InputError } from '../base/errors.js';

/** A run of whole lines. */
export interface LineBatch {
  readonly lines: readonly string[];
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
  const file = createReadStream(path);
  const text = (await isGzip(path)) ? file.pipe(createGunzip()) : file;
  file.on('error', (error) => text.destroy(error));
  const decoder = new StringDecoder('utf8');
  let firstLine = 1;
  let rest = '';
  try {
    for await (const chunk of text) {
      const lines = (rest + decoder.write(chunk as Buffer)).split('\n');
      rest = lines.pop()!;
      yield { lines, firstLine, bytesRead: file.bytesRead, bytesTotal };
      firstLine += lines.length;
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    const cut = (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
    const what = cut ? 'the gzip file is cut off' : `cannot be read: ${(error as Error).message}`;
    throw new InputError('FILE_READ', what, { file: path, line: firstLine });
  }
  if (rest !== '') yield { lines: [rest], firstLine, bytesRead: bytesTotal, bytesTotal };
}

/** A whole file as text, gunzipped if it is gzipped. */
export async function readText(path: string): Promise<string> {
  const lines: string[] = [];
  for await (const batch of readLines(path)) {
    for (const line of batch.lines) lines.push(line);
  }
  return lines.join('\n');
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
