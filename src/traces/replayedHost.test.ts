/** A host beside a replayed program: what it gets and what that costs is the same in each run. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { designNamed } from '../designs/index.js';
import { MIB } from '../base/units.js';
import { replayFile, type ReplayReport } from './replayFile.js';

const GCC = fileURLToPath(new URL('../../../recordings/gcc.trace.gz', import.meta.url));

async function replay(hostShare: number | undefined, ...names: string[]): Promise<ReplayReport[]> {
  return await replayFile(GCC, {
    designs: names.map(designNamed),
    memoryBytes: 64 * MIB,
    swapBytes: 256 * MIB,
    hostShare,
    truthPath: undefined,
    allowLost: false,
    partial: false,
  });
}

describe('a host beside a replay', () => {
  it('takes what it wants of a guest that tells it, and nothing of another', async () => {
    const [without, ours] = await replay(0.9, 'table-lock', 'hinting');
    assert.equal(without.host, undefined);
    const { wanted, most, average, volatile, mapped, ptes } = ours.host!;
    assert.equal(wanted, Math.floor(0.9 * 16384));
    assert.ok(most === wanted && average > 0.9 * wanted);
    assert.ok(volatile >= mapped && mapped > 1000 && ptes >= mapped);
    assert.ok(ours.processes.every(({ faults }) => faults.unexplained === 0));
  });

  it('makes the guest read again what it discarded, and no more', async () => {
    const [without] = await replay(undefined, 'hinting');
    const [ours] = await replay(0.9, 'hinting');
    assert.equal(without.host, undefined);
    const { discardFaults, discarded } = ours.host!;
    assert.ok(discardFaults > 0 && discarded >= discardFaults);
    const again = ours.pressure!.fileRead - without.pressure!.fileRead;
    assert.ok(again > 0 && again <= discarded, `${again} of ${discarded}`);
  });

  it('is told less by a guest with the patch than before, and least by ours', async () => {
    const reports = await replay(0.9, 'hinting-before', 'hinting-posted', 'hinting');
    const [before, posted, ours] = reports.map(({ host }) => host!.changes);
    assert.ok(before > posted && posted > ours, `${before}, ${posted}, ${ours}`);
  });

  it('comes to the same each time', async () => {
    assert.deepEqual(await replay(0.5, 'hinting'), await replay(0.5, 'hinting'));
  });
});
