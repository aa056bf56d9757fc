/** Runs tasks of one kind in a few worker threads, each of which takes the next task when it is free. */
import { Worker } from 'node:worker_threads';
import { InputError } from '../base/errors.js';

/** A function of a module, which does one task. `report` hands on how far it has come. */
export type TaskFunction<Task, Result> = (
  task: Task,
  report: (value: number) => void,
) => Promise<Result>;

/** What a worker is sent: a task; and at the start, which function does it. */
export interface WorkerTask {
  readonly number: number;
  readonly task: unknown;
}

export interface TaskModule {
  readonly url: string;
  readonly name: string;
}

/** What a worker sends back. */
export type WorkerAnswer =
  | { readonly kind: 'report'; readonly number: number; readonly value: number }
  | { readonly kind: 'done'; readonly number: number; readonly result: unknown }
  | { readonly kind: 'input error'; readonly code: string; readonly message: string }
  | { readonly kind: 'error'; readonly error: Error };

export interface PoolEvents<Result> {
  /** A task has come so far. */
  readonly report?: (number: number, value: number) => void;
  readonly done?: (number: number, result: Result) => void;
}

/** What a run of a pool does with what its workers tell. */
interface Listener {
  readonly answered: (worker: Worker, answer: WorkerAnswer) => void;
  readonly failed: (error: Error) => void;
}

/** Worker threads that stay for the next tasks. */
export class WorkerPool<Task, Result> {
  private readonly workers: readonly Worker[];
  private listener: Listener | undefined;

  constructor(module: TaskModule, workers: number) {
    this.workers = Array.from({ length: workers }, () => {
      const worker = new Worker(new URL('./taskWorker.js', import.meta.url), {
        workerData: module,
      });
      worker.on('message', (answer: WorkerAnswer) => this.listener?.answered(worker, answer));
      worker.on('error', (error) => this.listener?.failed(error));
      return worker;
    });
  }

  /**
   * @returns the results, in the order of the tasks
   * @throws what the function throws; the pool is then of no more use, but to be closed
   */
  run(tasks: readonly Task[], events: PoolEvents<Result> = {}): Promise<Result[]> {
    const results = new Array<Result>(tasks.length);
    let next = 0;
    let left = tasks.length;
    const give = (worker: Worker): void => {
      if (next === tasks.length) return;
      const number = next++;
      worker.postMessage({ number, task: tasks[number] } satisfies WorkerTask);
    };
    return new Promise((resolve, reject) => {
      const answered = (worker: Worker, answer: WorkerAnswer): void => {
        switch (answer.kind) {
          case 'report':
            events.report?.(answer.number, answer.value);
            break;
          case 'done':
            results[answer.number] = answer.result as Result;
            events.done?.(answer.number, answer.result as Result);
            if (--left === 0) resolve(results);
            else give(worker);
            break;
          case 'input error':
            reject(new InputError(answer.code, answer.message));
            break;
          case 'error':
            reject(answer.error);
        }
      };
      this.listener = { answered, failed: reject };
      if (left === 0) resolve(results);
      else this.workers.forEach(give);
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}

/**
 * @param module - URL of the module, and the name under which it exports a TaskFunction
 * @returns the results, in the order of the tasks
 * @throws what the function throws; the other workers are ended
 */
export async function runTasks<Task, Result>(
  module: TaskModule,
  tasks: readonly Task[],
  workers: number,
  events: PoolEvents<Result> = {},
): Promise<Result[]> {
  const pool = new WorkerPool<Task, Result>(module, Math.min(workers, tasks.length));
  try {
    return await pool.run(tasks, events);
  } finally {
    await pool.close();
  }
}
