import type { Command } from 'commander';
import { COST_FIELDS, COST_NAMES } from '../engines/simulate/costs.js';
import { machineSchema } from '../engines/simulate/machineSchema.js';
import { MACHINES, type SimulatedMachine } from '../engines/simulate/machine.js';
import { count, formatTable, print, printJson } from './output.js';

interface MachinesOptions {
  readonly json?: true;
  readonly schema?: true;
}

export function addMachinesCommand(program: Command): void {
  program
    .command('machines')
    .description('the machines that can be simulated; or one, with the source of every number')
    .argument('[machine]', `of ${MACHINES.names.join(', ')}; or a file`)
    .option('--schema', 'print the JSON schema of a machine’s file')
    .option('--json', 'print JSON')
    .action((given: string | undefined, { json, schema }: MachinesOptions) => {
      if (schema) {
        printJson(machineSchema());
        return;
      }
      const machines =
        given === undefined
          ? MACHINES.names.map((name) => MACHINES.named(name))
          : [MACHINES.from(given)];
      if (json) printJson(given === undefined ? machines : machines[0]);
      else if (given === undefined) printMachines(machines);
      else printMachine(machines[0]);
    });
}

function printMachines(machines: readonly SimulatedMachine[]): void {
  const rows = machines.map(({ name, arch, cpus, cpusPerNode, title }) => {
    return [name, arch, count(cpus), count(Math.ceil(cpus / cpusPerNode)), title];
  });
  print(formatTable(['name', 'arch', 'cpus', 'nodes', 'what it is'], rows));
}

function printMachine(machine: SimulatedMachine): void {
  const { name, title, arch, cpus, cpusPerNode, nodesPerRouter, nodeBytes, lineBytes, lines } =
    machine;
  const { lowBytes } = machine;
  const low = lowBytes === undefined ? '' : `, ${count(lowBytes / 2 ** 20)} MiB of all not high`;
  print(`${name}: ${title}`);
  print(
    `${arch}, ${count(cpus)} CPUs, ${cpusPerNode} a node; ${nodesPerRouter} nodes a router; ` +
      `${count(nodeBytes / 2 ** 20)} MiB a node${low}; lines of ${lineBytes} bytes`,
  );
  print(`${machine.topologySource}\n`);
  for (const words of lines ?? []) print(`on a line of their own: ${words.join(', ')}\n`);
  const rows = COST_NAMES.map((cost) => {
    const { unit, text } = COST_FIELDS[cost];
    return [cost, count(machine.costs[cost]), unit, text, machine.sources[cost]];
  });
  print(formatTable(['constant', 'value', 'unit', 'of', 'source'], rows));
}
