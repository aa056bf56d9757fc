/** A point of a search and what the function is there. */
interface Vertex {
  readonly point: readonly number[];
  readonly value: number;
}

export interface Minimum extends Vertex {
  /** Times that the function was asked. */
  readonly evaluations: number;
}

export interface NelderMeadOptions {
  /** How far the first points stand from the beginning, in each direction. */
  readonly step: number;
  readonly evaluations: number;
  /** Called after each evaluation, with the least value so far. */
  readonly progress?: ((evaluations: number, least: number) => void) | undefined;
}

/**
 * Looks for the least value of a function of several numbers, without its derivatives (Nelder, Mead: A simplex method
 * for function minimization, 1965).
 */
export async function nelderMead(
  f: (point: readonly number[]) => Promise<number>,
  begin: readonly number[],
  { step, evaluations: limit, progress }: NelderMeadOptions,
): Promise<Minimum> {
  let evaluations = 0;
  let least: Vertex = { point: begin, value: Infinity };
  const vertex = async (point: readonly number[]): Promise<Vertex> => {
    const found = { point, value: await f(point) };
    if (found.value < least.value) least = found;
    evaluations++;
    progress?.(evaluations, least.value);
    return found;
  };
  let simplex = [await vertex(begin)];
  for (const place of begin.keys()) {
    simplex.push(await vertex(begin.map((x, index) => (index === place ? x + step : x))));
  }
  while (evaluations < limit) {
    simplex.sort((a, b) => a.value - b.value);
    const worst = simplex.at(-1)!;
    const others = simplex.slice(0, -1);
    const centre = begin.map((_, index) => mean(others.map(({ point }) => point[index])));
    /** On the line from the centre to the worst: there at 1. */
    const along = (t: number): Promise<Vertex> =>
      vertex(centre.map((x, index) => x + t * (worst.point[index] - x)));
    const reflected = await along(-1);
    let better: Vertex | undefined;
    if (reflected.value < others[0].value) {
      const further = await along(-2);
      better = further.value < reflected.value ? further : reflected;
    } else if (reflected.value < others.at(-1)!.value) {
      better = reflected;
    } else {
      const nearer = await along(reflected.value < worst.value ? -0.5 : 0.5);
      if (nearer.value < Math.min(reflected.value, worst.value)) better = nearer;
    }
    if (better !== undefined) {
      simplex = [...others, better];
      continue;
    }
    const [best, ...rest] = simplex;
    simplex = [best];
    for (const { point } of rest) {
      simplex.push(await vertex(point.map((x, index) => (x + best.point[index]) / 2)));
    }
  }
  return { ...least, evaluations };
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
