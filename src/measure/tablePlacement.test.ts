import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { designNamed } from '../designs/index.js';
import { MACHINES } from '../engines/simulate/machine.js';
import { tablePlacement, type TablePlacement } from './tablePlacement.js';

/** Of nanoseconds that are summed up over thousands of accesses. */
const ROUNDING_NS = 1e-3;
/** The same of faults: which of them go to the zones for frames differs, and what they find there. */
const FRAMES_NS = 1;

for (const name of ['x86-2s', 'altix-512']) {
  describe(`a process that has come to another node of ${name}`, () => {
    const machine = MACHINES.named(name);
    const { memoryNs, memoryRemoteNs, zeroPageNs, remotePage } = machine.costs;
    let placement: TablePlacement;
    before(async () => {
      placement = await tablePlacement(machine, designNamed('relocate'), [1]);
    });

    /** What a load and a fault take less where tables, or data, or both, have moved. */
    const saved = (tables: number, data: number): { load: number; fault: number } => {
      const [nothing] = placement.cases;
      const moved = placement.cases[2 * data + tables];
      return {
        load: nothing.loadNs.mean - moved.loadNs.mean,
        fault: nothing.faultNs.mean - moved.faultNs.mean,
      };
    };
    const expectNs = (got: number, expected: number, within = ROUNDING_NS): void => {
      assert.ok(Math.abs(got - expected) < within, `got ${got} ns, expected ${expected}`);
    };

    it('has a far entry for each load that misses the TLB, until its tables follow', () => {
      expectNs(saved(1, 0).load, placement.missShare * (memoryRemoteNs - memoryNs));
    });

    it('has a far datum for each load, until its data follow', () => {
      expectNs(saved(0, 1).load, memoryRemoteNs - memoryNs);
    });

    it('has a far entry for each fault', () => {
      expectNs(saved(1, 0).fault, memoryRemoteNs - memoryNs, FRAMES_NS);
    });

    it('zeroes a far page by each fault where new memory is of the old node', () => {
      // Frames are taken from behind the locks of both zones, or of one.
      const zeroing = zeroPageNs * (remotePage - 1);
      const { fault } = saved(0, 1);
      assert.ok(fault > zeroing && fault < 1.05 * zeroing, `${fault} ns, zeroing ${zeroing}`);
    });

    it('gains by both what it gains by each', () => {
      const [tables, data, both] = [saved(1, 0), saved(0, 1), saved(1, 1)];
      expectNs(both.load, tables.load + data.load);
      expectNs(both.fault, tables.fault + data.fault, FRAMES_NS);
    });

    it('gains more on a load than on a fault by its tables', () => {
      const [nothing] = placement.cases;
      const { load, fault } = saved(1, 0);
      assert.ok(load / nothing.loadNs.mean > 2 * (fault / nothing.faultNs.mean));
    });
  });
}

describe('the placement of tables', () => {
  const machine = MACHINES.named('x86-2s');
  const altix = MACHINES.named('altix-512');
  const relocate = designNamed('relocate');

  it('is worth the same each time that it is asked for', async () => {
    const first = await tablePlacement(machine, relocate, [2]);
    assert.deepEqual(await tablePlacement(machine, relocate, [2]), first);
  });

  it('is worth more with more routers between', async () => {
    const [near, far] = [
      await tablePlacement(altix, relocate, [1]),
      await tablePlacement(altix, relocate, [1], 4),
    ].map(({ cases, missShare }) => (cases[0].loadNs.mean - cases[1].loadNs.mean) / missShare);
    assert.ok(Math.abs(far - near - 3 * altix.costs.hopNs) < ROUNDING_NS, `${near}, ${far}`);
    await assert.rejects(tablePlacement(altix, relocate, [1], 5), /got 5 levels, expected 1 to 4/);
  });

  it('is not asked of a machine of one node, nor of tables that stay', async () => {
    const small = MACHINES.named('pentium3-2');
    await assert.rejects(tablePlacement(small, relocate, [1]), /has one node/);
    const stays = designNamed('table-lock');
    await assert.rejects(tablePlacement(machine, stays, [1]), /table-lock, whose page tables stay/);
  });
});
