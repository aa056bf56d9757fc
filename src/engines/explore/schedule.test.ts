import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pageTableLock } from '../../designs/pageTableLock.js';
import { vmConfig } from '../configuration.js';
import { ExploreEngine } from './exploreEngine.js';
import { scheduleOf } from './schedule.js';

describe('a schedule', () => {
  it('tells what a thread waits for that nobody wakes', async () => {
    const machine = { arch: 'i386', frames: 12, cpus: 2, nodes: 1 } as const;
    const limits = { tasks: 2, mms: 2, vmas: 4, anonVmas: 4, files: 2 };
    const engine = await ExploreEngine.create(vmConfig(machine, pageTableLock, limits));
    const execution = engine.execution([{ cpu: 0, program: 'askDaemon', args: [1, 1] }]);
    execution.restart();
    const order: number[] = [];
    for (; execution.isEnabled(0); execution.step(0)) order.push(0);
    const { steps, stuck } = scheduleOf(execution, order);
    assert.deepEqual(
      steps.map(({ operation, word, before, after }) => [operation, word, before, after]),
      [
        ['readOnce', 'cpu[0].wakeup', 0, 0],
        ['wakeUp', 'cpu[1].wakeup', 0, 1],
      ],
    );
    assert.deepEqual(stuck, [
      {
        thread: 0,
        cpu: 0,
        operation: 'sleepOn',
        operands: [0],
        function: 'askDaemon',
        callers: ['askDaemon'],
        word: 'cpu[0].wakeup',
        value: 0,
      },
    ]);
  });
});
