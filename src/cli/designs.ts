import type { Command } from 'commander';
import { whyNotCarried } from '../designs/carries.js';
import { DESIGNS } from '../designs/index.js';
import { ARCHES, ARCH_NAMES, type ArchName } from '../hardware/arch/index.js';
import { formatTable, print, printJson } from './output.js';

export function addDesignsCommand(program: Command): void {
  program
    .command('designs')
    .description('list the VM designs and architectures that other commands take')
    .option('--json', 'print JSON')
    .action(({ json }: { json?: true }) => {
      if (json) printJson({ designs: DESIGNS, architectures: ARCH_NAMES.map(describeArch) });
      else printDesigns();
    });
}

function describeArch(name: ArchName): object {
  const refuses = DESIGNS.flatMap((design) => {
    const reason = whyNotCarried(name, design);
    return reason === undefined ? [] : [{ design: design.name, reason }];
  });
  const carries = DESIGNS.map((design) => design.name).filter(
    (design) => !refuses.some((refused) => refused.design === design),
  );
  return { name, summary: ARCHES[name].summary, carries, refuses };
}

function printDesigns(): void {
  const designs = DESIGNS.map(({ name, summary, source }) => [name, summary, source]);
  print(formatTable(['design', 'what it does', 'source'], designs));
  const arches = ARCH_NAMES.map((name) => [name, ARCHES[name].summary]);
  print(`\n${formatTable(['architecture', 'its page tables'], arches)}`);
  const carried = DESIGNS.map((design) => [
    design.name,
    ...ARCH_NAMES.map((arch) => (whyNotCarried(arch, design) === undefined ? 'yes' : '-')),
  ]);
  print(`\n${formatTable(['carried by', ...ARCH_NAMES], carried)}`);
}
