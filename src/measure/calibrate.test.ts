import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MIB } from '../base/units.js';
import { MACHINES } from '../engines/simulate/machine.js';
import { fitMachine, predictTable, simulateRow, withConstants } from './calibrate.js';
import { TABLES, type MeasuredTable, type TableRow } from './table.js';

/** With little memory, so that it boots quickly. */
const machine = { ...MACHINES.named('pentium3-2'), nodeBytes: 16 * MIB };

const row = (threads: number, use: TableRow['use']): TableRow => ({
  design: 'page-table-lock',
  bytes: 4 * MIB,
  repetitions: 1,
  threads,
  faultsPerCpuSecond: 1,
  faultsPerWallSecond: 1,
  use,
});

/** What a machine of other constants would have measured. */
async function madeUp(zeroPageNs: number): Promise<MeasuredTable> {
  const other = withConstants(machine, ['zeroPageNs'], [zeroPageNs]);
  const rows = [row(1, 'fit'), row(2, 'held out')];
  const measured = await Promise.all(
    rows.map(async (of) => {
      const rates = await simulateRow({ machine: other, row: of, seed: 1, scale: 1 });
      const { faultsPerCpuSecond, faultsPerWallSecond } = rates;
      return { ...of, faultsPerCpuSecond, faultsPerWallSecond };
    }),
  );
  return {
    title: '',
    source: '',
    machine: machine.name,
    constants: [{ name: 'zeroPageNs', prior: machine.costs.zeroPageNs, source: '' }],
    rows: measured,
  };
}

describe('calibration', () => {
  it('finds the constant that a made-up machine has, and predicts its held-out row', async () => {
    const table = await madeUp(5000);
    const options = { seeds: [1], workers: 1, evaluations: 25 };
    const fitted = await fitMachine(machine, table, options);
    // What is known beforehand holds it back a little.
    assert.ok(Math.abs(fitted.costs.zeroPageNs / 5000 - 1) < 0.05, `${fitted.costs.zeroPageNs}`);
    const { errors } = await predictTable(fitted, table, options);
    assert.equal(errors['held out']!.rows, 1);
    assert.ok(errors['held out']!.columns.faultsPerWallSecond.worst < 0.05);
  });

  it('tells the error and the range over seeds', async () => {
    const table = await madeUp(machine.costs.zeroPageNs * 2);
    const { rows, errors } = await predictTable(machine, table, { seeds: [1, 2], workers: 1 });
    for (const { predictions } of rows) {
      const { predicted, measured, error, least, most } = predictions.faultsPerCpuSecond;
      assert.equal(error, predicted / measured - 1);
      const near = 1 + 1e-9;
      assert.ok(error > 0 && least <= predicted * near && predicted <= most * near);
    }
    assert.equal(
      errors.fit!.columns.faultsPerCpuSecond.worst,
      rows[0].predictions.faultsPerCpuSecond.error,
    );
  });

  it('gives the same for the same seed, to the bit', async () => {
    const task = {
      machine: MACHINES.named('ia64-8'),
      row: { ...row(4, 'fit'), bytes: 16 * MIB },
      seed: 3,
      scale: 8,
    };
    assert.deepEqual(await simulateRow(task), await simulateRow(task));
  });

  it('has fixed which rows of the documents are fitted', () => {
    const fitted = TABLES.named('prefault-ia64').rows.filter(({ use }) => use === 'fit');
    assert.deepEqual(
      fitted.map(({ design, bytes, threads }) => `${design} ${bytes / 2 ** 30} ${threads}`),
      [
        'page-table-lock 1 1',
        'page-table-lock 1 2',
        'page-table-lock 1 8',
        'page-table-lock 4 1',
        'page-table-lock 4 8',
        'prefault-v2 1 1',
      ],
    );
    assert.equal(TABLES.named('prefault-ia64').rows.length, 16);
  });
});
