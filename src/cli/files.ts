/** Files that commands write. */
import { writeFile } from 'node:fs/promises';
import { InputError } from '../base/errors.js';

/** @throws InputError when it cannot be written */
export async function writeText(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new InputError('FILE_WRITE', `cannot be written (${code})`, { file: path });
  }
}
