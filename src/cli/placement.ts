import type { Command } from 'commander';
import { designNamed } from '../designs/index.js';
import { MACHINES, type SimulatedMachine } from '../engines/simulate/machine.js';
import {
  tablePlacement,
  type PlacementCase,
  type Spread,
  type TablePlacement,
} from '../measure/tablePlacement.js';
import type { VmDesign } from '../mm/design.js';
import { parseCount, parseCounts, valueOption } from './arguments.js';
import { formatTable, percent, print, printJson } from './output.js';

interface PlacementOptions {
  readonly machine: readonly SimulatedMachine[];
  readonly design: VmDesign;
  readonly levels: number;
  readonly seeds: number[];
  readonly json?: true;
}

const HELP = `
A process is started on one node and goes on at the next. It loads from pages at random, four times as many as the TLB
holds, and does nothing else: each load has its datum from memory, and each that misses the TLB its page-table entry,
too. Then it stores to new pages, whose leaf tables are there, each with its entry on another cache line. With data on
the old node new pages are of that node, too.

It rests on memoryNs and memoryRemoteNs of \`minorfault machines NAME\`. docs/relocation.md has what it leaves out.`;

export function addPlacementCommand(program: Command): void {
  program
    .command('placement')
    .description('what it is worth that page tables, or data, go with a process to another node')
    .addOption(
      valueOption(
        '--machine <names>',
        'of `minorfault machines`, or files, with commas',
        (given) => given.split(',').map((name) => MACHINES.from(name)),
        'x86-2s,altix-512',
      ),
    )
    .addOption(
      valueOption('--design <name>', 'whose page tables can move', designNamed, 'relocate'),
    )
    .addOption(valueOption('--levels <n>', 'of routers between the two nodes', parseCount, '1'))
    .addOption(
      valueOption('--seeds <list>', 'of what is left to chance, with commas', parseCounts, '1,2,3'),
    )
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(async ({ machine: machines, design, levels, seeds, json }: PlacementOptions) => {
      const results: TablePlacement[] = [];
      for (const machine of machines) {
        results.push(await tablePlacement(machine, design, seeds, levels));
      }
      if (json) printJson(results);
      else results.forEach(printPlacement);
    });
}

function printPlacement(placement: TablePlacement): void {
  const { machine, design, levels, seeds, missShare, cases } = placement;
  print(
    `${machine}, ${design}, router levels: ${levels}; simulated; seeds ${seeds.join(', ')}; ${percent(missShare)} of loads miss the TLB`,
  );
  const [nothing] = cases;
  print(
    formatTable(
      ['tables', 'data', 'ns a load', 'saved', 'ns a fault', 'saved'],
      cases.map(({ tables, data, loadNs, faultNs }: PlacementCase) => [
        `${tables} node`,
        `${data} node`,
        spreadText(loadNs),
        percent(1 - loadNs.mean / nothing.loadNs.mean),
        spreadText(faultNs),
        percent(1 - faultNs.mean / nothing.faultNs.mean),
      ]),
    ),
  );
  print('');
}

/** "221.5 (220.9 to 222.0)"; "221.5" where the seeds do not differ. */
function spreadText({ mean, least, most }: Spread): string {
  const [text, from, to] = [mean, least, most].map((ns) => ns.toFixed(1));
  return from === to ? text : `${text} (${from} to ${to})`;
}
