import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { DESIGNS } from '../../designs/index.js';
import { ARCH_NAMES } from '../../hardware/arch/index.js';
import { vmConfig } from '../configuration.js';
import { COST_NAMES } from './costs.js';
import { MACHINES, formatMachine, hops, machineForArch, placement } from './machine.js';
import { machineSchema } from './machineSchema.js';
import { SimulateEngine } from './simulateEngine.js';

interface Schema {
  readonly properties: Record<string, { readonly required?: readonly string[] }>;
  readonly required: readonly string[];
}

describe('a simulated machine', () => {
  const folder = mkdtempSync(join(tmpdir(), 'machine-'));
  after(() => rmSync(folder, { recursive: true }));

  const fileOf = (text: string): string => {
    const file = join(folder, 'machine.json');
    writeFileSync(file, text);
    return file;
  };

  it('has a source for every number', () => {
    for (const name of MACHINES.names) {
      const machine = MACHINES.named(name);
      assert.equal(machine.name, name);
      for (const cost of COST_NAMES) {
        assert.ok(Number.isFinite(machine.costs[cost]), `${name} ${cost}`);
        assert.ok(machine.sources[cost].length > 5, `${name} ${cost}`);
      }
    }
  });

  it('is there for every architecture', () => {
    for (const arch of ARCH_NAMES) assert.equal(machineForArch(arch).arch, arch);
  });

  it('is the same after it has been written and read', () => {
    for (const name of MACHINES.names) {
      const machine = MACHINES.named(name);
      assert.deepEqual(MACHINES.from(fileOf(formatMachine(machine))), machine);
    }
  });

  it('has a file that keeps to the schema beside it', () => {
    const schema: unknown = machineSchema();
    const kept = new URL('../../../../machines/machine.schema.json', import.meta.url);
    assert.deepEqual(JSON.parse(readFileSync(kept, 'utf8')), JSON.parse(JSON.stringify(schema)));
    const { properties, required } = schema as Schema;
    for (const name of MACHINES.names) {
      const file = new URL(`../../../../machines/${name}.json`, import.meta.url);
      const machine = JSON.parse(readFileSync(file, 'utf8')) as Record<string, object>;
      for (const field of required) assert.ok(field in machine, `${name} ${field}`);
      for (const field of Object.keys(machine)) assert.ok(field in properties, `${name} ${field}`);
      assert.deepEqual(Object.keys(machine.costs), properties.costs.required, name);
    }
  });

  it('may have words on lines of their own, by name', async () => {
    const machine = MACHINES.named('ia64-8');
    const apart = { ...machine, lines: [['mm.mmapSem', 'mm.nrTables'], ['mm.pageTableLock']] };
    assert.deepEqual(MACHINES.from(fileOf(formatMachine(apart))), apart);
    const config = vmConfig({ arch: 'ia64', frames: 64, cpus: 1, nodes: 1 }, DESIGNS[0]);
    const { vm, lines } = await SimulateEngine.create(config, { ...apart, cpus: 1 });
    const lineOf = (name: string): number => lines.lineOf(vm.wordsNamed(name)[0]);
    assert.equal(lineOf('mm.mmapSem'), lineOf('mm.nrTables'));
    assert.notEqual(lineOf('mm.mmapSem'), lineOf('mm.pageTableLock'));
    assert.equal(lineOf('mm.mmapCache'), lineOf('mm.pgd'));
    const unknown = { ...machine, lines: [['mm.none']] };
    await assert.rejects(SimulateEngine.create(config, unknown), /no word is called "mm\.none"/);
  });

  it('says where a file is wrong', () => {
    const text = formatMachine(MACHINES.named('ia64-8'));
    const wrong: [string, RegExp][] = [
      [
        text.replace('"value": 5,', '"value": "5",'),
        /costs\.hitNs\.value: got "5", expected a number/,
      ],
      [
        text.replace(/("remotePage": \{\s*"value": )[\d.]+/, '$10.5'),
        /remotePage\.value: .*1 or more, in factor/,
      ],
      [text.replace('"lineBytes": 128', '"lineBytes": 100'), /lineBytes: got 100/],
      [text.replace('"ia64"', '"vax"'), /arch: got "vax"/],
      [text.slice(0, 100), /is not JSON/],
    ];
    for (const [changed, message] of wrong) {
      assert.notEqual(changed, text);
      assert.throws(() => MACHINES.from(fileOf(changed)), { name: 'InputError', message });
    }
    assert.throws(() => MACHINES.from('nowhere.json'), { message: /cannot be read \(ENOENT\)/ });
    assert.throws(() => MACHINES.from('vax'), {
      message: /no machine is called "vax"; there are: /,
    });
  });

  it('has a level of routers more for each power of their size', () => {
    const topology = { ...MACHINES.named('altix-512'), nodesPerRouter: 4 };
    assert.equal(hops(topology, 5, 5), 0);
    assert.equal(hops(topology, 4, 7), 1);
    assert.equal(hops(topology, 3, 4), 2);
    assert.equal(hops(topology, 0, 255), 4);
  });

  it('is filled from the node where a process starts', () => {
    assert.deepEqual(placement(8, 2), [0, 1, 2, 4, 6, 3, 5, 7]);
    assert.deepEqual(placement(4, 4), [0, 1, 2, 3]);
    assert.deepEqual(placement(5, 2), [0, 1, 2, 4, 3]);
  });
});
