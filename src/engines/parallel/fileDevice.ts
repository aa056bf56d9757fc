/**
 * The device of the parallel engine: real files in a directory, which all workers share.
 *
 *   swap              file 0, page for page
 *   file-N            the file of number N, page for page
 *   file-N.written    a byte for each of its pages: 1 = the page was written, and is in file-N
 *
 * A page that was not written is as hardware/device.ts says, or zeros where the file was cut off. Both files
 * are cut off with it, so that a page that is written behind the cut leaves zeros before it: not written.
 *
 * Nothing is made on disk before the first write. What all threads must know lies in shared memory:
 *
 *   word 0  lock over the words below; 1 = taken
 *   word 1  bytes of the directory's name, 0 = there is none yet; the name follows from word ENTRIES_END
 *   word 2  files that are known, of which each has ENTRY_WORDS words from ENTRIES:
 *           its number, the first page that is zeros unless it was written, whether it is on disk
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError, InvariantError } from '../../base/errors.js';
import type { Word } from '../../base/units.js';
import { fillFilePage } from '../../hardware/device.js';
import type { Device } from '../device.js';

const LOCK = 0;
const NAME_BYTES = 1;
const COUNT = 2;
const ENTRIES = 16;
const ENTRY_WORDS = 3;
/** Words of an entry. */
const NUMBER = 0;
const END = 1;
const ON_DISK = 2;
const MAX_NAME_BYTES = 4096;
const NO_END = 2 ** 31 - 1;

/** Errors of the host that are the device's: a request fails. All others are ours. */
const DEVICE_ERRORS = ['EDQUOT', 'EFBIG', 'EIO', 'ENOSPC'];

/** What the threads of one machine share of their device. */
export interface DeviceShare {
  readonly words: Int32Array;
  /** Files there can be at most. */
  readonly files: number;
}

/**
 * @param files - that the machine can have, the swap file apart
 * @param directory - where the files are to be made; without, a temporary one at the first write
 */
export function createDeviceShare(files: number, directory?: string): DeviceShare {
  const entries = files + 1;
  const bytes = (ENTRIES + entries * ENTRY_WORDS) * 4 + MAX_NAME_BYTES;
  const share = { words: new Int32Array(new SharedArrayBuffer(bytes)), files: entries };
  if (directory !== undefined) writeName(share, directory);
  return share;
}

function nameBytes({ words, files }: DeviceShare): Uint8Array {
  return new Uint8Array(words.buffer, (ENTRIES + files * ENTRY_WORDS) * 4, MAX_NAME_BYTES);
}

function writeName(share: DeviceShare, directory: string): void {
  const bytes = new TextEncoder().encode(directory);
  if (bytes.length > MAX_NAME_BYTES) {
    throw new InputError('DEVICE_DIRECTORY', `a directory's name has ${bytes.length} bytes`);
  }
  nameBytes(share).set(bytes);
  Atomics.store(share.words, NAME_BYTES, bytes.length);
}

function directoryOf(share: DeviceShare): string | undefined {
  const length = Atomics.load(share.words, NAME_BYTES);
  return length === 0 ? undefined : new TextDecoder().decode(nameBytes(share).slice(0, length));
}

function pathOf(directory: string, file: number): string {
  return join(directory, file === 0 ? 'swap' : `file-${file}`);
}

function writtenPathOf(directory: string, file: number): string {
  return `${pathOf(directory, file)}.written`;
}

/**
 * Removes what the device made, when no thread uses it any more.
 *
 * @param ownDirectory - whether the device made the directory too
 */
export function removeDevice(share: DeviceShare, ownDirectory: boolean): void {
  const directory = directoryOf(share);
  if (directory === undefined) return;
  if (ownDirectory) return rmSync(directory, { recursive: true, force: true });
  const { words } = share;
  for (let entry = ENTRIES; entry < endOf(words); entry += ENTRY_WORDS) {
    if (words[entry + ON_DISK] === 0) continue;
    rmSync(pathOf(directory, words[entry + NUMBER]), { force: true });
    rmSync(writtenPathOf(directory, words[entry + NUMBER]), { force: true });
  }
}

/** One past the entries. */
function endOf(words: Int32Array): number {
  return ENTRIES + Atomics.load(words, COUNT) * ENTRY_WORDS;
}

/** A file that this thread has opened. */
interface OpenFile {
  readonly contents: number;
  readonly written: number;
}

export class FileDevice implements Device {
  private readonly words: Int32Array;
  private readonly pageBytes: number;
  private readonly open = new Map<number, OpenFile>();
  private readonly flag = new Uint8Array(1);
  /** The machine's memory as bytes. */
  private bytes: Uint8Array = new Uint8Array(0);

  constructor(
    private readonly share: DeviceShare,
    private readonly pageWords: number,
  ) {
    this.words = share.words;
    this.pageBytes = pageWords * 4;
  }

  read(words: Int32Array, frame: Word, file: number, index: number): boolean {
    const entry = this.find(file);
    if (entry !== 0 && this.words[entry + ON_DISK] !== 0) {
      const { contents, written } = this.opened(entry, file);
      this.flag[0] = 0;
      readSync(written, this.flag, 0, 1, index);
      if (this.flag[0] !== 0) return this.readPage(contents, words, frame, index);
    }
    if (entry !== 0 && index >= Atomics.load(this.words, entry + END)) {
      words.fill(0, frame, frame + this.pageWords);
    } else {
      fillFilePage(words, frame, this.pageWords, file, index);
    }
    return true;
  }

  private readPage(contents: number, words: Int32Array, frame: Word, index: number): boolean {
    return this.served(() => {
      const { pageBytes } = this;
      const bytes = this.bytesOf(words);
      const got = readSync(contents, bytes, frame * 4, pageBytes, index * pageBytes);
      if (got !== pageBytes) {
        throw new InvariantError(`device: page ${index} was written, and has ${got} bytes`);
      }
    });
  }

  write(words: Int32Array, frame: Word, file: number, index: number): boolean {
    const { pageBytes } = this;
    const { contents, written } = this.opened(this.find(file) || this.add(file), file);
    return this.served(() => {
      const bytes = this.bytesOf(words);
      for (let done = 0; done < pageBytes;) {
        const position = index * pageBytes + done;
        done += writeSync(contents, bytes, frame * 4 + done, pageBytes - done, position);
      }
      this.flag[0] = 1;
      writeSync(written, this.flag, 0, 1, index);
    });
  }

  truncate(file: number, index: number): void {
    const entry = this.find(file) || this.add(file);
    const { words } = this;
    for (let end = words[entry + END]; index < end;) {
      end = Atomics.compareExchange(words, entry + END, end, index);
    }
    if (Atomics.load(words, entry + ON_DISK) === 0) return;
    const { contents, written } = this.opened(entry, file);
    this.withLock(() => {
      cutOff(written, index);
      cutOff(contents, index * this.pageBytes);
    });
  }

  close(): void {
    for (const { contents, written } of this.open.values()) {
      closeSync(contents);
      closeSync(written);
    }
    this.open.clear();
  }

  private bytesOf(words: Int32Array): Uint8Array {
    if (this.bytes.buffer !== words.buffer) this.bytes = new Uint8Array(words.buffer);
    return this.bytes;
  }

  /** Lets the host serve a request. @returns whether it could */
  private served(request: () => void): boolean {
    try {
      request();
      return true;
    } catch (error) {
      if (DEVICE_ERRORS.includes((error as NodeJS.ErrnoException).code ?? '')) return false;
      throw error;
    }
  }

  /** @returns the entry of a file, or 0 */
  private find(file: number): number {
    const { words } = this;
    const end = endOf(words);
    for (let entry = ENTRIES; entry < end; entry += ENTRY_WORDS) {
      if (words[entry + NUMBER] === file) return entry;
    }
    return 0;
  }

  private add(file: number): number {
    return this.withLock(() => {
      const known = this.find(file);
      if (known !== 0) return known;
      const { words, share } = this;
      if (words[COUNT] === share.files) {
        throw new InvariantError(`device: more than ${share.files} files`);
      }
      const entry = endOf(words);
      words[entry + NUMBER] = file;
      words[entry + END] = NO_END;
      Atomics.add(words, COUNT, 1);
      return entry;
    });
  }

  /** The file as this thread has it open; made on disk where no thread has yet. */
  private opened(entry: number, file: number): OpenFile {
    const open = this.open.get(file) ?? this.withLock(() => this.openFile(entry, file));
    this.open.set(file, open);
    return open;
  }

  private openFile(entry: number, file: number): OpenFile {
    const { words, share } = this;
    if (words[NAME_BYTES] === 0) writeName(share, mkdtempSync(join(tmpdir(), 'minorfault-')));
    const directory = directoryOf(share)!;
    // What lies there already is not ours to overwrite, nor to remove.
    const mode = words[entry + ON_DISK] === 0 ? 'wx+' : 'r+';
    const open = {
      contents: openOurs(pathOf(directory, file), mode),
      written: openOurs(writtenPathOf(directory, file), mode),
    };
    Atomics.store(words, entry + ON_DISK, 1);
    return open;
  }

  private withLock<T>(act: () => T): T {
    const { words } = this;
    while (Atomics.compareExchange(words, LOCK, 0, 1) !== 0) Atomics.wait(words, LOCK, 1);
    try {
      return act();
    } finally {
      Atomics.store(words, LOCK, 0);
      Atomics.notify(words, LOCK, 1);
    }
  }
}

/** @throws InputError when the file cannot be made, as where there is one already */
function openOurs(path: string, mode: string): number {
  try {
    return openSync(path, mode);
  } catch (error) {
    throw new InputError('DEVICE_FILE', `${path}: ${(error as Error).message}`);
  }
}

/** Shortens an open file; never lengthens it. */
function cutOff(descriptor: number, bytes: number): void {
  if (fstatSync(descriptor).size > bytes) ftruncateSync(descriptor, bytes);
}
