/**
 * The rooms of src/ in the order in which they may import: each from itself and those before it. What a
 * room may touch of the world outside is listed with it.
 */
export const ROOMS = [
  { name: 'base', owns: [] },
  { name: 'hardware', owns: [] },
  { name: 'mm', owns: [] },
  { name: 'designs', owns: [] },
  { name: 'oracle', owns: [] },
  { name: 'workloads', owns: [] },
  { name: 'engines', owns: ['Atomics', 'clock', 'files', 'threads'] },
  // A check may take so long.
  { name: 'scenarios', owns: ['clock'] },
  { name: 'traces', owns: ['files'] },
  { name: 'measure', owns: ['clock', 'process'] },
  { name: 'cli', owns: ['clock', 'files', 'process'] },
];

/** What each kind of access to the world looks like in code. */
export const OUTSIDE = {
  Atomics: { globals: ['Atomics'] },
  clock: {
    globals: ['Date', 'performance', 'setTimeout', 'setInterval'],
    modules: ['node:perf_hooks', 'node:timers'],
  },
  random: { properties: [['Math', 'random']], globals: ['crypto'], modules: ['node:crypto'] },
  files: { modules: ['node:fs', 'node:fs/promises', 'node:zlib', 'node:child_process'] },
  threads: { modules: ['node:worker_threads', 'node:vm'] },
  process: { globals: ['process'] },
};

/** ESLint settings that keep each room to its imports and to the world that it owns. */
export function roomRules() {
  return ROOMS.map(({ name, owns }, place) => {
    const later = ROOMS.slice(place + 1).map((room) => room.name);
    const forbidden = Object.entries(OUTSIDE).filter(([kind]) => !owns.includes(kind));
    const pick = (key) => forbidden.flatMap(([, access]) => access[key] ?? []);
    const message = `The room "${name}" may not use this: see build/lint/rooms.mjs.`;
    return {
      files: [`src/${name}/**/*.ts`],
      ignores: ['**/*.test.ts'],
      rules: {
        'no-restricted-imports': [
          'error',
          {
            paths: pick('modules').map((module) => ({ name: module, message })),
            patterns:
              later.length === 0
                ? []
                : [
                    {
                      regex: `^(\\.\\./)+(${later.join('|')})/`,
                      message: `${message} Imports run one way.`,
                    },
                  ],
          },
        ],
        'no-restricted-globals': [
          'error',
          ...pick('globals').map((global) => ({ name: global, message })),
        ],
        'no-restricted-properties': [
          'error',
          ...pick('properties').map(([object, property]) => ({ object, property, message })),
        ],
      },
    };
  });
}
