/**
 * The AIM7 tables of the mail "Avoid spurious page faults by avoiding pte_clear -> set pte" (Lameter, 31 March 2005):
 * eight processors of an ia64 machine, Linux 2.6.11, without the patch and with it. The dates are left out.
 */
import type { Aim7Row } from './multitask.js';

/** Tasks, jobs/min, jti, jobs/min/task, real, cpu: as printed. */
type Printed = readonly [number, number, number, number, number, number];

const WITHOUT_PATCH: readonly Printed[] = [
  [1, 471.79, 100, 471.7899, 12.34, 2.3],
  [100, 18068.92, 89, 180.6892, 32.21, 158.37],
  [200, 21427.39, 84, 107.1369, 54.32, 315.84],
  [300, 21500.87, 82, 71.6696, 81.21, 473.74],
  [400, 24886.42, 83, 62.216, 93.55, 633.73],
  [500, 25658.89, 81, 51.3178, 113.41, 789.44],
  [600, 25693.47, 81, 42.8225, 135.91, 949.0],
  [700, 26098.32, 80, 37.2833, 156.1, 1108.17],
  [800, 26334.25, 80, 32.9178, 176.8, 1266.73],
  [900, 26913.85, 80, 29.9043, 194.62, 1422.11],
  [1000, 26749.89, 80, 26.7499, 217.57, 1583.95],
];

const WITH_PATCH: readonly Printed[] = [
  [1, 470.3, 100, 470.303, 12.38, 2.33],
  [100, 18465.05, 89, 184.6505, 31.52, 158.62],
  [200, 22399.26, 86, 111.9963, 51.97, 315.95],
  [300, 24274.61, 84, 80.9154, 71.93, 475.04],
  [400, 25120.86, 82, 62.8021, 92.67, 634.1],
  [500, 25742.87, 81, 51.4857, 113.04, 791.13],
  [600, 26322.73, 82, 43.8712, 132.66, 948.31],
  [700, 25718.4, 80, 36.7406, 158.41, 1112.3],
  [800, 26361.08, 80, 32.9514, 176.62, 1269.94],
  [900, 26975.67, 81, 29.973, 194.17, 1424.56],
  [1000, 26765.51, 80, 26.7655, 217.44, 1585.27],
];

/** The mail's two tables, by the words over them. */
export const MAIL_TABLES: Readonly<Record<'w/o patch' | 'w/patch', readonly Aim7Row[]>> = {
  'w/o patch': WITHOUT_PATCH.map(aim7Row),
  'w/patch': WITH_PATCH.map(aim7Row),
};

function aim7Row(row: Printed): Aim7Row {
  const [tasks, jobsPerMinute, jti, jobsPerMinutePerTask, realSeconds, cpuSeconds] = row;
  return { tasks, jobsPerMinute, jti, jobsPerMinutePerTask, realSeconds, cpuSeconds };
}
