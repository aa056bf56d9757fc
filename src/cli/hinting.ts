import type { Command } from 'commander';
import { InputError } from '../base/errors.js';
import type { VmDesign } from '../mm/design.js';
import { hintingTransitions, type HintingTransitions } from '../measure/hinting.js';
import { parseDesigns, valueOption } from './arguments.js';
import { formatTable, print, printJson } from './output.js';

const DEFAULT_DESIGNS = 'hinting-before,hinting-posted,hinting';

interface HintingOptions {
  readonly design: VmDesign[];
  readonly json?: true;
}

export function addHintingCommand(program: Command): void {
  program
    .command('hinting')
    .description('count how often a guest tells its host of a page that is mapped and unmapped')
    .addOption(
      valueOption('--design <names>', 'designs with commas', parseDesigns, DEFAULT_DESIGNS),
    )
    .option('--json', 'print JSON')
    .addHelpText('after', '\nminorfault replay --host shows what a host gets of it.')
    .action(async ({ design: designs, json }: HintingOptions) => {
      const without = designs.find(({ hinting }) => hinting === undefined);
      if (without !== undefined) {
        throw new InputError(
          'OPTION',
          `--design: got ${without.name}, which tells no host anything`,
        );
      }
      const rows: HintingTransitions[] = [];
      for (const design of designs) rows.push(await hintingTransitions(design));
      if (json) printJson(rows);
      else printTransitions(rows);
    });
}

function printTransitions(rows: readonly HintingTransitions[]): void {
  print('changes of a page state');
  print(
    formatTable(
      ['', 'file: a minor fault', 'an unmap', 'swap cache: a minor fault', 'an unmap'],
      rows.map(({ design, fileFault, fileUnmap, swapFault, swapUnmap }) => [
        design,
        fileFault,
        fileUnmap,
        swapFault,
        swapUnmap,
      ]),
    ),
  );
}
