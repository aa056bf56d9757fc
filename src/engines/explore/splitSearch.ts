/**
 * The full search by several workers. Each searches a part of its own: the executions that begin in one way. Who has
 * nothing to do gets a part of what another has still to try, from the first state where there is something; that
 * state and those before it then belong to nobody, and whoever finds more to try there asks here. So each class of
 * schedules is still searched once, and their number is that of a search by one.
 */
import { Worker } from 'node:worker_threads';
import { lowest, type Bounds, type Progress, type SearchResult } from './search.js';
import {
  Shared,
  type Problem,
  type SearchMessage,
  type SearchWorkerSetup,
} from './searchMessages.js';
import type { Part } from './sourceSets.js';

export interface SplitOptions {
  readonly workers: number;
  readonly commute?: boolean;
}

export async function searchInWorkers(
  problem: Problem,
  bounds: Bounds,
  { workers, commute = true }: SplitOptions,
  progress?: Progress,
): Promise<SearchResult> {
  const shared = new Int32Array(new SharedArrayBuffer(4 * Shared.WORDS));
  const setup: SearchWorkerSetup = { problem, commute, bounds, shared };
  const pool = Array.from({ length: workers }, () => {
    return new Worker(new URL('./searchWorker.js', import.meta.url), { workerData: setup });
  });
  try {
    return await new Promise<SearchResult>((resolve, reject) => {
      const split = new SplitSearch(pool, shared, resolve, progress);
      for (const worker of pool) {
        worker.on('error', reject);
        worker.on('message', (message: SearchMessage) => split.hear(worker, message));
      }
      split.start();
    });
  } finally {
    await Promise.all(pool.map((worker) => worker.terminate()));
  }
}

/** A state that belongs to nobody. */
interface Node {
  readonly enabled: number;
  readonly sleepAtEntry: number;
  tried: number;
}

class SplitSearch {
  private readonly nodes = new Map<string, Node>();
  private readonly parts: Part[] = [{ path: [], sleep: 0 }];
  private readonly idle: Worker[];
  private executions = 0;
  private blocked = 0;
  private steps = 0;
  private bounded = false;

  constructor(
    private readonly pool: readonly Worker[],
    private readonly shared: Int32Array,
    private readonly finish: (result: SearchResult) => void,
    private readonly progress: Progress | undefined,
  ) {
    this.idle = [...pool];
  }

  start(): void {
    this.handOut();
  }

  hear(worker: Worker, message: SearchMessage): void {
    switch (message.kind) {
      case 'reverse':
        this.reverse(message.path, message.initials);
        break;
      case 'give':
        this.receive(message);
        break;
      case 'progress':
        this.progress?.(Atomics.load(this.shared, Shared.EXECUTIONS));
        return;
      case 'done':
        this.count(message.result);
        this.idle.push(worker);
    }
    this.handOut();
  }

  /** Gives parts to who has nothing to do, and asks for more. */
  private handOut(): void {
    const { idle, parts, pool, shared } = this;
    // Once a bound is hit, what is left is left.
    while (!this.bounded && idle.length > 0 && parts.length > 0) {
      idle.pop()!.postMessage(parts.shift()!);
    }
    Atomics.store(shared, Shared.IDLE, this.bounded ? 0 : idle.length);
    if (idle.length === pool.length) this.end(this.bounded ? 'bounded' : 'exhausted');
  }

  private reverse(path: readonly number[], initials: number): void {
    const node = this.nodes.get(keyOf(path))!;
    if ((initials & (node.tried | node.sleepAtEntry)) !== 0) return;
    const possible = initials & node.enabled;
    this.try(path, node, possible === 0 ? node.enabled & ~node.tried : possible & -possible);
  }

  private receive({ path, first, nodes, choices, sleep }: SearchMessage & { kind: 'give' }): void {
    nodes.forEach(({ enabled, tried, sleepAtEntry }, place) => {
      this.nodes.set(keyOf(path.slice(0, first + place)), { enabled, tried, sleepAtEntry });
    });
    const last = this.nodes.get(keyOf(path))!;
    const tried = { ...last, tried: sleep };
    this.try(path, tried, choices);
  }

  /** Has threads tried in a state, each with those before it asleep. */
  private try(path: readonly number[], node: Node, choices: number): void {
    for (let left = choices; left !== 0; left &= left - 1) {
      const choice = lowest(left);
      this.parts.push({ path, choice, sleep: node.sleepAtEntry | node.tried });
      node.tried |= 1 << choice;
    }
  }

  private count(result: SearchResult): void {
    this.executions += result.executions;
    this.blocked += result.blocked;
    this.steps += result.steps;
    if (result.outcome === 'failed') this.end('failed', result);
    if (result.outcome === 'bounded') this.bounded = true;
  }

  private end(outcome: SearchResult['outcome'], failed?: SearchResult): void {
    const { executions, blocked, steps } = this;
    const found = failed ?? { failures: [], schedule: [] };
    this.finish({ ...found, outcome, executions, blocked, steps });
  }
}

function keyOf(path: readonly number[]): string {
  return path.join('');
}
