/**
 * The public API: machines to run the VM on, the designs, and the replay of recorded programs.
 *
 * ```ts
 * import { ParallelEngine, designNamed, vmConfig } from 'minorfault';
 * const machine = { arch: 'x86_64', frames: 4096, cpus: 2, nodes: 1 };
 * const engine = await ParallelEngine.create(vmConfig(machine, designNamed('v18')));
 * ```
 */
export { InputError, InvariantError } from './base/errors.js';
export { DESIGNS, designNamed } from './designs/index.js';
export { vmConfig, type VmConfig } from './engines/configuration.js';
export { runAlone, type Engine, type Thread } from './engines/engine.js';
export { ExploreEngine } from './engines/explore/exploreEngine.js';
export { searchBounded } from './engines/explore/bounded.js';
export type { Bounds, SearchResult } from './engines/explore/search.js';
export { searchAll } from './engines/explore/sourceSets.js';
export { ParallelEngine } from './engines/parallel/parallelEngine.js';
export type { MachineCosts } from './engines/simulate/costs.js';
export { MACHINES, machineForArch, type SimulatedMachine } from './engines/simulate/machine.js';
export { SimulateEngine } from './engines/simulate/simulateEngine.js';
export type { VmDesign } from './mm/design.js';
export { replayFile, type ReplayReport } from './traces/replayFile.js';
