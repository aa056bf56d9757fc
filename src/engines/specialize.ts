/**
 * Compiles the plain form for one machine: its constants written out as literals, its memory bound.
 *
 * An instance of its own has closures of its own, which V8 specialises to the very arrays they use;
 * and unlike a module it can be collected when the machine is.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';
import type { Memory } from '../hardware/memory.js';

/** What build/template.mjs writes beside the template. */
interface Sidecar {
  readonly parameters: string[];
  /** Where each constant is used: [start, end] in the template, by name. */
  readonly uses: Readonly<Record<string, readonly (readonly [number, number])[]>>;
}

interface Instance {
  readonly vm: unknown;
  readonly constants: Readonly<Record<string, unknown>>;
}

/** The template as a function: see TEMPLATE_PARAMETERS of build/template.mjs. */
type Run = (instanceUrl: string, words: Int32Array, wides: Float64Array) => Instance;

/** Templates by file, and specialised texts by instance URL. */
const templates = new Map<string, { text: string; sidecar: Sidecar }>();
const texts = new Map<string, string>();
let instances = 0;

/**
 * @param template - file of the template
 * @param instanceUrl - names the configuration, see base/instance.ts
 * @returns the exports of the VM
 */
export function specialize(template: URL, instanceUrl: string, memory: Memory): unknown {
  const { text, sidecar } = readTemplate(template);
  let specialized = texts.get(instanceUrl);
  if (specialized === undefined) {
    // The template run as it is tells what its constants are.
    const nothing = { words: new Int32Array(0), wides: new Float64Array(0) };
    const { constants } = instantiate(template, text, sidecar, instanceUrl, nothing);
    specialized = writeConstants(text, sidecar, constants);
    texts.set(instanceUrl, specialized);
  }
  return instantiate(template, specialized, sidecar, instanceUrl, memory).vm;
}

function readTemplate(file: URL): { text: string; sidecar: Sidecar } {
  let template = templates.get(file.href);
  if (template === undefined) {
    const sidecar = new URL(file.href.replace(/\.js$/, '.constants.json'));
    template = {
      text: readFileSync(file, 'utf8'),
      sidecar: JSON.parse(readFileSync(sidecar, 'utf8')) as Sidecar,
    };
    templates.set(file.href, template);
  }
  return template;
}

/** Replaces the uses of all constants that are numbers or booleans; lines stay where they are. */
function writeConstants(
  text: string,
  { uses }: Sidecar,
  constants: Readonly<Record<string, unknown>>,
): string {
  const edits = Object.entries(uses)
    .filter(([name]) => ['number', 'boolean'].includes(typeof constants[name]))
    .flatMap(([name, places]) =>
      places.map(([start, end]) => ({ start, end, value: constants[name] })),
    )
    .sort((a, b) => a.start - b.start);
  let result = '';
  let at = 0;
  for (const { start, end, value } of edits) {
    result += `${text.slice(at, start)}(${String(value)})`;
    at = end;
  }
  return result + text.slice(at);
}

function instantiate(
  template: URL,
  text: string,
  sidecar: Sidecar,
  instanceUrl: string,
  memory: Pick<Memory, 'words' | 'wides'>,
): Instance {
  // The same text compiled twice would share its closures' feedback, and lose what is special.
  const unique = `${text}\n// instance ${++instances}`;
  const run = compileFunction(unique, sidecar.parameters, { filename: fileURLToPath(template) });
  return (run as Run)(instanceUrl, memory.words, memory.wides);
}
