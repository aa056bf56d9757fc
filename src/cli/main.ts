#!/usr/bin/env node
/** The command line: `minorfault COMMAND`. Exit codes: 0 as expected, 1 not, 2 bad input, 3 our bug. */
import { Command, CommanderError } from 'commander';
import { InputError, InvariantError } from '../base/errors.js';
import { addCalibrateCommand } from './calibrate.js';
import { addCheckCommand } from './check.js';
import { addDesignsCommand } from './designs.js';
import { addHintingCommand } from './hinting.js';
import { addMachinesCommand } from './machines.js';
import { addMultitaskCommand } from './multitask.js';
import { addPftCommand } from './pft.js';
import { addPlacementCommand } from './placement.js';
import { addReplayCommand } from './replay.js';
import { addScaleCommand } from './scale.js';

const program = new Command('minorfault')
  .description(
    'A Linux-class virtual memory system whose page-fault path can be run, raced and measured.',
  )
  .showHelpAfterError('(see --help)')
  .exitOverride();
addReplayCommand(program);
addPftCommand(program);
addMultitaskCommand(program);
addScaleCommand(program);
addCalibrateCommand(program);
addMachinesCommand(program);
addCheckCommand(program);
addHintingCommand(program);
addPlacementCommand(program);
addDesignsCommand(program);
for (const command of program.commands) command.exitOverride();

// A reader such as head may leave before all is printed: that is its right.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Tells what went wrong, without a stack trace for what is the user's to mend. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof InputError) {
    process.stderr.write(`minorfault: ${error.message}\n`);
    return 2;
  }
  const replay = ['minorfault', ...process.argv.slice(2)].join(' ');
  const what =
    error instanceof InvariantError ? error.message : String((error as Error).stack ?? error);
  process.stderr.write(
    `minorfault: this is a bug of minorfault: ${what}\nIt is replayed by: ${replay}\n`,
  );
  return 3;
}
