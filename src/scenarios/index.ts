import { InputError } from '../base/errors.js';
import { DESIGNS, designNamed } from '../designs/index.js';
import type { VmDesign } from '../mm/design.js';
import { cowFault } from './cowFault.js';
import { firstFault } from './firstFault.js';
import { forkFault } from './forkFault.js';
import { hintingCounts, hintingFault } from './hintingFault.js';
import { migratePages } from './migratePages.js';
import { mremapFault } from './mremapFault.js';
import { truncateFault } from './truncateFault.js';
import { msyncFault } from './msyncFault.js';
import { munmapFault } from './munmapFault.js';
import { MATRIX_SCENARIOS } from './pairs.js';
import { prefaultFault } from './prefaultFault.js';
import { relocateDirty, relocateFault, relocateHigh, relocateNode } from './relocateFault.js';
import { RELOCATE_PAIRS } from './relocatePairs.js';
import { swapFault } from './swapFault.js';
import { copyUnheld } from './copyUnheld.js';
import { highpteMove } from './highpteMove.js';
import { highpteWalk } from './highpteWalk.js';
import { lostDirtyBit } from './lostDirtyBit.js';
import { lruBeforeInstall } from './lruBeforeInstall.js';
import { populateTables } from './populateTables.js';
import { spuriousFault } from './spuriousFault.js';
import { tornPte } from './tornPte.js';
import { unmapRss } from './unmapRss.js';
import type { Scenario } from './scenario.js';

export const SCENARIOS: readonly Scenario[] = [
  firstFault,
  munmapFault,
  cowFault,
  forkFault,
  mremapFault,
  msyncFault,
  truncateFault,
  swapFault,
  prefaultFault,
  relocateFault,
  relocateDirty,
  relocateNode,
  relocateHigh,
  migratePages,
  hintingFault,
  hintingCounts,
  highpteMove,
  highpteWalk,
  lruBeforeInstall,
  spuriousFault,
  lostDirtyBit,
  tornPte,
  copyUnheld,
  unmapRss,
  populateTables,
];

/**
 * Designs that are meant to be right: not those with prezeroing, which differ from others only in the page
 * allocator; nor those with prefault, which do where pages are touched in sequence; nor those with page tables in high
 * memory, which do on a machine that has some; nor those with hinting, which do where a host takes frames; nor those
 * whose tables can move, which do while one does.
 */
export const RIGHT_DESIGNS: readonly VmDesign[] = DESIGNS.filter(
  ({ broken, prezero, prefault, highpte, hinting, relocation }) => {
    const others = prezero ?? prefault ?? highpte ?? hinting ?? relocation;
    return broken === undefined && others === undefined;
  },
);

/** The designs that a scenario is run under: those that must hold, then those that must fail. */
export function designsFor({ holds, fails, cases }: Scenario): readonly VmDesign[] {
  const failing = new Set([...fails, ...cases.flatMap((scenarioCase) => scenarioCase.fails ?? [])]);
  const holding = holds?.map(designNamed) ?? RIGHT_DESIGNS;
  return [...holding.filter(({ name }) => !failing.has(name)), ...[...failing].map(designNamed)];
}

/** @throws InputError when there is no such scenario */
export function scenarioNamed(name: string): Scenario {
  const all = [...SCENARIOS, ...MATRIX_SCENARIOS, ...RELOCATE_PAIRS];
  const scenario = all.find((candidate) => candidate.name === name);
  if (scenario !== undefined) return scenario;
  const known = all.map((candidate) => candidate.name).join(', ');
  throw new InputError('SCENARIO_UNKNOWN', `no scenario is called "${name}"; there are: ${known}`);
}
