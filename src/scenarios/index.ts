import { InputError } from '../base/errors.js';
import { DESIGNS } from '../designs/index.js';
import type { VmDesign } from '../mm/design.js';
import { cowFault } from './cowFault.js';
import { firstFault } from './firstFault.js';
import { forkFault } from './forkFault.js';
import { mremapFault } from './mremapFault.js';
import { truncateFault } from './truncateFault.js';
import { msyncFault } from './msyncFault.js';
import { munmapFault } from './munmapFault.js';
import { prefaultFault } from './prefaultFault.js';
import { swapFault } from './swapFault.js';
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
];

/**
 * The designs that a scenario says something about: not those with prezeroing, which differ from others only in the
 * page allocator; and those with prefault only where pages are touched in sequence.
 */
export function designsFor({ name, brokenDesignsFail }: Scenario): readonly VmDesign[] {
  return DESIGNS.filter(({ broken, prezero, prefault }) => {
    const differs =
      prezero === undefined && (prefault === undefined || name === prefaultFault.name);
    return differs && (broken === undefined || brokenDesignsFail);
  });
}

/** @throws InputError when there is no such scenario */
export function scenarioNamed(name: string): Scenario {
  const scenario = SCENARIOS.find((candidate) => candidate.name === name);
  if (scenario !== undefined) return scenario;
  const known = SCENARIOS.map((candidate) => candidate.name).join(', ');
  throw new InputError('SCENARIO_UNKNOWN', `no scenario is called "${name}"; there are: ${known}`);
}
