/** A worker thread of a search that several share: searches the parts that it is sent. */
import { parentPort, workerData } from 'node:worker_threads';
import { runAlone } from '../engine.js';
import { ExploreEngine } from './exploreEngine.js';
import { Shared, type SearchMessage, type SearchWorkerSetup } from './searchMessages.js';
import { SourceSetSearch, type Part, type Sharing } from './sourceSets.js';

const { problem, commute, bounds, shared } = workerData as SearchWorkerSetup;
const port = parentPort!;

function tell(message: SearchMessage): void {
  port.postMessage(message);
}

const sharing: Sharing = {
  isOver: () => Atomics.load(shared, Shared.EXECUTIONS) >= bounds.executions,
  reverse: (path, initials) => tell({ kind: 'reverse', path, initials }),
  isWanted: () => Atomics.load(shared, Shared.IDLE) > 0,
  give: (path, first, nodes, choices, sleep) => {
    // One that gives is enough for one that wants.
    Atomics.sub(shared, Shared.IDLE, 1);
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
  let told = 0;
  const count = (executions: number): void => {
    Atomics.add(shared, Shared.EXECUTIONS, executions - told);
    told = executions;
  };
  const progress = (executions: number): void => {
    count(executions);
    tell({ kind: 'progress' });
  };
  const result = search.run({ ...bounds, executions: Infinity }, progress, part);
  count(result.executions);
  tell({ kind: 'done', result });
});
