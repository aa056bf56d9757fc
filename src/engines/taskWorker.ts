/** A worker thread of a pool: does the tasks that it is sent, one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { InputError } from '../base/errors.js';
import type { TaskFunction, TaskModule, WorkerAnswer, WorkerTask } from './workerPool.js';

const { url, name } = workerData as TaskModule;
const module = (await import(url)) as Record<string, TaskFunction<unknown, unknown>>;
const port = parentPort!;

function answer(message: WorkerAnswer): void {
  port.postMessage(message);
}

port.on('message', ({ number, task }: WorkerTask) => {
  module[name](task, (value) => answer({ kind: 'report', number, value })).then(
    (result) => answer({ kind: 'done', number, result }),
    (error: Error) => {
      if (error instanceof InputError) {
        answer({ kind: 'input error', code: error.code, message: error.message });
      } else {
        answer({ kind: 'error', error });
      }
    },
  );
});
