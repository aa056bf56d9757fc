import type { Command } from "commander"; export function addPftCommand(_p: Command): void {}
