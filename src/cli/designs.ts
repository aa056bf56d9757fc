import type { Command } from 'commander';
import { DESIGNS } from '../designs/index.js';
import { formatTable, print, printJson } from './output.js';

export function addDesignsCommand(program: Command): void {
  program
    .command('designs')
    .description('list the VM designs that other commands take')
    .option('--json', 'print JSON')
    .action(({ json }: { json?: true }) => {
      if (json) {
        printJson(DESIGNS);
        return;
      }
      const rows = DESIGNS.map(({ name, summary, source }) => [name, summary, source]);
      print(formatTable(['design', 'what it does', 'source'], rows));
    });
}
