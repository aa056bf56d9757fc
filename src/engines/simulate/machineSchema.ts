/** The JSON schema of a machine's file, for editors: `machines/machine.schema.json` is what this returns. */
import { ARCH_NAMES } from '../../hardware/arch/index.js';
import { COST_FIELDS, COST_NAMES } from './costs.js';
import { LINE_BYTES } from './machine.js';

const text = { type: 'string', minLength: 1 } as const;
const count = (minimum: number, description: string): object => {
  return { type: 'integer', minimum, description };
};

export function machineSchema(): object {
  const costs = COST_NAMES.map((name): [string, object] => {
    const { unit, least, text: description } = COST_FIELDS[name];
    const value = { type: unit === 'count' ? 'integer' : 'number', minimum: least };
    const about = { description: `${description}; unit: ${unit}` };
    return [name, { ...record({ value, source: text }), ...about }];
  });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'a machine that minorfault can simulate',
    ...record(
      {
        $schema: { type: 'string' },
        name: text,
        title: text,
        arch: { enum: ARCH_NAMES },
        topology: record(
          {
            source: text,
            cpus: count(1, 'CPUs'),
            cpusPerNode: count(1, 'CPUs of a node'),
            nodesPerRouter: count(
              2,
              'nodes on one router, and routers below one of the next level',
            ),
            nodeBytes: count(1, 'bytes of memory of a node'),
            lowBytes: count(1, 'bytes of all memory that are mapped directly; all if left out'),
            lineBytes: { enum: LINE_BYTES, description: 'bytes of a cache line' },
          },
          ['lowBytes'],
        ),
        lines: {
          type: 'array',
          description:
            'names of words, such as mm.mmapSem: those of a group lie together on a line of their own',
          items: {
            type: 'array',
            minItems: 1,
            items: { type: 'string', pattern: '^\\w+\\.\\w+$' },
          },
        },
        costs: record(Object.fromEntries(costs)),
      },
      ['$schema', 'lines'],
    ),
  };
}

/** An object with these fields and no others. */
function record(properties: Record<string, object>, optional: readonly string[] = []): object {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', additionalProperties: false, required, properties };
}
