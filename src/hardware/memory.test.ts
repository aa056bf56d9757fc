import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InputError } from '../base/errors.js';
import { pageTableLock } from '../designs/pageTableLock.js';
import { v18 } from '../designs/v18.js';
import { vmConfig } from '../engines/configuration.js';
import { attachPlain, createPlain } from '../engines/instance.js';

const machine = { arch: 'x86_64', frames: 64, cpus: 1, nodes: 1 } as const;

describe('a machine’s memory', () => {
  it('is attached by whoever has the same configuration', async () => {
    const config = vmConfig(machine, v18);
    const { memory } = await createPlain(config);
    memory.words[5000] = 77;
    assert.equal((await attachPlain(config, memory.buffer)).memory.words[5000], 77);
  });

  it('is refused for another configuration, other contents, or another size', async () => {
    const { memory } = await createPlain(vmConfig(machine, v18));
    const other = vmConfig(machine, pageTableLock);
    await assert.rejects(attachPlain(other, memory.buffer), /configuration hash: got/);
    const config = vmConfig(machine, v18);
    await assert.rejects(
      attachPlain(config, memory.buffer.slice(0, 4096)),
      /memory length: got 4096 bytes/,
    );
    await assert.rejects(attachPlain(config, new ArrayBuffer(8)), InputError);
    memory.words[0] = 0;
    await assert.rejects(attachPlain(config, memory.buffer), /magic: got 0, expected/);
  });

  it('is no larger than its entries can say, and no smaller than a process needs', () => {
    assert.throws(() => vmConfig({ ...machine, frames: 2 ** 20 + 1 }, v18), /at most 4 GiB/);
    assert.throws(() => vmConfig({ ...machine, frames: 3 }, v18), /expected 12 or more/);
    assert.throws(() => vmConfig({ ...machine, cpus: 1, nodes: 2 }, v18), /1 CPUs on 2 nodes/);
  });
});
