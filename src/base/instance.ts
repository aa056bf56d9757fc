/**
 * How a build of the VM learns what it is built for.
 *
 * Every machine configuration gets a module instance of its own: the same module under another URL,
 * whose query names the configuration. Layout addresses and design choices are then module-level
 * constants, which V8 folds into the code: a design costs nothing per fault (measured: 63 ns for
 * one specialised instance, 80 ns for strategy objects).
 */

/** Configurations by name; the built modules hold copies of this file, so it lies in the realm. */
const registry: Map<string, unknown> = ((globalThis as Record<symbol, unknown>)[
  Symbol.for('minorfault.configurations')
] ??= new Map()) as Map<string, unknown>;

const PARAMETER = 'configuration';

/**
 * @param label - tells instances apart for people, in stack traces and profiles
 * @returns the URL under which the module `base` is instantiated for `configuration`
 */
export function instanceUrl(base: URL, label: string, configuration: unknown): string {
  const text = JSON.stringify(configuration);
  let name = label;
  for (let copy = 2; registry.has(name) && JSON.stringify(registry.get(name)) !== text; copy++) {
    name = `${label}-${copy}`;
  }
  registry.set(name, configuration);
  const url = new URL(base);
  url.searchParams.set(PARAMETER, name);
  return url.href;
}

/**
 * @param moduleUrl - `import.meta.url` of the asking module
 * @param fallback - used where the module was not instantiated for anything, as by a type check
 */
export function instanceConfiguration<T>(moduleUrl: string, fallback: T): T {
  const name = new URL(moduleUrl).searchParams.get(PARAMETER);
  return name === null ? fallback : (registry.get(name) as T);
}
