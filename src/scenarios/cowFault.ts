import { SMALL, setup, taskAfter, thread, type Scenario } from './scenario.js';

/**
 * A page that a parent and its child share since a fork, touched by both at once: each store must make a page of
 * its own, the last owner may keep the old one, and neither may see what the other stored.
 */
export const cowFault: Scenario = {
  name: 'cow-fault',
  summary: 'a parent and its child touch a page that fork has made them share',
  source: 'SPEC S1 (1.5, 1.11)',
  ...SMALL,
  cases: [
    {
      name: 'write, write',
      setup: setup('forkedSetup'),
      threads: (parent) => [
        thread(0, 'storeOwn', parent, 1),
        thread(1, 'storeOwn', taskAfter(parent, 1), 2),
      ],
    },
    {
      name: 'write, read',
      setup: setup('forkedSetup'),
      threads: (parent) => [
        thread(0, 'storeOwn', parent, 1),
        thread(1, 'loadOwn', taskAfter(parent, 1)),
      ],
    },
    {
      name: 'write, exit',
      setup: setup('forkedSetup'),
      threads: (parent) => [
        thread(0, 'storeOwn', parent, 1),
        thread(1, 'endTask', taskAfter(parent, 1)),
      ],
    },
  ],
  fails: [],
};
