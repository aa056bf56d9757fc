/**
 * Compiles a form of the VM that is a template for one machine: its constants written out as literals, its memory bound.
 *
 * An instance of its own has closures of its own, which V8 specialises to the very arrays they use;
 * and unlike a module it can be collected when the machine is.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';

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
type Run = (...values: readonly unknown[]) => Instance;

/** Values of the template's parameters, by name: a machine's arrays, and what else a form refers to. */
export type Bindings = Readonly<Record<string, unknown>>;

/** Templates by file, and specialised texts by instance URL. */
const templates = new Map<string, { text: string; sidecar: Sidecar }>();
const texts = new Map<string, string>();
let instances = 0;

/**
 * @param template - file of the template
 * @param instanceUrl - names the configuration, see base/instance.ts
 * @param bindings - of the template's parameters, `instanceUrl` apart
 * @returns the exports of the VM
 */
export function specialize(template: URL, instanceUrl: string, bindings: Bindings): unknown {
  const { text, sidecar } = readTemplate(template);
  let specialized = texts.get(instanceUrl);
  if (specialized === undefined) {
    // The template run as it is tells what its constants are.
    const nothing = { words: new Int32Array(0), wides: new Float64Array(0) };
    const { constants } = instantiate(template, text, sidecar, instanceUrl, nothing);
    specialized = writeConstants(text, sidecar, constants);
    texts.set(instanceUrl, specialized);
  }
  return instantiate(template, specialized, sidecar, instanceUrl, bindings).vm;
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
  bindings: Bindings,
): Instance {
  // The same text compiled twice would share its closures' feedback, and lose what is special.
  const unique = `${text}\n// instance ${++instances}`;
  const run = compileFunction(unique, sidecar.parameters, { filename: fileURLToPath(template) });
  const values = { ...bindings, instanceUrl } as Bindings;
  return (run as Run)(...sidecar.parameters.map((name) => values[name]));
}
