/** What several seeds make of one rate. */
export interface OverSeeds {
  /** As rates are averaged: of the times. */
  readonly mean: number;
  readonly least: number;
  readonly most: number;
}

/** @param rates - one a seed */
export function overSeeds(rates: readonly number[]): OverSeeds {
  return {
    mean: rates.length / rates.reduce((sum, rate) => sum + 1 / rate, 0),
    least: Math.min(...rates),
    most: Math.max(...rates),
  };
}
