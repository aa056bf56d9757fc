/** The matrix of pairs of operations: a table for each kind of memory, with what all designs came to in each cell. */
import type { TimedVerdict } from '../scenarios/checkTask.js';
import { MATRIX_SCENARIOS, type PairScenario } from '../scenarios/pairs.js';
import type { Scenario } from '../scenarios/scenario.js';
import { count, formatTable, print } from './output.js';

export function printMatrices(
  scenarios: readonly Scenario[],
  verdicts: readonly TimedVerdict[],
): void {
  for (const { name } of scenarios) {
    const pairs = MATRIX_SCENARIOS.find((candidate) => candidate.name === name);
    if (pairs !== undefined) {
      printMatrix(
        pairs,
        verdicts.filter(({ scenario }) => scenario === name),
      );
    }
  }
  printTotals(verdicts);
}

function printMatrix(
  { name, summary, operations, cases }: PairScenario,
  verdicts: readonly TimedVerdict[],
): void {
  print(`${name}: ${summary}`);
  const letters = operations.map((_, place) => String.fromCharCode('a'.charCodeAt(0) + place));
  const rows = operations.map((row, place) => [
    `${letters[place]} ${row.name}`,
    ...operations.map((column, at) => {
      // A pair that is another's mirror image, or no case of this matrix.
      if (at < place) return '';
      const pair = cases.find(({ operations: [one, two] }) => one === row && two === column);
      return cell(verdicts.filter((verdict) => verdict.case === pair?.name));
    }),
  ]);
  print(`${formatTable(['', ...letters], rows)}\n`);
}

/** How many designs a pair holds under, by how far the search went; or that it fails. */
function cell(verdicts: readonly TimedVerdict[]): string {
  if (verdicts.length === 0) return '';
  const failed = verdicts.filter(({ outcome }) => outcome === 'failed').length;
  if (failed > 0) return `FAILS:${failed}`;
  const bounded = verdicts.filter(({ outcome }) => outcome === 'bounded').length;
  if (bounded === 0) return '·';
  return bounded === verdicts.length ? '<' : `${verdicts.length - bounded}·`;
}

function printTotals(verdicts: readonly TimedVerdict[]): void {
  print('· exhausted under all designs, 3· under three of them, < bounded under all\n');
  const designs = [...new Set(verdicts.map(({ design }) => design))];
  const rows = designs.map((design) => {
    const own = verdicts.filter((verdict) => verdict.design === design);
    const having = (outcome: TimedVerdict['outcome']): number =>
      own.filter((verdict) => verdict.outcome === outcome).length;
    const sum = (of: (verdict: TimedVerdict) => number): number =>
      own.reduce((total, verdict) => total + of(verdict), 0);
    return [
      design,
      count(own.length),
      count(having('exhausted')),
      count(having('bounded')),
      count(having('failed')),
      count(sum(({ executions }) => executions)),
      count(sum(({ steps }) => steps)),
      `${Math.round(sum(({ ms }) => ms) / 1000)} s`,
    ];
  });
  const head = ['design', 'pairs', 'exhausted', 'bounded', 'failed', 'executions', 'steps', 'time'];
  print(formatTable(head, rows));
}
