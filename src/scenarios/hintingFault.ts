import { FRAME_UNIT } from '../workloads/hintingRaces.js';
import { SMALL, setup, taskAfter, thread, type Scenario, type ScenarioCase } from './scenario.js';

/** What a setup tells: its first task and the frame of the page. */
function told(result: number): { first: number; pfn: number } {
  return { first: result % FRAME_UNIT, pfn: Math.floor(result / FRAME_UNIT) };
}

/** A CPU acts on the page while the host takes it. */
function besideHost(
  name: string,
  made: ScenarioCase['setup'],
  program: 'loadHinted' | 'storeHinted',
  again: 0 | 1,
): ScenarioCase {
  return {
    name,
    setup: made,
    threads: (result) => [
      thread(0, program, told(result).first, again),
      thread(1, 'hostTakesFrame', told(result).pfn),
    ],
    fails: [],
  };
}

/**
 * The host has taken a page, or takes it now, while CPUs fault on it, read it, write it and copy it. What was stored is
 * not lost, nobody sees a page that is gone, and no pte maps one that nothing leads back to.
 *
 * The first two cases are S4-a: the second shows that the patch does not keep it away.
 */
export const hintingFault: Scenario = {
  name: 'hinting-fault',
  summary: 'the host of a guest takes a page that CPUs fault on',
  source: 'Schwidefsky, Franke and Raj, 28 June 2007, guest page hinting: minor faults; SPEC S4-a',
  machine: { ...SMALL.machine, swapPages: 4 },
  limits: SMALL.limits,
  cases: [
    {
      name: 'a minor fault beside the discard of the page',
      setup: setup('hintedFileSetup', 1, 1, 1),
      threads: (result) => [
        thread(0, 'discardHinted', told(result).pfn),
        thread(1, 'loadHinted', taskAfter(told(result).first, 1), 1),
      ],
    },
    {
      name: 'a minor fault beside the discard of the page, which another process maps',
      setup: setup('hintedShareSetup', 0, 1),
      threads: (result) => [
        thread(0, 'discardHinted', told(result).pfn),
        thread(1, 'loadHinted', told(result).first, 0),
      ],
      fails: ['hinting-posted', 'hinting-unchecked'],
    },
    {
      name: 'two loads of a page that the host has, one by a minor fault',
      setup: setup('hintedFileSetup', 1, 1, 1),
      threads: (result) => [
        thread(0, 'loadHinted', told(result).first, 0),
        thread(1, 'loadHinted', taskAfter(told(result).first, 1), 1),
      ],
      executions: 2000,
    },
    {
      name: 'a minor fault of a child in the swap cache beside the discard',
      setup: setup('hintedForkedSetup', 1),
      threads: (result) => [
        thread(0, 'discardHinted', told(result).pfn),
        thread(1, 'loadHinted', taskAfter(told(result).first, 1), 0),
      ],
      fails: [],
    },
    besideHost('a minor fault', setup('hintedFileSetup', 1, 0, 0), 'loadHinted', 0),
    besideHost('a load', setup('hintedFileSetup', 1, 1, 0), 'loadHinted', 0),
    besideHost('a store', setup('hintedFileSetup', 1, 1, 0), 'storeHinted', 0),
    besideHost('a first store', setup('hintedFileSetup', 1, 0, 0), 'storeHinted', 0),
    besideHost('a copy', setup('hintedFileSetup', 0, 1, 0), 'storeHinted', 0),
    besideHost('a first copy', setup('hintedFileSetup', 0, 0, 0), 'storeHinted', 0),
    besideHost('a store in the swap cache', setup('hintedSwapSetup', 0), 'storeHinted', 0),
    besideHost('a store that needs no fault', setup('hintedSwapSetup', 1), 'storeHinted', 0),
    {
      name: 'a fork beside the discard',
      setup: setup('hintedForkedSetup', 1),
      threads: (result) => [
        thread(0, 'discardHinted', told(result).pfn),
        thread(1, 'forkHinted', taskAfter(told(result).first, 2)),
      ],
      fails: [],
    },
  ],
  fails: ['hinting-unchecked'],
  holds: ['hinting-before', 'hinting-posted', 'hinting', 'linux-6-hinting'],
};

/**
 * Somebody holds a page stable while another lets go of it and a third pte goes. By their counts of references and of
 * mappings, which are read one after the other, the patches can take it for one that nobody holds.
 */
export const hintingCounts: Scenario = {
  name: 'hinting-counts',
  summary:
    'a page that is held stable loses a mapping while another CPU looks whether it may be volatile',
  source: 'guest page hinting: check_counts of mm/page-states.c; SPEC S4',
  machine: hintingFault.machine,
  limits: hintingFault.limits,
  cases: [
    {
      name: 'an unmap beside a release',
      setup: setup('hintedShareSetup', 1, 0),
      threads: (result) => [
        thread(0, 'unmapHeld', told(result).first, told(result).pfn),
        thread(1, 'syncHinted', taskAfter(told(result).first, 1)),
      ],
    },
  ],
  fails: ['hinting-before', 'hinting-posted'],
  holds: ['hinting', 'linux-6-hinting'],
};
