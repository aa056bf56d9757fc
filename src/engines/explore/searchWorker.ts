/** A worker thread of a search that several share: searches the parts that it is sent. */
import { parentPort, workerData } from 'node:worker_threads';
import type { EndCheckName } from '../../workloads/endChecks.js';
import type { ProgramName } from '../../workloads/programs.js';
import type { VmConfig } from '../configuration.js';
import { runAlone, type Thread } from '../engine.js';
import { ExploreEngine } from './exploreEngine.js';
import type { SearchResult } from './search.js';
import { SourceSetSearch, type Part, type SharedNode, type Sharing } from './sourceSets.js';

/** A race as data, from which each worker makes the same execution. */
export interface Problem {
  readonly config: VmConfig;
  readonly setup?: { readonly program: ProgramName; readonly args: readonly number[] };
  readonly threads: readonly Thread[];
  readonly check: EndCheckName;
}

export interface SearchWorkerSetup {
  readonly problem: Problem;
  readonly commute: boolean;
  /** Word 0: how many workers have nothing to do. */
  readonly wanted: Int32Array;
}

/** What a worker tells. */
export type SearchMessage =
  | { readonly kind: 'reverse'; readonly path: readonly number[]; readonly initials: number }
  | {
      readonly kind: 'give';
      readonly path: readonly number[];
      readonly first: number;
      readonly nodes: readonly SharedNode[];
      readonly choices: number;
      readonly sleep: number;
    }
  | { readonly kind: 'done'; readonly result: SearchResult };

const { problem, commute, wanted } = workerData as SearchWorkerSetup;
const port = parentPort!;

function tell(message: SearchMessage): void {
  port.postMessage(message);
}

const sharing: Sharing = {
  reverse: (path, initials) => tell({ kind: 'reverse', path, initials }),
  isWanted: () => Atomics.load(wanted, 0) > 0,
  give: (path, first, nodes, choices, sleep) => {
    // One that gives is enough for one that wants.
    Atomics.sub(wanted, 0, 1);
    tell({ kind: 'give', path, first, nodes, choices, sleep });
  },
};

const engine = await ExploreEngine.create(problem.config);
if (problem.setup !== undefined) {
  await runAlone(engine, problem.setup.program, ...problem.setup.args);
}
const execution = engine.execution(problem.threads, engine.vm.END_CHECKS[problem.check]);
const search = new SourceSetSearch(execution, { commute }, sharing);

port.on('message', (part: Part) => {
  tell({ kind: 'done', result: search.run({ executions: Infinity }, undefined, part) });
});
