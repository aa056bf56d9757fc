/** Named JSON files that come with the library, beside which a user may name a file of his own. */
import { readFileSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError } from '../base/errors.js';
import { parseJsonFile, type JsonValue } from '../base/jsonFile.js';

const SUFFIX = '.json';
const SCHEMA_SUFFIX = '.schema.json';

export class Shelf<T> {
  /** Of all files. */
  readonly names: readonly string[];
  private readonly known = new Map<string, T>();

  /**
   * @param what - the files are, such as "machine"
   * @param folder - where they are, from the package's root
   */
  constructor(
    private readonly what: string,
    private readonly folder: string,
    private readonly read: (value: JsonValue) => T,
  ) {
    this.names = readdirSync(this.url(''))
      .filter((file) => file.endsWith(SUFFIX) && !file.endsWith(SCHEMA_SUFFIX))
      .map((file) => basename(file, SUFFIX))
      .sort();
  }

  /** @throws InputError when there is none of that name */
  named(name: string): T {
    let value = this.known.get(name);
    if (value === undefined) {
      if (!this.names.includes(name)) {
        const names = this.names.join(', ');
        throw new InputError(
          `${this.what.toUpperCase()}_UNKNOWN`,
          `no ${this.what} is called "${name}"; there are: ${names}, and files that end in ${SUFFIX}`,
        );
      }
      value = this.readFile(fileURLToPath(this.url(`${name}${SUFFIX}`)));
      this.known.set(name, value);
    }
    return value;
  }

  /**
   * @param given - a name, or a file that ends in .json
   * @throws InputError when there is none, or with the place of what is wrong in it
   */
  from(given: string): T {
    return given.endsWith(SUFFIX) ? this.readFile(given) : this.named(given);
  }

  private readFile(file: string): T {
    const code = `${this.what.toUpperCase()}_FILE`;
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      const { code: cause = '' } = error as NodeJS.ErrnoException;
      throw new InputError(code, `cannot be read (${cause})`, { file });
    }
    return this.read(parseJsonFile(text, file, code));
  }

  private url(file: string): URL {
    return new URL(`../../../${this.folder}/${file}`, import.meta.url);
  }
}
