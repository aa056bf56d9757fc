import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nelderMead } from './nelderMead.js';

describe('the method of Nelder and Mead', () => {
  it('finds the least value of a quadratic function', async () => {
    const f = ([x, y]: readonly number[]): Promise<number> =>
      Promise.resolve((x - 3) ** 2 + 10 * (y + 1) ** 2 + 5);
    const { point, value } = await nelderMead(f, [0, 0], { step: 0.5, evaluations: 200 });
    assert.ok(Math.abs(point[0] - 3) < 1e-3 && Math.abs(point[1] + 1) < 1e-3, `${point.join()}`);
    assert.ok(Math.abs(value - 5) < 1e-5);
  });

  it('goes round a bend', async () => {
    const banana = ([x, y]: readonly number[]): Promise<number> =>
      Promise.resolve((1 - x) ** 2 + 100 * (y - x * x) ** 2);
    const { value } = await nelderMead(banana, [-1.2, 1], { step: 0.5, evaluations: 400 });
    assert.ok(value < 1e-6, `${value}`);
  });

  it('tells the least value so far after each evaluation', async () => {
    const told: number[] = [];
    const f = ([x]: readonly number[]): Promise<number> => Promise.resolve(x * x);
    const { evaluations, value } = await nelderMead(f, [4], {
      step: 1,
      evaluations: 20,
      progress: (_, least) => told.push(least),
    });
    assert.equal(told.length, evaluations);
    assert.deepEqual(
      told,
      told.map((_, index) => Math.min(...told.slice(0, index + 1))),
    );
    assert.equal(told.at(-1), value);
  });
});
