/** Tables that somebody measured on a real machine, as files of `tables/`: what a simulated machine is held against. */
import type { JsonValue } from '../base/jsonFile.js';
import { Shelf } from '../engines/shelf.js';
import { COST_NAMES, type CostName } from '../engines/simulate/costs.js';

/** A row of the page-fault test. */
export interface TableRow {
  readonly design: string;
  readonly bytes: number;
  readonly repetitions: number;
  readonly threads: number;
  readonly faultsPerCpuSecond: number;
  readonly faultsPerWallSecond: number;
  /** Whether constants may be fitted to it, or it is there to be predicted. */
  readonly use: 'fit' | 'held out';
}

/** A constant that is fitted. */
export interface FittedConstant {
  readonly name: CostName;
  /** What it is held to be beforehand, in its unit, and why. */
  readonly prior: number;
  readonly source: string;
}

export interface MeasuredTable {
  readonly title: string;
  readonly source: string;
  /** The simulated one that stands for the table's. */
  readonly machine: string;
  readonly constants: readonly FittedConstant[];
  readonly rows: readonly TableRow[];
}

/** The tables that come with the library, and files. */
export const TABLES = new Shelf('table', 'tables', readTable);

function readTable(value: JsonValue): MeasuredTable {
  return {
    title: value.field('title').text(),
    source: value.field('source').text(),
    machine: value.field('machine').text(),
    constants: value.field('constants').list((constant) => ({
      name: constant.field('name').choice(COST_NAMES),
      prior: constant.field('prior').positive(),
      source: constant.field('source').text(),
    })),
    rows: value.field('rows').list((row) => ({
      design: row.field('design').text(),
      bytes: row.field('bytes').count(1),
      repetitions: row.field('repetitions').count(1),
      threads: row.field('threads').count(1),
      faultsPerCpuSecond: row.field('faultsPerCpuSecond').positive(),
      faultsPerWallSecond: row.field('faultsPerWallSecond').positive(),
      use: row.field('use').choice(['fit', 'held out']),
    })),
  };
}
