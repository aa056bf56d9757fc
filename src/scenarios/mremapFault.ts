import { Access } from '../hardware/mmu.js';
import { SMALL, setup, taskAfter, thread, type Scenario } from './scenario.js';

/** One thread moves a page while another touches it where it was. */
export const mremapFault: Scenario = {
  name: 'mremap-fault',
  summary: 'a thread touches a page that another moves',
  source: 'SPEC S1 (1.11)',
  ...SMALL,
  cases: [Access.READ, Access.WRITE].map((access) => ({
    name: access === Access.READ ? 'read' : 'write',
    setup: setup('threadsSetup', 1),
    threads: (first: number) => [
      thread(0, 'movePage', first),
      thread(1, 'touchTwice', taskAfter(first, 1), access),
    ],
  })),
  fails: [],
};
